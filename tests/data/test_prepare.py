"""Text is prepared once: kept while nothing changes, made anew where it did, accounted for to the line."""

import io
import os
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headway.data import fingerprint
from headway.data import prepare as prepare_module
from headway.data.corpus import DataConfig
from headway.data.input_files import standard_input
from headway.data.prepare import Prepared, prepare
from headway.data.token_file import TokenFile
from headway.errors import DataError, FolderError, RecipeError
from headway.text.tokenizer import TextConfig, TokenizerConfig, Tokenizers, train_tokenizer

PAIRS = "".join(f"word {number}\tW O R D {number}\n" for number in range(60))
WORDS = TextConfig(target=TokenizerConfig(kind="words"))


class Run:
    """A run folder beside its text, and what preparing it told."""

    def __init__(self, folder: Path) -> None:
        self.text = folder / "text.tsv"
        self.text.write_text(PAIRS)
        self.folder = folder / "run"
        self.told: list[str] = []

    def prepare(
        self, text: TextConfig = WORDS, pairs: bool = True, seed: int = 1, **data: object
    ) -> Prepared:
        self.told.clear()
        config = DataConfig(**({"train": (str(self.text),), "held_out": 0.1} | data))  # type: ignore[arg-type]
        return prepare(config, text, pairs=pairs, folder=self.folder, seed=seed, progress=self.told.append)

    @property
    def encoded(self) -> bool:
        return "encoding the text" in self.told

    @property
    def learned(self) -> bool:
        return "learning the vocabulary" in self.told


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def sources(prepared: Prepared, part: str) -> set[str]:
    file = getattr(prepared, part)
    assert prepared.tokenizers.source is not None
    return {prepared.tokenizers.source.decode(file.source(index)) for index in range(len(file))}


def test_all_text_is_in_one_part_or_the_other(run: Run) -> None:
    prepared = run.prepare(text=TextConfig())
    assert (len(prepared.train), len(prepared.valid)) == (54, 6)
    held, kept = sources(prepared, "valid"), sources(prepared, "train")
    assert held | kept == {f"word {number}" for number in range(60)}
    line = int(prepared.valid.lines[0])
    assert prepared.tokenizers.target.decode(prepared.valid.ids(0)) == f"W O R D {line - 1}"
    assert "read 60 examples" in prepared.report
    assert any(line.startswith("train: 54 examples") for line in prepared.report)
    assert any(line.startswith("validation: 6 examples") for line in prepared.report)


def test_the_vocabulary_is_learned_on_the_training_part_alone(run: Run) -> None:
    prepared = run.prepare(text=TextConfig(target=TokenizerConfig(kind="symbols")))
    numbers = {text.split()[1] for text in sources(prepared, "train")}
    held = {str(int(line) - 1) for line in prepared.valid.lines}
    vocabulary = set(prepared.tokenizers.target.pieces(range(prepared.tokenizers.target.vocab_size)))
    assert numbers <= vocabulary
    assert not held & vocabulary
    assert "unknown 20.000%" in prepared.report[-1]


def test_joint_and_separate_vocabularies(run: Run) -> None:
    joint = run.prepare().tokenizers
    assert joint.source is joint.target
    apart = TextConfig(target=TokenizerConfig(kind="symbols"), source=TokenizerConfig(kind="characters"))
    source, target = run.prepare(apart).tokenizers
    assert source is not None
    assert (source.kind, target.kind) == ("characters", "symbols")
    assert "w" not in target.pieces(range(target.vocab_size))
    again = run.prepare(apart).tokenizers
    assert again.source is not None
    assert (again.source.fingerprint, again.target.fingerprint) == (source.fingerprint, target.fingerprint)
    assert not run.learned
    alone = run.prepare(pairs=False, layout="lines").tokenizers
    assert alone.source is None
    with pytest.raises(RecipeError, match=r"text\.source"):
        run.prepare(apart, pairs=False, layout="lines")


def test_the_tokenizer_is_saved_before_anything_is_encoded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> Iterator[None]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("headway.data.prepare.encode_stream", stop)
        with pytest.raises(KeyboardInterrupt):
            run.prepare()
    assert (run.folder / "tokenizer.json").exists()
    assert not list(run.folder.glob("*.tokens*"))
    run.prepare()
    assert run.encoded
    assert not run.learned


