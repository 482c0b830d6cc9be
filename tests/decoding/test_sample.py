"""Greedy search and sampling."""

import math
from collections import Counter

import pytest
import torch

from headway.decoding.sample import Room, Sampler, collect, emit, likeliest, uniform_numbers
from headway.decoding.settings import SearchConfig
from headway.text.special import OURS
from headway.text.tokenizer import END

from .toys import CHOICES, TableSteps, table_log_probs


def run(
    sources: list[int],
    longest: list[int],
    choose: object = likeliest,
    repetition: float = 1.0,
    shortest: int = 0,
):
    steps = TableSteps([[source] for source in sources])
    room = Room([shortest] * len(sources), longest)
    starts: list[list[int]] = [[] for _ in sources]
    return collect(
        emit(steps, steps.log_probs(), starts, room, choose, OURS, repetition), len(sources), 0.6, END
    )


def test_greedy_takes_the_likeliest_token_at_each_step() -> None:
    sources, longest = list(range(20, 40)), [6, 3] * 10
    for source, limit, found in zip(sources, longest, run(sources, longest), strict=True):
        ids: list[int] = []
        while len(ids) < limit and END not in ids:
            log_probs = table_log_probs([source, *ids])
            ids.append(max(CHOICES, key=lambda token: float(log_probs[token])))
        assert found.ids == ids
        assert found.finished == (ids[-1] == END)
        expected = [float(table_log_probs([source, *ids[:i]])[token]) for i, token in enumerate(ids)]
        assert found.log_probs == pytest.approx(expected, abs=1e-6)


def test_nothing_ends_before_the_shortest_length() -> None:
    for found in run(list(range(20, 40)), [6] * 20, shortest=4):
        assert END not in found.ids[:4]


def test_random_numbers_are_uniform_and_depend_on_key_and_step_alone() -> None:
    keys = [(k * 0x9E3779B97F4A7C15 + 1) % 2**64 for k in range(4000)]
    numbers = uniform_numbers(keys, 3)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert torch.equal(uniform_numbers(keys[5:9], 3), numbers[5:9])
    counts = torch.histc(numbers, bins=10, min=0, max=1)
    assert (counts - 400).abs().max() < 5 * math.sqrt(400)
    assert (uniform_numbers(keys, 4) - numbers).abs().mean() > 0.2
    one_key = torch.cat([uniform_numbers(keys[:1], step) for step in range(1, 1001)])
    assert abs(float(one_key.mean()) - 0.5) < 0.05


@pytest.mark.parametrize("change", [{}, {"temperature": 0.5}, {"temperature": 2.0}, {"top_k": 3}])
def test_samples_follow_softmax(change: dict[str, float]) -> None:
    count = 20_000
    config = SearchConfig(method="sample", **change)
    log_probs = table_log_probs([20])[5:]
    drawn = Sampler(config, [key * 7919 for key in range(count)])(
        log_probs.expand(count, -1), range(count), 1
    )
    logits = log_probs / config.temperature
    if config.top_k:
        logits = logits.masked_fill(logits < logits.sort().values[-3], -torch.inf)
    expected = logits.softmax(0)
    seen = torch.bincount(drawn, minlength=len(expected)) / count
    deviation = (expected * (1 - expected) / count).sqrt()
    assert ((seen - expected).abs() <= 5 * deviation + 1e-9).all()


def test_a_token_without_probability_is_never_drawn() -> None:
    log_probs = torch.full((5000, 50), -torch.inf)
    log_probs[:, 17] = log_probs[:, 31] = math.log(0.5)
    drawn = Sampler(SearchConfig(method="sample"), range(5000))(log_probs, range(5000), 1)
    assert set(Counter(drawn.tolist())) == {17, 31}


@pytest.mark.parametrize("number, token", [(0.0, 2), (1 - 2**-32, 4)])
def test_the_ends_of_the_numbers_draw_tokens_with_probability(
    number: float, token: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "headway.decoding.sample.uniform_numbers",
        lambda keys, step: torch.tensor([number], dtype=torch.float64),
    )
    log_probs = torch.tensor([[-torch.inf, -torch.inf, -1.0, -1.0, -1.0, -torch.inf]])
    number_drawn = Sampler(SearchConfig(method="sample"), [1])(log_probs, [0], 1)
    assert number_drawn.tolist() == [token]


def test_a_row_is_sampled_the_same_alone_and_beside_others() -> None:
    config = SearchConfig(method="sample")
    sources, longest = list(range(20, 40)), [6, 3, 8, 1] * 5
    keys = [source * 1013 for source in sources]
    together = run(sources, longest, Sampler(config, keys))
    for source, limit, key, found in zip(sources, longest, keys, together, strict=True):
        assert run([source], [limit], Sampler(config, [key])) == [found]
    assert len({tuple(found.ids) for found in together}) > 10


def test_log_probabilities_are_the_models_whatever_changes_the_choice() -> None:
    config = SearchConfig(method="sample", temperature=3.0, top_k=2)
    for found in run([20, 21], [6, 6], Sampler(config, [1, 2]), repetition=2.0):
        source = 20 if found.log_probs[0] == float(table_log_probs([20])[found.ids[0]]) else 21
        for i, token in enumerate(found.ids):
            assert found.log_probs[i] == float(table_log_probs([source, *found.ids[:i]])[token])


def test_a_repetition_penalty_makes_texts_repeat_less() -> None:
    def repeats(penalty: float) -> int:
        return sum(
            len(f.ids) - len(set(f.ids))
            for f in run(list(range(20, 40)), [8] * 20, repetition=penalty, shortest=7)
        )

    assert repeats(50.0) < repeats(1.0)
