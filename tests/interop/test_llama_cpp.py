"""llama.cpp opens what was written, reads text alike and computes the same."""

import sys
from pathlib import Path

import pytest

from headway.interop.exporters import export_bundle
from headway.interop.llama_cpp import export
from headway.interop.proof import EXACT, Texts, prove
from tests.interop.gguf_models import LINES, SHAPES, small
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


def test_without_it_the_file_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    proof = export_bundle(small("qwen3"), "gguf", tmp_path / "out", TEXTS)
    assert "read back" in proof.opponent
    assert proof.difference <= EXACT.difference
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"README.md", "model.gguf"}
