"""`headway export` and `headway import`, as a person types them."""

from pathlib import Path

import pytest

from tests.commands.program import headway, refused

pytest.importorskip("transformers")


def test_out_and_back(tiny_runs: dict[str, Path], tmp_path: Path) -> None:
    done = headway("export", tiny_runs["causal"], "--to", "transformers", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "same greedy output: 100.0% of the texts" in done.stdout.splitlines()
    assert done.stderr.strip().endswith(f"the export is in {tmp_path / 'out'}")
    back = headway("import", "out", folder=tmp_path)
    assert back.returncode == 0, back.stderr
    assert back.stdout.splitlines()[-1].startswith("decoder, ")
    assert "Use it with: headway predict models/out" in back.stderr
    search = ("method=greedy", "max_length=4", "repetition_penalty=1")
    again = headway("predict", "models/out", *search, typed="bal bam\n", folder=tmp_path)
    ours = headway("predict", tiny_runs["causal"], *search, typed="bal bam\n")
    assert again.stdout == ours.stdout


def test_a_model_that_the_target_cannot_hold(tiny_runs: dict[str, Path], tmp_path: Path) -> None:
    message = refused(headway("export", tiny_runs["pairs"], "--to", "gguf", "-o", tmp_path / "out"))
    assert message == "gguf cannot hold this model: it holds decoders only"
    assert not (tmp_path / "out").exists()


def test_what_is_no_model_of_transformers(tiny_runs: dict[str, Path], tmp_path: Path) -> None:
    message = refused(headway("import", tiny_runs["pairs"], "-o", tmp_path / "out"))
    assert message.endswith("expected a folder of `transformers`, with a config.json")
    assert "there is no such" in refused(headway("import", tmp_path / "nowhere"))


def test_the_table_is_shown_before_training() -> None:
    done = headway("inspect", "paper-base")
    assert "MarianMTModel" in done.stdout
    assert "it holds decoders only" in done.stdout
    wider = headway("inspect", "paper-base", "model.positions.kind=learned")
    assert "model.positions.kind=sinusoidal" in wider.stdout
