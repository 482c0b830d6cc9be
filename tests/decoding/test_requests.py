"""What is asked of a search."""

import pytest

from headway.decoding.requests import numbered, pair_request, prompt_request
from headway.decoding.settings import SearchConfig
from headway.errors import UserError


def test_the_papers_longest_output_is_the_source_and_fifty_tokens() -> None:
    request = pair_request([5] * 7, [], SearchConfig(), 0)
    assert (request.shortest, request.longest) == (0, 57)


@pytest.mark.parametrize(
    "change, table, expected",
    [
        ({"max_length": 20}, 0, (0, 20)),
        ({}, 30, (0, 30)),
        ({"min_ratio": 0.5}, 0, (4, 57)),
        ({"min_ratio": 0.5, "min_length": 6}, 0, (6, 57)),
        ({"max_ratio": 2.0, "max_extra": 3}, 0, (0, 17)),
    ],
)
def test_the_narrowest_limit_counts(change: dict[str, float], table: int, expected: tuple[int, int]) -> None:
    request = pair_request([5] * 7, [], SearchConfig(**change), table)
    assert (request.shortest, request.longest) == expected


def test_a_forced_prefix_takes_its_part_of_the_length() -> None:
    config = SearchConfig(min_length=6, max_length=10)
    request = pair_request([5] * 7, [8, 9], config, 0)
    assert (request.shortest, request.longest) == (4, 8)
    assert pair_request([5], [8] * 40, config, 0).longest == 1


def test_a_prompt_and_its_continuation_fill_the_context() -> None:
    assert prompt_request([5] * 7, SearchConfig(), 10).longest == 3
    assert prompt_request([5] * 7, SearchConfig(max_length=2), 10).longest == 2
    assert prompt_request([5] * 7, SearchConfig(max_length=2), 0).longest == 2
    with pytest.raises(UserError, match="10 tokens"):
        prompt_request([5] * 10, SearchConfig(), 10)


def test_random_keys_tell_requests_and_samples_apart_and_nothing_else() -> None:
    config = SearchConfig()
    first, other, again = numbered(pair_request(ids, [], config, 0) for ids in ([5, 6], [6, 5], [5, 6]))
    [alone] = numbered([pair_request([5, 6], [], config, 0)])
    assert first.keys(1, 3) == alone.keys(1, 3)
    assert first.keys(1, 9)[:3] == first.keys(1, 3)
    every = [key for each in (first, other, again) for seed in (1, 2) for key in each.keys(seed, 9)]
    assert len(set(every)) == len(every)
