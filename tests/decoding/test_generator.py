"""Searches with real models: the cache, the batch and the length of a text change nothing."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from typing import TypeVar

import pytest
import torch

from headway.decoding.beam import beam_search
from headway.decoding.ensemble import Ensemble
from headway.decoding.generator import Generator
from headway.decoding.hypothesis import Hypothesis, penalty
from headway.decoding.sample import Room, collect, emit, likeliest
from headway.decoding.score import Scorer
from headway.decoding.settings import SearchConfig
from headway.errors import UserError
from headway.text.special import OURS
from headway.text.tokenizer import END

from .toys import SHAPES, UncachedSteps, byte_pairs, letters, tiny, words

T = TypeVar("T")

METHODS = {
    "beam": SearchConfig(beams=3, n_best=3, max_extra=8, max_length=7),
    "greedy": SearchConfig(method="greedy", max_extra=8, max_length=7),
    "sample": SearchConfig(method="sample", n_best=3, max_extra=8, max_length=7, seed=5),
}
KINDS = {"pairs": (1, 1), "causal": (0, 2)}


def flat(groups: Iterable[list[T]]) -> list[T]:
    return list(chain.from_iterable(groups))


def same(ours: list[Hypothesis], theirs: list[Hypothesis]) -> None:
    assert [each.ids for each in ours] == [each.ids for each in theirs]
    for a, b in zip(ours, theirs, strict=True):
        assert (a.text, a.finished) == (b.text, b.finished)
        assert a.log_probs == pytest.approx(b.log_probs, abs=1e-5)
        assert a.score == pytest.approx(b.score, abs=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["beam", "greedy"])
def test_cached_is_uncached(method: str, kind: str, shape: str) -> None:
    ensemble = tiny(*KINDS[kind], shape=shape)
    ids = letters().encode_batch(words(6))
    sources, starts = (ids, [each[:2] for each in ids]) if kind == "pairs" else (None, ids)
    room = Room([0] * 6, [3, 6, 6, 6, 5, 6])
    config = SearchConfig(beams=3, n_best=3)
    with ensemble.evaluating():
        if method == "greedy":
            steps, first = ensemble.begin(sources, starts, 1)
            found = collect(emit(steps, first, starts, room, likeliest, OURS), 6, 0.6, END)
            plain = UncachedSteps(ensemble.models[0], sources, starts)
            expected = collect(emit(plain, plain.log_probs(), starts, room, likeliest, OURS), 6, 0.6, END)
        else:
            steps, first = ensemble.begin(sources, starts, 3)
            found = flat(beam_search(steps, first[::3], room, config, OURS, cut_competes=True))
            plain = UncachedSteps(
                ensemble.models[0],
                None if sources is None else [each for each in sources for _ in range(3)],
                [each for each in starts for _ in range(3)],
            )
            first = plain.log_probs()[::3]
            expected = flat(beam_search(plain, first, room, config, OURS, cut_competes=True))
    assert [each.ids for each in found] == [each.ids for each in expected]
    for a, b in zip(found, expected, strict=True):
        assert a.log_probs == pytest.approx(b.log_probs, abs=1e-5)


@pytest.mark.parametrize(
    "method, kind, shape",
    [
        ("beam", "pairs", "paper"),
        ("beam", "causal", "learned"),
        ("greedy", "pairs", "modern"),
        ("greedy", "causal", "paper"),
        ("sample", "pairs", "learned"),
        ("sample", "causal", "modern"),
    ],
)
def test_batched_is_alone_and_in_input_order(method: str, kind: str, shape: str) -> None:
    texts = [words(9)[i] for i in (2, 8, 0, 5)]
    generator = Generator(tiny(*KINDS[kind], shape=shape), METHODS[method])
    together = generator.generate(texts)
    small = Generator(generator.ensemble, replace(METHODS[method], batch_tokens=60)).generate(texts)
    for text, found, few in zip(texts, together, small, strict=True):
        same(found, generator.generate([text])[0])
        same(found, few)


@pytest.mark.parametrize("alpha", [0.0, 0.6])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_hypotheses_are_worth_what_scoring_says(method: str, kind: str, alpha: float) -> None:
    ensemble, texts = tiny(*KINDS[kind]), words(4)
    for text, found in zip(
        texts,
        Generator(ensemble, replace(METHODS[method], length_penalty=alpha)).generate(texts),
        strict=True,
    ):
        start = letters().encode(text)
        assert [each.score for each in found] == sorted((each.score for each in found), reverse=True) or (
            kind == "pairs" and method == "beam"
        )
        for each in found:
            if kind == "pairs":
                [score] = Scorer(ensemble).score_ids([each.ids], [start])
                values = score.log_probs
            else:
                [score] = Scorer(ensemble).score_ids([start + each.ids])
                values = score.log_probs[len(start) :]
            count = len(each.ids) + each.finished
            assert each.log_probs == pytest.approx(values[:count], abs=1e-5)
            assert each.score == pytest.approx(sum(values[:count]) / penalty(count, alpha), abs=1e-4)


def test_one_beam_without_length_penalty_is_greedy() -> None:
    for layers in KINDS.values():
        ensemble = tiny(*layers)
        beam = SearchConfig(beams=1, length_penalty=0, max_length=8)
        greedy = SearchConfig(method="greedy", length_penalty=0, max_length=8)
        for ours, theirs in zip(
            Generator(ensemble, beam).generate(words(5)),
            Generator(ensemble, greedy).generate(words(5)),
            strict=True,
        ):
            same(ours, theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_its_text_and_equal_texts_differ(kind: str) -> None:
    ensemble = tiny(*KINDS[kind])

    def sample(texts: list[str], **changes: int) -> list[list[Hypothesis]]:
        return Generator(ensemble, replace(METHODS["sample"], **changes)).generate(texts)

    first = sample(["abc"] * 3)
    assert first == sample(["abc"] * 3)
    assert len({each.text for found in first for each in found}) > 5, "equal texts give equal samples"
    assert sample(["abc"], seed=6) != first[:1]
    [one], three = sample(["abc"], n_best=1)[0], first[0]
    assert one.ids in [each.ids for each in three], "the first sample changes with the number of samples"


@pytest.mark.parametrize("method", METHODS)
def test_a_forced_prefix_begins_the_output(method: str) -> None:
    ensemble, prefixes = tiny(1, 1), ["ab", "", "cde"]
    generator = Generator(ensemble, METHODS[method])
    results = generator.generate(["ace", "bd", "hg"], prefixes)
    for prefix, found in zip(prefixes, results, strict=True):
        assert all(each.text.startswith(prefix) for each in found)
        assert all(len(each.ids) + each.finished == len(prefix) + len(each.log_probs) for each in found)
    same(results[1], generator.generate(["bd"])[0])


def test_a_prefix_that_would_come_anyway_changes_nothing() -> None:
    generator = Generator(tiny(1, 1), SearchConfig(method="greedy", max_extra=9, min_length=8))
    [[free]] = generator.generate(["ace"])
    prefix = letters().decode(free.ids[:4])
    [[forced]] = generator.generate(["ace"], [prefix])
    assert forced.ids == free.ids
    assert forced.log_probs == pytest.approx(free.log_probs[4:], abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_lengths_are_relative_to_the_source(method: str) -> None:
    config = replace(METHODS[method], max_length=0, max_ratio=0.5, max_extra=3, min_ratio=0.5)
    for text, found in zip(words(6), Generator(tiny(1, 1), config).generate(words(6)), strict=True):
        for each in found:
            assert len(each.ids) >= len(text) / 2
            assert len(each.ids) + each.finished <= int(len(text) / 2) + 3
            assert each.finished or len(each.log_probs) == int(len(text) / 2) + 3


def test_finished_says_who_ended_the_text() -> None:
    generator = Generator(tiny(1, 1), replace(METHODS["sample"], n_best=8))
    found = flat(generator.generate(words(4)))
    assert {each.finished for each in found} == {True, False}
    assert all(each.finished or len(each.ids) == len(each.log_probs) for each in found)


def test_long_text_is_split_and_joined_with_its_line_breaks() -> None:
    ensemble = replace(tiny(1, 1), longest_source=8)
    generator = Generator(ensemble, METHODS["greedy"])

    def alone(text: str) -> str:
        return generator.generate([text])[0][0].text

    text = "abcd.\n\n  bcde. fgh.\r\nacegbdfhacegbd\n"
    [found] = generator.generate([text])
    parts = ["abcd.", "bcde.", "fgh.", "acegbdfh", "acegbd"]
    a, b, c, d, e = map(alone, parts)
    assert found[0].text == f"{a}\n\n  {b} {c}\r\n{d}{e}\n"
    assert len(found[0].log_probs) == sum(len(generator.generate([p])[0][0].log_probs) for p in parts)
    unsplit = Generator(replace(ensemble, longest_source=0), METHODS["greedy"]).generate([text])
    assert unsplit[0][0].text != found[0].text


def test_a_prefix_is_forced_where_a_long_text_begins_and_nowhere_else() -> None:
    generator = Generator(replace(tiny(1, 1), longest_source=6), METHODS["greedy"])
    [[long]] = generator.generate(["abc.\nbcdefa"], ["hh"])
    [[first], [second]] = generator.generate(["abc.", "bcdefa"], ["hh", ""])
    assert long.text == f"{first.text}\n{second.text}"
    assert first.text.startswith("hh")
    assert not second.text.startswith("hh")


def test_long_text_has_as_many_hypotheses_and_short_text_is_left_whole() -> None:
    generator = Generator(replace(tiny(1, 1), longest_source=6), METHODS["beam"])
    [[*long], [*short]] = generator.generate(["abc.\nabcdefgh", "ab\ncd"])
    assert len(long) == len(short) == 3
    assert long[0].score >= long[1].score >= long[2].score
    same(short, Generator(tiny(1, 1), METHODS["beam"]).generate(["ab\ncd"])[0])


def test_blank_text_stays_blank() -> None:
    generator = Generator(tiny(1, 1), METHODS["beam"])
    found = generator.generate(["", "  ", "ab", "\n"])
    assert [each[0].text for each in (found[0], found[1], found[3])] == ["", "  ", "\n"]
    assert all(found[i][0].finished for i in (0, 1, 3))
    assert generator.generate([]) == []
    assert generator.generate([""], ["ab"])[0][0].text.startswith("ab")


@pytest.mark.parametrize("method", ["greedy", "sample"])
def test_a_stream_joins_to_the_text(method: str) -> None:
    generator = Generator(tiny(0, 1, byte_pairs()), replace(METHODS[method], n_best=1, max_length=15))
    shown = []
    for prompt in ("the c", "", "été"):
        pieces = list(generator.stream(prompt))
        [[whole]] = generator.generate([prompt])
        assert "".join(pieces) == whole.text
        shown += pieces
    assert len(shown) > 3


def test_a_stream_leaves_the_reader_in_peace() -> None:
    generator = Generator(tiny(0, 1), METHODS["greedy"])
    stream = generator.stream("ab")
    next(stream)
    assert torch.is_grad_enabled()
    stream.close()
    assert generator.ensemble.models[0].training


def test_what_a_causal_model_writes_stays_within_its_context() -> None:
    ensemble = replace(tiny(0, 1, shape="learned"), longest_target=20)
    generator = Generator(ensemble, SearchConfig(method="greedy"))
    texts = ["a", "abcdefgh", "abcdefghabcdefghabc"]
    for text, [found] in zip(texts, generator.generate(texts), strict=True):
        assert found.finished or len(text) + len(found.ids) == 20
    with pytest.raises(UserError, match=r"20 tokens.*19"):
        generator.generate(["abcdefghabcdefghabcd"])


def test_what_cannot_be_done_is_said() -> None:
    causal, pairs = tiny(0, 1), tiny(1, 1)
    with pytest.raises(UserError, match="max_length"):
        Generator(causal).generate(["ab"])
    with pytest.raises(UserError, match="blanks"):
        Generator(tiny(1, 0))
    with pytest.raises(UserError, match="prompts"):
        Generator(causal, METHODS["greedy"]).generate(["ab"], ["c"])
    with pytest.raises(UserError, match="1 target prefixes for 2"):
        Generator(pairs).generate(["ab", "c"], ["c"])
    with pytest.raises(UserError, match="causal"):
        Generator(pairs).stream("ab")
    for method in ("beam", "sample"):
        with pytest.raises(UserError, match="greedy"):
            Generator(causal, METHODS[method]).stream("ab")


def test_tokens_that_only_the_model_knows_are_never_chosen() -> None:
    roomy = tiny(0, 1, byte_pairs())
    narrow = Ensemble(roomy.models, tiny(0, 1).tokenizers)
    config = SearchConfig(method="sample", temperature=5.0, max_length=50, n_best=5)
    for found in Generator(narrow, config).generate(["ab"])[0]:
        assert max(found.ids) < letters().vocab_size
        assert min(found.ids) >= 5
        assert END not in found.ids


def test_an_overlong_prompt_has_an_end_that_fits() -> None:
    causal = replace(tiny(0, 1), longest_target=20)
    for config, length in ((SearchConfig(), 10), (SearchConfig(max_length=3), 17)):
        generator = Generator(causal, config)
        assert generator.prompt_that_fits("abcdefgh") == "abcdefgh"
        end = generator.prompt_that_fits("ab" * 40)
        assert end == ("ab" * 40)[-length:]
        assert generator.generate([end])


def test_a_prefix_is_never_lost() -> None:
    with pytest.raises(UserError, match=r"lacks: \['9', '!'\]"):
        Generator(tiny(1, 1)).generate(["ab"], ["a9!9"])
