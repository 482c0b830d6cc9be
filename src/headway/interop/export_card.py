"""The card of an exported folder: how to open it, what was proved, and where it differs from ours."""

from headway.bundle import Bundle
from headway.interop.compatibility import family_of
from headway.interop.proof import Proof
from headway.interop.tokenizer_files import TARGET_FOLDER

SEQUENCE_TO_SEQUENCE = """from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("FOLDER")
model = AutoModelForSeq2SeqLM.from_pretrained("FOLDER")
output = model.generate(**tokenizer(["some text"], return_tensors="pt"))
print(tokenizer.batch_decode(output, skip_special_tokens=True))
"""
MASKED = """from transformers import pipeline

fill = pipeline("fill-mask", "FOLDER")
print(fill("some <mask> text"))
"""
BARE = """from transformers import AutoModel, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("FOLDER")
model = AutoModel.from_pretrained("FOLDER")
states = model(**tokenizer(["some text"], return_tensors="pt")).last_hidden_state
"""
CAUSAL = """from transformers import pipeline

write = pipeline("text-generation", "FOLDER")
print(write("some text", max_new_tokens=20))
"""
OPENING = {"encoder-decoder": SEQUENCE_TO_SEQUENCE, "encoder": MASKED, "decoder": CAUSAL}
"""With `transformers`, by architecture; FOLDER stands for the folder."""

NAMES = {
    "transformers": "`transformers`, with no code of its own",
    "ctranslate2": "CTranslate2; `headway predict FOLDER --engine ctranslate2` does, too",
    "onnx": "ONNX Runtime; graphs.json names the ids of the special tokens",
    "gguf": "llama.cpp and what is built on it",
    "torch": "`torch.export.load`",
}


def export_card(bundle: Bundle, target: str, name: str, proof: Proof) -> str:
    """Markdown. `name` is that of the folder."""
    proved = "\n".join(f"- {line}" for line in proof.lines())
    parts = [
        f"# {name}",
        f"A Transformer ({bundle.architecture}), exported by Headway for {NAMES[target]}.",
    ]
    if target == "transformers":
        parts.append("\n".join(["## Use", "", "```python", _opening(bundle, name) + "```"]))
    parts.append(f"## Proof\n\nBefore this folder was written, both models read the same text:\n\n{proved}")
    notes = _notes(bundle, target)
    if notes:
        parts.append("## Where it differs\n\n" + "\n".join(f"- {note}" for note in notes))
    metrics = [f"| {key} | {value:.4g} |" for key, value in bundle.meta.metrics.items()]
    if metrics:
        table = "\n".join(["| metric | value |", "| --- | --- |", *metrics])
        parts.append(f"## Metrics on held-out text\n\n{table}")
    return "\n\n".join(parts) + "\n"


def _is_bare(bundle: Bundle) -> bool:
    """Whether `transformers` gets a class without a prediction head."""
    family = family_of(bundle.config)
    return family.class_of(bundle.config) != family.class_name


def _opening(bundle: Bundle, name: str) -> str:
    source, target = bundle.tokenizers
    code = BARE if _is_bare(bundle) else OPENING[bundle.architecture]
    if source is not None and source is not target:
        code = code.replace(
            "model =",
            "target_tokenizer = AutoTokenizer.from_pretrained"
            f'("FOLDER", subfolder="{TARGET_FOLDER}")\nmodel =',
        ).replace("tokenizer.batch_decode", "target_tokenizer.batch_decode")
    if bundle.architecture == "encoder" and target.special.mask is not None:
        code = code.replace("<mask>", target.pieces([target.special.mask])[0])
    return code.replace("FOLDER", name)


def _notes(bundle: Bundle, target: str) -> list[str]:
    notes = []
    if bundle.architecture == "encoder-decoder":
        penalty = bundle.meta.search.get("length_penalty", 0.6)
        notes.append(
            f"A beam search here scores log p / ((5 + length) / 6)^α, with α = {penalty} for this model; "
            "other programs divide by length^α. The two agree at α = 0, which is what the folder asks for."
        )
        notes.append(
            "A source longer than any in training is split here before it is read, and there it is not."
        )
    repeats = bundle.meta.search.get("repetition_penalty", 1.0)
    if repeats != 1:
        notes.append(
            f"A repetition penalty of {repeats} is the default here, a power of the probability of what the "
            "text holds already; other programs change logits instead, and the folder asks for none."
        )
    if bundle.tokenizers.target.composes:
        notes.append(
            "Its tokenizer.json takes letters apart and does not join them: bring what it decodes into the "
            "Unicode form NFC."
        )
    kind = bundle.config.positions.kind
    if kind in ("sinusoidal", "learned") and target == "transformers":
        notes.append(f"It reads at most {bundle.config.positions.max_length:,} tokens at once.")
    if target == "transformers" and _is_bare(bundle):
        notes.append(
            "It has no prediction head: `AutoModel` opens it. What it says of a token is its state times the "
            "token embeddings; where the class has a pooler, that gives zeros."
        )
    if bundle.architecture == "encoder" and target == "transformers":
        from headway.interop.sentence_folder import pooling_in_words

        notes.append(pooling_in_words(bundle))
    return notes
