"""Greedy search and sampling: one token a row and step. Axes: R rows, V vocabulary."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from headway.decoding.hypothesis import Found, found
from headway.decoding.largest import largest
from headway.decoding.logits import forbid, mark_seen, penalize_repetition, sharpen
from headway.decoding.settings import SearchConfig
from headway.decoding.steps import Steps
from headway.text.special import SpecialIds


class Room(NamedTuple):
    """How long the output of each row may be, in tokens."""

    shortest: Sequence[int]
    """Tokens that come before any </s>."""
    longest: Sequence[int]
    """Tokens at most, </s> included; at least 1."""


class Chosen(NamedTuple):
    """What one step chose for one row."""

    row: int
    token: int
    log_prob: float
    """What the model gave the token, whatever changed the choice."""


@runtime_checkable
class Choose(Protocol):
    """Picks a token for each row."""

    def __call__(
        self, log_probs: Float[Tensor, "R V"], rows: Sequence[int], step: int
    ) -> Int[Tensor, "R"]: ...


def likeliest(log_probs: Float[Tensor, "R V"], rows: Sequence[int], step: int) -> Int[Tensor, "R"]:
    """Greedy search's choice."""
    return largest(log_probs, 1)[1][:, 0]


def uniform_numbers(keys: Sequence[int], step: int | Sequence[int]) -> Float[Tensor, "R"]:
    """A number from [0, 1) for each key and step, the same everywhere (SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        steps = np.array(step, dtype=np.uint64)
        state = np.array(keys, dtype=np.uint64) + steps * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    return torch.from_numpy((state >> np.uint64(32)).astype(np.float64) / 2**32)


class Sampler:
    """Draws each row's token with random numbers of that row's key alone, so that other rows never matter."""

    def __init__(self, config: SearchConfig, keys: Sequence[int]) -> None:
        self.config, self.keys = config, keys

    def __call__(
        self, log_probs: Float[Tensor, "R V"], rows: Sequence[int], step: int | Sequence[int]
    ) -> Int[Tensor, "R"]:
        """`step` is that of all rows, or of each."""
        probabilities = sharpen(log_probs, self.config).softmax(dim=1)
        # Sums over a large vocabulary need double precision, which Apple's devices lack.
        device = torch.device("cpu") if probabilities.device.type == "mps" else probabilities.device
        sums = probabilities.to(device).double().cumsum(dim=1)
        numbers = uniform_numbers([self.keys[row] for row in rows], step).to(device)
        drawn = torch.searchsorted(sums, numbers[:, None] * sums[:, -1:], right=True)
        return drawn[:, 0].to(log_probs.device)


def emit(
    steps: Steps,
    log_probs: Float[Tensor, "R V"],
    starts: Sequence[Sequence[int]],
    room: Room,
    choose: Choose,
    special: SpecialIds,
    repetition_penalty: float = 1.0,
) -> Iterator[list[Chosen]]:
    """What each step chooses, for the rows not yet ended; `log_probs` are those after each row's start.

    A row ends with </s> or where its room ends, and then leaves the batch.
    """
    device = log_probs.device
    rows = list(range(len(starts)))
    seen = None
    if repetition_penalty != 1:
        seen = torch.zeros_like(log_probs, dtype=torch.bool)
        for row, start in enumerate(starts):
            seen[row, list(start)] = True
    step = 0
    while True:
        step += 1
        early = [step <= room.shortest[row] for row in rows]
        allowed = forbid(log_probs, special, torch.tensor(early, device=device) if any(early) else None)
        if seen is not None:
            allowed = penalize_repetition(allowed, seen, repetition_penalty)
        tokens = choose(allowed, rows, step)
        values = log_probs.gather(1, tokens[:, None])[:, 0].tolist()
        chosen = [Chosen(*each) for each in zip(rows, tokens.tolist(), values, strict=True)]
        yield chosen
        going = [
            i for i, each in enumerate(chosen) if each.token != special.end and step < room.longest[each.row]
        ]
        if not going:
            return
        if len(going) < len(rows):
            rows = [rows[i] for i in going]
            index = torch.tensor(going, device=device)
            steps.keep(index)
            tokens, seen = tokens[index], None if seen is None else seen[index]
        if seen is not None:
            seen = mark_seen(seen, tokens[:, None])
        log_probs = steps.step(tokens)


def collect(emitted: Iterator[list[Chosen]], rows: int, length_penalty: float, end: int) -> list[Found]:
    """What was chosen, row by row."""
    ids: list[list[int]] = [[] for _ in range(rows)]
    log_probs: list[list[float]] = [[] for _ in range(rows)]
    for chosen in emitted:
        for row, token, log_prob in chosen:
            ids[row].append(token)
            log_probs[row].append(log_prob)
    return [found(i, p, length_penalty, end) for i, p in zip(ids, log_probs, strict=True)]
