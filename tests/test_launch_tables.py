"""`headway.train` on tables in memory: a run like any other, which goes on without them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import headway
from headway.errors import DataError, FolderError, UserError
from headway.launch import train
from tests.tiny import CAUSAL, PAIRS, WORDS


def quiet(_: str) -> None:
    pass


def test_a_frame_of_pairs_is_learned_and_the_run_goes_on_without_it(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"word": WORDS, "back": [" ".join(reversed(word)) for word in WORDS]})
    told: list[str] = []
    fields = ["data.source_field=word", "data.target_field=back"]
    overrides = [*PAIRS, *fields, "stop.steps=12", "training.validate_every=6", "training.save_every=6"]
    run = train(frame, overrides=overrides, out=tmp_path / "run", say=told.append).folder
    assert any("columns of the table: learning pairs" in line for line in told)
    assert any(line.startswith(f"read {len(WORDS)} examples") for line in told)
    assert headway.load(run.model).architecture == "encoder-decoder"

    shutil.rmtree(run.model)
    shutil.rmtree(max(run.checkpoints.iterdir()))
    train(run.path, say=quiet)
    assert run.is_finished


def test_a_data_set_of_text_is_learned(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    text = datasets.Dataset.from_dict({"text": [" ".join(WORDS[i : i + 6]) for i in range(60)]})
    run = train(text, overrides=[*CAUSAL, "stop.steps=3"], out=tmp_path / "run", say=quiet).folder
    assert headway.load(run.model).architecture == "decoder"


def test_nothing_is_left_of_a_table_that_cannot_be_used(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    out = tmp_path / "run"
    with pytest.raises(DataError, match=r"line 2: field 'text' is no text"):
        train(pandas.DataFrame({"text": ["a", 5]}), out=out, say=quiet)
    with pytest.raises(UserError, match=r"a list is no training data: .*pandas, polars or datasets"):
        train(["a", "b"], out=out, say=quiet)
    with pytest.raises(UserError, match="a str is no training data"):
        train(pandas.DataFrame({"text": ["a"]}), "more.txt", out=out, say=quiet)
    assert not out.exists()
    out.mkdir()
    (out / "mine.txt").write_text("mine", "utf-8")
    with pytest.raises(FolderError, match="is there already"):
        train(pandas.DataFrame({"text": ["a", "b"]}), out=out, say=quiet)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


def test_libraries_of_tables_are_not_imported_for_files() -> None:
    program = (
        "import sys, headway.launch\n"
        "assert not {'pandas', 'polars', 'datasets'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
