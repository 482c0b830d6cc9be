"""Who sees what is felt; the alignment is the best one; agreement is counted as it says."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tour.encoder_decoder import (
    ALONG,
    ANY,
    Agreement,
    Seed,
    along,
    at_random,
    compare,
    compare_head,
    felt,
    findings,
    memory_weights,
    run,
    shown_of,
    views_of,
)
from tour.letter_alignment import FARTHEST, SMOOTH, Spelling, align, count
from tour.pronunciation import QUICK, Lesson, Words, batch_of, dictionary_of, lesson_of, model_of
from tour.report import PAGES, Settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    return lesson_of(dictionary_of(Settings(quick=True)), QUICK)


def one_of(words: Words, index: int) -> Words:
    return Words(*(side[index : index + 1] for side in words))


def test_the_dictionary_is_divided_without_overlap(lesson: Lesson) -> None:
    held, counted = set(lesson.held_out.spelled), set(lesson.counted.spelled)
    assert len(held) == QUICK.judged and counted and not held & counted


def test_what_is_visible_is_felt_and_nothing_else(lesson: Lesson) -> None:
    one = one_of(lesson.held_out, 0)
    model = model_of(lesson, QUICK, seed=1)
    moved = felt(model, batch_of(lesson, one))
    views = views_of(lesson, model, one)
    assert {view.name for view in views} == set(moved)
    for view in views:
        assert torch.equal(moved[view.name], view.visible), view.name


def test_each_layer_has_its_weights_on_memory(lesson: Lesson) -> None:
    words = lesson.held_out
    weights = memory_weights(model_of(lesson, QUICK, seed=1), batch_of(lesson, words))
    assert len(weights) == QUICK.layers
    for each in weights:
        assert each.shape[:2] == (len(words.spelled), QUICK.heads)
        torch.testing.assert_close(each.sum(-1), torch.ones(each.shape[:3]))
        for word, letters in enumerate(words.letters):
            assert not each[word, :, :, len(letters) + 1 :].any(), "padding is seen"


def made_up(table: np.ndarray, onward: np.ndarray) -> Spelling:
    return Spelling(table / table.sum(1, keepdims=True), onward / onward.sum())


def ways_of(word: list[int], sounds: list[int], spelling: Spelling) -> dict[tuple[int, ...], float]:
    """Every alignment of a word that never goes back, with its probability."""
    found = {}
    for way in itertools.combinations_with_replacement(range(len(word)), len(sounds)):
        uttered = math.prod(spelling.uttered[word[at], sound] for at, sound in zip(way, sounds, strict=True))
        found[way] = uttered * math.prod(spelling.onward[b - a] for a, b in itertools.pairwise(way))
    return found


def words_at_random(chance: np.random.Generator) -> tuple[list[list[int]], list[list[int]]]:
    letters = [chance.integers(0, 4, size).tolist() for size in (1, 3, 6, 2, 5)]
    return letters, [chance.integers(0, 5, size).tolist() for size in (2, 4, 2, 1, 3)]


def test_the_best_alignment_is_the_one_that_trying_all_finds() -> None:
    chance = np.random.default_rng(1)
    spelling = made_up(chance.random((4, 5)), chance.random(FARTHEST + 1))
    letters, phonemes = words_at_random(chance)
    for places, word, sounds in zip(align(spelling, letters, phonemes), letters, phonemes, strict=True):
        ways = ways_of(word, sounds, spelling)
        assert ways[tuple(places)] == pytest.approx(max(ways.values()))


def test_a_round_of_counting_counts_all_alignments() -> None:
    letters, phonemes = words_at_random(np.random.default_rng(2))
    even = made_up(np.ones((4, 5)), np.ones(FARTHEST + 1))
    table, onward = np.full((4, 5), SMOOTH), np.full(FARTHEST + 1, SMOOTH)
    for word, sounds in zip(letters, phonemes, strict=True):
        ways = ways_of(word, sounds, even)
        for way, likely in ways.items():
            share = likely / sum(ways.values())
            for at, sound in zip(way, sounds, strict=True):
                table[word[at], sound] += share
            for a, b in itertools.pairwise(way):
                onward[b - a] += share
    wanted, found = made_up(table, onward), count(letters, phonemes, (4, 5), rounds=1)
    np.testing.assert_allclose(found.uttered, wanted.uttered)
    np.testing.assert_allclose(found.onward, wanted.onward)


def test_counting_finds_which_letter_is_spoken_how() -> None:
    chance = np.random.default_rng(1)
    letters, phonemes, right = [], [], []
    for _ in range(200):  # letter 0 is silent, the others sound like themselves
        word = chance.integers(0, 5, 6).tolist()
        spoken = [place for place, letter in enumerate(word) if letter]
        if spoken:
            letters.append(word)
            phonemes.append([word[place] for place in spoken])
            right.append(spoken)
    spelling = count(letters, phonemes, (5, 5))
    assert all(spelling.uttered[sound].argmax() == sound for sound in range(1, 5))
    pairs = zip(align(spelling, letters, phonemes), right, strict=True)
    agreed = [a == b for found, spoken in pairs for a, b in zip(found, spoken, strict=True)]
    assert sum(agreed) > 0.85 * len(agreed), "what a silent letter would utter is anybody's guess"


def test_agreement_is_counted_over_phonemes() -> None:
    aligned, guess = [[0, 1, 1], [1]], [[0, 0, 1], [0]]
    found = compare([[0, 2, 1], [3]], aligned, guess)
    assert found == Agreement(exact=2 / 4, near=3 / 4, against=0.0, goes_back=1 / 2)
    assert compare(aligned, aligned, guess) == Agreement(1.0, 1.0, 1.0, 0.0)
    weights = torch.zeros(2, 3, 4)
    for word, phoneme, letter in ((0, 0, 0), (0, 1, 1), (0, 2, 0), (1, 0, 3)):
        weights[word, phoneme, letter] = 0.75
    weights[0, 2, 1] = 0.25
    of_head = compare_head(weights, aligned, guess)
    assert of_head == Agreement(2 / 4, 3 / 4, 1 / 2, 1 / 2, (0.75 + 0.75 + 0.25) / 4)


def test_what_needs_no_learning_names_letters_of_the_word(lesson: Lesson) -> None:
    for named in (along(lesson.held_out), at_random(lesson.held_out)):
        for places, letters, phonemes in zip(
            named, lesson.held_out.letters, lesson.held_out.phonemes, strict=True
        ):
            assert len(places) == len(phonemes) and 0 <= min(places) <= max(places) < len(letters)
    assert all(places == sorted(places) for places in along(lesson.held_out))


def test_findings_follow_the_figures() -> None:
    simple = {ALONG: Agreement(0.4, 0.8, 0.0, 0.0), ANY: Agreement(0.1, 0.3, 0.1, 0.4)}
    good, bad = Agreement(0.9, 0.95, 0.7, 0.1, 0.8), Agreement(0.2, 0.5, 0.1, 0.3, 0.1)
    seeds = [Seed(seed, 0.8, {"1.1": good, "1.2": bad}, {"1.1": bad}, "1.1", good) for seed in (1, 2)]
    text = findings(seeds, simple)
    assert "letter for 90% [90%–90%] of phonemes" in text and "more often with 2 of 2 seeds" in text
    assert "looks at it for 70% [70%–70%]" in text and "less than half as often with 2 of 2 seeds" in text
    assert "1 [1–1] of 2 heads" in text and "agreed for 20% [20%–20%]" in text
    worse = [Seed(1, 0.8, {"1.1": bad}, {"1.1": bad}, "1.1", bad)]
    assert "more often with 0 of 1 seeds" in findings(worse, simple)


def test_the_words_of_the_picture_are_spread_evenly() -> None:
    words = Words(["a" * (1 + i % 10) for i in range(100)], [""] * 100, [[]] * 100, [[]] * 100)
    shown = shown_of(words)
    assert len(shown) == 4 and shown == sorted(set(shown))
    assert all(5 <= len(words.spelled[index]) <= 9 for index in shown)


def test_a_smoke_run_fills_its_page(tmp_path: Path) -> None:
    run(Settings(quick=True, seeds=1, out=tmp_path))
    page = (tmp_path / "encoder-decoder.md").read_text("utf-8")
    for name in ("masks", "heads"):
        assert f"<!-- table: {name} -->\n\n|" in page
    for name in ("masks", "words"):
        assert (tmp_path / "figures" / f"encoder-decoder-{name}.svg").exists()
        assert f"figures/encoder-decoder-{name}.svg" in (PAGES / "encoder-decoder.md").read_text("utf-8")
    figures = json.loads((tmp_path / "results" / "encoder-decoder.json").read_text("utf-8"))["figures"]
    assert len(figures["seeds"]) == 1 and set(figures["simple"]) == {ALONG, ANY}
