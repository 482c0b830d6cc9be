"""Models to other programs and from them: `headway.export` and `headway.import_model`."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from headway.api import Pipeline
from headway.bundle import Bundle, load_bundle, save_bundle
from headway.data.token_file import TokenFile
from headway.errors import DataError, FolderError, UserError
from headway.interop.exporters import export_bundle
from headway.interop.foreign_models import read_foreign
from headway.interop.place import refuse_taken
from headway.interop.proof import REPORTED, Proof, Texts, generated_texts, prove
from headway.run_folder import RunFolder, model_folder

Say = Callable[[str], None]

LINES = 256
"""Lines that a proof chooses from."""

TOLD_LINES = 8
"""Lines of a comparison that nothing depends on: each is continued token by token by both programs."""


def export(
    model: Path | str,
    to: str,
    out: Path | str | None = None,
    *,
    text: Path | str | Sequence[str] | None = None,
    type: str = "float32",
) -> Proof:
    """Writes a model for another program, and proves on real text that it computes the same.

    `model`: a model or run folder. `to`: transformers, ctranslate2, onnx, gguf or torch. `out`: a new folder;
    default: NAME-TARGET beside the model. `text`: lines, or a file of them, to prove it on; default: the
    run's held-out text, or else text generated at random. Raises UserError if the target cannot hold the
    model or the proof fails; then nothing is written.
    """
    folder = Path(model)
    out = default_place(folder, to) if out is None else Path(out)
    refuse_taken(out)
    bundle = load_bundle(model_folder(folder))
    return export_bundle(bundle, to, out, texts_for(folder, bundle, text), type)


def default_place(model: Path, to: str) -> Path:
    """Where an export goes if nobody says: beside the run or model, named after it and the target."""
    model = model.resolve()
    if model.name == "model" and RunFolder(model.parent).exists:
        model = model.parent
    return model.with_name(f"{model.name}-{to}")


def import_model(folder: Path | str, out: Path | str, say: Say = lambda _: None) -> Pipeline:
    """Reads another program's model, writes it as a model folder to `out`, and gives it ready to use.

    A folder of `transformers`, or a GGUF file. Raises FolderError naming the file, tensor or setting that is
    wrong or that no model here can hold; then nothing is written. What `transformers`, where it is installed,
    computes on the same text is compared and told to `say`, a line at a time; other numbers are refused.
    How near llama.cpp comes on a GGUF file is only told: beside packed weights it packs what they meet, too.
    """
    folder, out = Path(folder), Path(out)
    refuse_taken(out)
    bundle = read_foreign(folder)
    compared = _compared(bundle, folder)
    for line in compared:
        say(line)
    save_bundle(bundle, out, _card(bundle, folder, out, compared))
    return Pipeline(bundle)


def texts_for(model: Path | None, bundle: Bundle, given: Path | str | Sequence[str] | None) -> Texts:
    """What a model is proved on: given lines or a file of them, its run's held-out text, or generated text.

    Raises DataError for a file that cannot be read.
    """
    if given is not None:
        return _given(given)
    held_out = None if model is None else held_out_texts(model, bundle)
    return held_out or generated_texts(bundle)


def held_out_texts(folder: Path, bundle: Bundle) -> Texts | None:
    """Of the run that a model comes from: sources, or text, that it was not trained on. None without."""
    runs = [RunFolder(folder), RunFolder(folder.resolve().parent)]
    run = next((each for each in runs if each.exists and each.is_finished), None)
    if run is None:
        return None
    found = _held_out(run, bundle) or _samples(run)
    return Texts(found, "held out from training") if found else None


def _held_out(run: RunFolder, bundle: Bundle) -> list[str]:
    path = run.data / "valid.tokens"
    try:
        tokens = TokenFile(path)
    except (OSError, UserError):  # it lies in a shared folder, or the run was moved without it
        return []
    source, target = bundle.tokenizers
    count = min(LINES, len(tokens))
    places = [i * len(tokens) // count for i in range(count)]
    if source is not None:
        return [source.decode(ids.tolist()) for i in places if (ids := tokens.source(i)) is not None]
    most = 3 * (bundle.meta.longest_target or 64) // 4
    return [target.decode(tokens.ids(i)[:most].tolist()) for i in places]


def _samples(run: RunFolder) -> list[str]:
    path = run.path / "samples.jsonl"
    if not path.is_file():
        return []
    lines = path.read_text("utf-8", errors="replace").splitlines()
    try:
        told = [each["source"] for each in map(json.loads, lines) if "source" in each]
    except (ValueError, TypeError, RecursionError):  # a line that was not written to its end
        return []
    return list(dict.fromkeys(map(str, told)))


def _given(text: Path | str | Sequence[str]) -> Texts:
    """Lines as given, or those of a file; of pairs the sources."""
    if not isinstance(text, str | Path):
        return Texts(list(text), "given lines")
    path = Path(text)
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", path) from error
    except UnicodeDecodeError as error:
        raise DataError("is not UTF-8", path) from error
    return Texts([line.split("\t")[0] for line in lines], f"lines of {path.name}")


def _compared(bundle: Bundle, folder: Path) -> list[str]:
    """What the program that it is from makes of the same text, a line each, or why it was not asked."""
    if folder.is_file():
        return _reported(bundle, folder)
    from headway.interop.transformers_model import TransformersModel

    try:
        other = TransformersModel(folder, bundle.architecture)
    except UserError as error:
        return [f"not compared: {error}"]
    proof = prove(bundle, other, generated_texts(bundle), written=False)
    if not proof.difference <= proof.demand.difference:
        raise FolderError(f"{folder}: computes other numbers there than here: {'; '.join(proof.failures)}")
    return proof.lines()


def _reported(bundle: Bundle, file: Path) -> list[str]:
    from headway.interop.llama_cpp import opened

    other = opened(bundle, file)
    if other is None:
        return ["not compared: llama-cpp-python is not installed"]
    texts = generated_texts(bundle)
    return prove(bundle, other, replace(texts, lines=texts.lines[:TOLD_LINES]), REPORTED).lines()


def _card(bundle: Bundle, folder: Path, out: Path, compared: Sequence[str]) -> str:
    parameters = sum(p.numel() for p in bundle.model.parameters())
    return (
        f"# {out.name}\n\nA Transformer ({bundle.architecture}) of {parameters:,} parameters, imported from "
        f"{folder.name}.\n\nVocabulary: {bundle.tokenizers.target.vocab_size:,} tokens.\n\n"
        + "".join(f"- {line}\n" for line in compared)
    )