def test_a_second_start_reads_no_text(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run.prepare()

    def refuse(*_: object) -> object:
        raise AssertionError("the text was read")

    monkeypatch.setattr("headway.data.prepare.read_records", refuse)
    monkeypatch.setattr(fingerprint, "content_hash", refuse)
    second = run.prepare()
    assert run.told == []
    assert second.report == first.report
    assert [second.train.ids(index).tolist() for index in range(54)] == [
        first.train.ids(index).tolist() for index in range(54)
    ]


def test_a_touched_file_is_hashed_and_a_changed_one_encoded_again(run: Run) -> None:
    run.prepare()
    os.utime(run.text, ns=(0, 0))
    run.prepare()
    assert run.told == []
    # Same size: only the time and the content tell.
    run.text.write_text(PAIRS.replace("word 7\t", "wird 7\t"))
    prepared = run.prepare()
    assert run.encoded
    assert "has changed; encoding the text again" in run.told[0]
    assert not run.learned, "a model may depend on the vocabulary"
    assert len(prepared.train) + len(prepared.valid) == 60


@pytest.mark.parametrize("change", [{"seed": 2}, {"held_out": 0.2}, {"columns": (2, 1)}, {"max_target": 6}])
def test_another_way_of_reading_is_encoded_again(run: Run, change: dict[str, object]) -> None:
    first = run.prepare()
    second = run.prepare(**change)  # type: ignore[arg-type]
    assert run.encoded
    assert second.train.fingerprint != first.train.fingerprint


def test_another_tokenizer_is_learned_and_the_text_encoded_again(run: Run) -> None:
    run.prepare()
    assert run.prepare(TextConfig()).tokenizers.target.kind == "bpe"
    assert run.learned
    assert run.encoded


def test_given_tokenizers_are_used(run: Run) -> None:
    given = train_tokenizer([PAIRS], TokenizerConfig(kind="characters"))
    config = DataConfig(train=(str(run.text),))
    prepared = prepare(
        config,
        WORDS,
        pairs=True,
        folder=run.folder,
        seed=0,
        progress=run.told.append,
        tokenizers=Tokenizers(given, given),
    )
    assert not run.learned
    assert prepared.tokenizers.target is given
    assert prepared.train.fingerprint != run.prepare().train.fingerprint


@pytest.mark.parametrize("part", ["train", "valid"])
def test_damaged_encoded_text_is_made_again_and_said_so(run: Run, part: str) -> None:
    first = run.prepare()
    path = run.folder / f"{part}.tokens"
    before = path.read_bytes()
    path.write_bytes(before[:-70] + b"\xff" + before[-69:])
    second = run.prepare()
    assert f"{part}.tokens: is damaged" in run.told[0]
    assert path.read_bytes() == before
    assert second.report == first.report


def test_a_damaged_tokenizer_is_refused_by_name(run: Run) -> None:
    run.prepare()
    (run.folder / "tokenizer.json").write_text("{")
    with pytest.raises(FolderError, match=r"tokenizer\.json"):
        run.prepare()


def test_runs_share_a_cache_without_disturbing_each_other(run: Run, tmp_path: Path) -> None:
    shared = str(tmp_path / "run")
    first = run.prepare(cache=shared)
    run.prepare(TextConfig(), cache=shared)
    assert run.encoded
    again = run.prepare(cache=shared)
    assert run.told == []
    assert again.train.path == first.train.path


def test_given_tokenizers_find_the_text_that_was_encoded_with_them(run: Run, tmp_path: Path) -> None:
    """As when a run goes on that has kept its own."""
    config = DataConfig(train=(str(run.text),), held_out=0.1, cache=str(run.folder))
    first = run.prepare(cache=str(run.folder))
    run.told.clear()
    settings: dict[str, Any] = {"pairs": True, "folder": run.folder, "seed": 1, "progress": run.told.append}
    again = prepare(config, WORDS, tokenizers=first.tokenizers, **settings)
    assert run.told == []
    assert again.train.path == first.train.path
    other = train_tokenizer([PAIRS], TokenizerConfig(kind="characters"))
    apart = prepare(config, WORDS, tokenizers=Tokenizers(other, other), **settings)
    assert apart.train.path != first.train.path
    assert not run.learned


def test_no_file_is_mapped_while_it_is_replaced(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows would refuse."""
    run.prepare()
    (run.folder / "train.tokens").write_bytes(b"damaged")
    mapped: list[object] = []
    closed = weakref.WeakSet[TokenFile]()
    encode, opened = prepare_module._encode, prepare_module._open

    def remember(*arguments: Any) -> TokenFile | None:
        file = opened(*arguments)
        if file is not None:
            closed.add(file)
        return file

    def look(*arguments: Any) -> None:
        mapped.extend(closed)
        encode(*arguments)

    monkeypatch.setattr(prepare_module, "_open", remember)
    monkeypatch.setattr(prepare_module, "_encode", look)
    run.prepare()
    assert run.encoded
    assert mapped == []


def test_sources_of_the_validation_file_are_kept_out_of_training(run: Run, tmp_path: Path) -> None:
    valid = tmp_path / "valid.tsv"
    valid.write_text("word 3\tW\n\nWORD  5\tO\nanother\tX\n")
    prepared = run.prepare(valid=(str(valid),), text=TextConfig())
    assert (len(prepared.train), len(prepared.valid)) == (58, 3)
    assert not {"word 3", "word 5"} & sources(prepared, "train")
    report = "\n".join(prepared.report)
    assert "left out 2: the source is also in the validation file (first: " in report
    assert f"{run.text}, line 4" in report
    assert "validation: left out 1: blank line" in report


def test_long_and_repeated_examples_are_counted(run: Run) -> None:
    run.text.write_text(PAIRS + "word 1\tW O R D 1\n" + "a b c d e f g\tlong\nshort\ta b c d e f g h\n")
    prepared = run.prepare(TextConfig(target=TokenizerConfig(kind="symbols")), max_source=6, max_target=7)
    report = "\n".join(prepared.report)
    assert "left out 1: longer than max_source = 6 tokens (first: " in report
    assert "left out 1: longer than max_target = 7 tokens (first: " in report
    assert "1 of them repeat another" in report
    assert len(prepared.train) + len(prepared.valid) == 61
    assert int(prepared.train.lengths.max()) <= 7


def test_skipped_lines_are_in_the_report(run: Run) -> None:
    run.text.write_text(PAIRS + "no tab\n")
    with pytest.raises(DataError, match="line 61: missing tab"):
        run.prepare()
    assert any("left out 1: missing tab" in line for line in run.prepare(bad_lines="skip").report)


@pytest.mark.parametrize("pairs", [True, False])
def test_one_line_cannot_be_divided(run: Run, pairs: bool, tmp_path: Path) -> None:
    run.text.write_text("only\tone\n")
    with pytest.raises(DataError, match=r"text\.tsv: holds one example.*give a validation file"):
        run.prepare(pairs=pairs)
    valid = tmp_path / "valid.tsv"
    valid.write_text("an\tother\n")
    assert len(run.prepare(pairs=pairs, valid=(str(valid),)).train) == 1


def test_when_nothing_is_left_for_training_it_is_an_error(run: Run) -> None:
    with pytest.raises(DataError, match="no text to learn"):
        run.prepare(valid=(str(run.text),))
    with pytest.raises(DataError, match=r"no example is left for train.*longer than max_target = 1"):
        run.prepare(max_target=1)


def test_standard_input_is_needed_only_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def give(text: str) -> None:
        standard_input.cache_clear()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    give(PAIRS)
    first = run.prepare(train=("-",))
    assert len(first.train) == 54
    give("")
    assert run.prepare(train=("-",)).train.fingerprint == first.train.fingerprint
    assert run.told == []
    give(PAIRS.replace("word", "other"))
    assert run.prepare(train=("-",)).train.fingerprint != first.train.fingerprint
    standard_input.cache_clear()


def test_a_whole_file_is_one_document_with_its_line_ends(run: Run, tmp_path: Path) -> None:
    run.text.write_text("def f():\n\n    return 1\n" * 3_000)
    valid = tmp_path / "valid.py"
    valid.write_text("x = 1\n\n\ny = 2")
    text = TextConfig(target=TokenizerConfig(vocab_size=280))
    prepared = run.prepare(text, pairs=False, layout="file", valid=(str(valid),))
    assert prepared.tokenizers.target.decode(prepared.train.ids(0)) == run.text.read_text()
    assert prepared.tokenizers.target.decode(prepared.valid.ids(0)) == valid.read_text()
