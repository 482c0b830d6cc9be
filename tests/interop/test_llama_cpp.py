"""llama.cpp opens what was written, reads text alike and computes the same."""

import sys
from pathlib import Path

import pytest

from headway.exchange import import_model
from headway.interop.exporters import export_bundle
from headway.interop.gguf import read_gguf, write_gguf
from headway.interop.gguf_tokenizer import splittings
from headway.interop.llama_cpp import export
from headway.interop.proof import EXACT, Texts, prove
from tests.interop.gguf_models import LINES, SHAPES, small, split_as, written
from tests.text.foreign import gpt2

pytest.importorskip("gguf")
TEXTS = Texts(LINES, "given")


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_it_computes_what_ours_does(shape: str, tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    bundle = small(shape)
    opponent, demand = export(bundle, tmp_path)
    proof = prove(bundle, opponent, TEXTS, demand)
    assert proof.failures == []
    assert proof.texts == len(LINES)
    assert proof.tokens == 1
    assert "llama.cpp" in proof.opponent
    assert proof.difference < (1e-3 if shape == "gpt2" else EXACT.difference)


@pytest.mark.slow
def test_it_reads_a_foreign_vocabulary_as_ours_does(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    bundle = small("llama", gpt2())
    opponent, demand = export(bundle, tmp_path)
    texts = Texts([*LINES[:4], "the end<|endoftext|>the beginning"], "given")
    assert prove(bundle, opponent, texts, demand).failures == []


@pytest.mark.slow
def test_how_near_it_comes_to_an_imported_file_is_told(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    said: list[str] = []
    import_model(written("llama", tmp_path), tmp_path / "model", said.append)
    assert "llama.cpp" in said[1]
    assert "reported only" in said[2]
    assert said[3:] == ["same greedy output: 100.0% of the texts", "same tokens: 100.0% of the texts"]


def test_without_it_an_import_says_that_nothing_was_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    said: list[str] = []
    import_model(written("llama", tmp_path), tmp_path / "model", said.append)
    assert said == ["not compared: llama-cpp-python is not installed"]


@pytest.mark.slow
@pytest.mark.parametrize("name", splittings())
def test_both_split_text_alike(name: str, tmp_path: Path) -> None:
    llama_cpp = pytest.importorskip("llama_cpp")
    tokenizer = split_as(name)
    path = write_gguf(small("llama", tokenizer), tmp_path)
    opened = llama_cpp.Llama(model_path=str(path), vocab_only=True, verbose=False)
    for line in [
        *LINES,
        "12345 and 6 7",
        "a\r\n\r\n  b",
        "we'LL 'S isn't",
        "\n\n",
        "x" * 40,
        " ",
        "。！？ 한국어",
    ]:
        assert opened.tokenize(line.encode(), add_bos=False, special=True) == tokenizer.encode(line), line
    assert read_gguf(path).tokenizers.target.encode_batch(LINES) == tokenizer.encode_batch(LINES)


def test_without_it_the_file_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    proof = export_bundle(small("qwen3"), "gguf", tmp_path / "out", TEXTS)
    assert "read back" in proof.opponent
    assert proof.difference <= EXACT.difference
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"README.md", "model.gguf"}
