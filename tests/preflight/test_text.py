"""Text that is lost on its way through the tokenizers is told, with its place."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from headway.preflight import text
from headway.preflight.text import check_text, sampled
from headway.preflight.trial import Trial
from headway.text.tokenizer import Tokenizer, Tokenizers
from tests.preflight.starts import prepared_by, recipe_of
from tests.tiny import WORDS, write_pairs


@pytest.mark.parametrize("kind", ["pairs", "causal", "masked"])
def test_tiny_text_is_whole(kind: str, trials: dict[str, Trial]) -> None:
    start = trials[kind].start
    assert check_text(start.recipe.data, start.prepared).level == "ok"


def write(path: Path, words: list[str]) -> Path:
    path.write_text("".join(f"{word}\t{' '.join(word)}\n" for word in words), "utf-8")
    return path


def test_letters_that_only_held_out_text_has_are_named(tmp_path: Path) -> None:
    train, valid = write(tmp_path / "train.tsv", WORDS), write(tmp_path / "valid.tsv", ["baé", "büé", "dal"])
    recipe = recipe_of("pairs", train, valid=[valid])
    found = check_text(recipe.data, prepared_by(recipe, tmp_path))
    assert found.level == "warning"
    for side in ("target", "source"):
        assert f"66.7% of 3 held-out {side}s hold what the vocabulary does not know" in found.message
    assert "most often 'é' (2), 'ü' (1)" in found.message
    assert "'bpe'" in found.remedy


def test_a_vocabulary_that_knows_next_to_nothing_is_a_fault(tmp_path: Path) -> None:
    recipe = recipe_of(
        "causal", write(tmp_path / "train.tsv", WORDS), "text.target.kind=words", "text.target.vocab_size=7"
    )
    found = check_text(recipe.data, prepared_by(recipe, tmp_path))
    assert (found.level, "training texts hold" in found.message) == ("fault", True)
    assert "raise vocab_size" in found.remedy


def stripping(tokenizer: Tokenizer) -> Tokenizer:
    """The same, but that accents are lost before text is split."""
    content = json.loads(tokenizer.to_json())
    steps = [step for step in (content["normalizer"], {"type": "NFD"}, {"type": "StripAccents"}) if step]
    return Tokenizer(json.dumps(content | {"normalizer": {"type": "Sequence", "normalizers": steps}}))


def test_a_tokenizer_that_loses_characters_is_found_with_the_line(tmp_path: Path) -> None:
    train = write(tmp_path / "train.tsv", [*WORDS, "lés"])
    recipe = recipe_of("pairs", train, "data.held_out=0.01")
    prepared = prepared_by(recipe, tmp_path)
    lossy = Tokenizers(stripping(prepared.tokenizers.source), prepared.tokenizers.target)
    found = check_text(recipe.data, replace(prepared, tokenizers=lossy))
    assert found.level == "warning"
    assert f"first {train}, line 81: 'lés' becomes 'les'" in found.message


def test_the_held_out_lines_of_several_files_are_known(tmp_path: Path) -> None:
    """The same line number in two files names two examples, of which perhaps one is held out."""
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "a.tsv", WORDS[:40])
    write(folder / "b.tsv", WORDS[40:])
    recipe = recipe_of("pairs", folder / "*.tsv", "data.held_out=0.2")
    prepared = prepared_by(recipe, tmp_path)
    training, held_out = sampled(recipe.data, prepared)
    target = prepared.tokenizers.target
    expected = {target.decode(prepared.valid.ids(index)) for index in range(len(prepared.valid))}
    assert {record.target for record in held_out} == expected
    assert len(training) + len(held_out) == len(WORDS)


def test_a_sample_is_drawn_evenly_and_reading_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of("pairs", write_pairs(tmp_path))
    prepared = prepared_by(recipe, tmp_path)
    monkeypatch.setattr(text, "SAMPLE", 10)
    training, _ = sampled(recipe.data, prepared)
    assert len(training) == 10
    assert max(record.line for record in training) > 40
    monkeypatch.setattr(text, "READ", 5)
    assert len(sampled(recipe.data, prepared)[0]) <= 5
    monkeypatch.setattr(text, "READ_CHARACTERS", 5)
    assert len(sampled(recipe.data, prepared)[0]) == 1


def test_a_long_text_is_tried_in_pieces(tmp_path: Path) -> None:
    """What is unknown deep inside of one is found."""
    train, valid = tmp_path / "train.txt", tmp_path / "valid.txt"
    train.write_text("abc " * 900, "utf-8")
    valid.write_text("abc " * 400 + "é", "utf-8")
    recipe = recipe_of("causal", train, "data.layout=file", "text.target.kind=characters", valid=[valid])
    found = check_text(recipe.data, prepared_by(recipe, tmp_path))
    assert "50.0% of 2 held-out texts hold" in found.message
