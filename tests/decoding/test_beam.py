"""Beam search over a table whose every output can be listed."""

import pytest
import torch

from headway.decoding.beam import beam_search
from headway.decoding.hypothesis import Found, penalty
from headway.decoding.sample import Room, collect, emit, likeliest
from headway.decoding.settings import SearchConfig
from headway.text.special import OURS
from headway.text.tokenizer import END

from .toys import CHOICES, TableSteps, every_output, score_of, table_log_probs

SOURCES = [20, 21, 22, 23, 24, 25]


def search(
    sources: list[int], room: Room, config: SearchConfig, *, cut_competes: bool = True
) -> list[list[Found]]:
    steps = TableSteps([[source] for source in sources for _ in range(config.beams)])
    return beam_search(
        steps, steps.log_probs()[:: config.beams], room, config, OURS, cut_competes=cut_competes
    )


def room_of(sources: list[int], longest: int, shortest: int = 0) -> Room:
    return Room([shortest] * len(sources), [longest] * len(sources))


def greedy(sources: list[int], longest: int) -> list[Found]:
    steps = TableSteps([[source] for source in sources])
    room = room_of(sources, longest)
    return collect(
        emit(steps, steps.log_probs(), [[]] * len(sources), room, likeliest, OURS), len(sources), 0.0, END
    )


@pytest.mark.parametrize("shortest", [0, 2])
@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.5])
def test_full_width_beam_is_brute_force(alpha: float, shortest: int) -> None:
    longest, n_best = 4, 7
    config = SearchConfig(beams=len(CHOICES) ** (longest - 1), length_penalty=alpha, n_best=n_best)
    results = search(SOURCES[:3], room_of(SOURCES[:3], longest, shortest), config)
    for source, found in zip(SOURCES, results, strict=False):
        every = every_output(source, longest, shortest)
        best = sorted(every, key=lambda each: score_of(each, alpha), reverse=True)[:n_best]
        assert [each.ids for each in found] == [ids for _, ids, _ in best]
        assert [each.finished for each in found] == [ended for _, _, ended in best]
        assert [each.score for each in found] == pytest.approx(
            [score_of(each, alpha) for each in best], abs=1e-5
        )


def test_what_ended_comes_before_what_was_cut_where_the_cut_does_not_compete() -> None:
    longest = 3
    config = SearchConfig(beams=len(CHOICES) ** 3, n_best=25)
    [found] = search([20], room_of([20], longest), config, cut_competes=False)
    every = every_output(20, longest)
    ended = sorted((each for each in every if each[2]), key=lambda each: -score_of(each, 0.6))
    best = [ids for _, ids, _ in ended][:25]
    assert [each.ids for each in found][: len(best)] == best
    assert [each.finished for each in found] == sorted((each.finished for each in found), reverse=True)
    assert not all(each.finished for each in found), "no place was left for what was cut"


def test_one_beam_without_length_penalty_is_greedy() -> None:
    sources = list(range(20, 60))
    config = SearchConfig(beams=1, length_penalty=0.0)
    for competes in (True, False):
        results = search(sources, room_of(sources, 6), config, cut_competes=competes)
        assert [found for [found] in results] == greedy(sources, 6)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
def test_stopping_early_loses_no_better_hypothesis(alpha: float) -> None:
    """The same search with every beam followed to the limit, written with lists."""
    longest = 7
    for beams, n_best in ((1, 1), (2, 1), (3, 3)):
        config = SearchConfig(beams=beams, length_penalty=alpha, n_best=n_best)
        results = search(SOURCES, room_of(SOURCES, longest), config)
        for source, found in zip(SOURCES, results, strict=True):
            expected = exhaustive(source, longest, beams, alpha)[:n_best]
            assert [each.ids for each in found] == [ids for _, ids in expected]


def exhaustive(source: int, longest: int, beams: int, alpha: float) -> list[tuple[float, list[int]]]:
    live, ended = [(0.0, list[int]())], []
    for length in range(1, longest + 1):
        candidates = []
        for total, ids in live:
            log_probs = table_log_probs([source, *ids])
            candidates += [(total + float(log_probs[token]), [*ids, token]) for token in CHOICES]
        candidates.sort(reverse=True)
        ended += [(t / penalty(length, alpha), ids) for t, ids in candidates[:beams] if ids[-1] == END]
        live = [each for each in candidates if each[1][-1] != END][:beams]
    return sorted(ended + [(t / penalty(longest, alpha), ids) for t, ids in live], reverse=True)


def test_a_search_stops_as_soon_as_nothing_better_can_come() -> None:
    steps = TableSteps([[20]] * 2)
    config = SearchConfig(beams=2, length_penalty=0.0)
    [found] = beam_search(steps, steps.log_probs()[:1], Room([0], [1000]), config, OURS, cut_competes=False)
    assert found[0].finished
    assert steps.steps < 20


def test_a_source_is_searched_the_same_alone_and_beside_others() -> None:
    config = SearchConfig(beams=3, n_best=3)
    longest = [2, 7, 3, 5, 7, 1]
    together = search(SOURCES, Room([0] * 6, longest), config)
    for source, limit, found in zip(SOURCES, longest, together, strict=True):
        assert search([source], Room([0], [limit]), config) == [found]


def test_results_are_sorted_bounded_and_add_up() -> None:
    config = SearchConfig(beams=4, n_best=4, length_penalty=0.8)
    for found in search(SOURCES, Room([3] * 6, [6] * 6), config):
        assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
        assert len({tuple(each.ids) for each in found}) == 4
        for each in found:
            assert 4 <= len(each.ids) <= 6
            assert each.finished == (each.ids[-1] == END)
            assert END not in each.ids[:-1]
            assert each.score == pytest.approx(sum(each.log_probs) / penalty(len(each.ids), 0.8), abs=1e-5)


def test_the_penalty_is_the_papers_and_favours_length() -> None:
    assert penalty(1, 0.6) == 1
    assert penalty(7, 1.0) == 2
    lengths = []
    for alpha in (0.0, 3.0):
        results = search(SOURCES, room_of(SOURCES, 8), SearchConfig(beams=50, length_penalty=alpha))
        lengths.append(sum(len(found[0].ids) for found in results))
    assert lengths[1] > lengths[0]


def test_nothing_is_asked_of_rows_that_left() -> None:
    """TableSteps refuses tokens for rows that it does not hold, and rows of another source."""
    config = SearchConfig(beams=2)
    results = search(SOURCES, Room([0] * 6, [1, 9, 2, 9, 3, 9]), config)
    assert all(results)
    assert torch.tensor([len(found[0].ids) for found in results]).unique().numel() > 1
