"""Batches of an epoch: a pure function of (seed, epoch, number), whoever asks and from wherever."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64, Integer

from headway.batch import Batch
from headway.data.epoch_plan import EpochPlan, Planning, PoolPlan
from headway.data.keyed_random import Draw, keyed_uniform
from headway.data.objectives import Example, Objective
from headway.data.packing import cut, narrow
from headway.data.pools import divide
from headway.errors import DataError, RecipeError, refuse_out_of_range

LINES_SHOWN = 20
_AT_ONCE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """How much text one step of the optimizer sees, and how it is laid out."""

    tokens: int = 4096
    """Rows times longest row of a step's batch, on the longer side, over all processes together; only a
    single example that is longer exceeds it."""
    context: int = 256
    """Longest row of a language model, in tokens; longer texts are cut, and every token is still learned
    from."""
    packing: bool | None = None
    """Several short texts in a row of `context` tokens, which do not see each other; None = for language
    models, not for pairs."""
    accumulate: int = 1
    """A process computes its share of the batch in so many parts at most, which saves memory; the
    gradient is that of the whole."""

    def __post_init__(self) -> None:
        least = {"tokens": 1, "context": 4, "accumulate": 1}
        rules = [(key, getattr(self, key) >= bound, f"at least {bound}") for key, bound in least.items()]
        refuse_out_of_range("batch", self, rules)


@runtime_checkable
class EncodedText(Protocol):
    """Random access to encoded examples; ids hold no special tokens."""

    @property
    def starts(self) -> Int64[np.ndarray, " starts"]:
        """Where in the ids of all each example begins, and after them where the last one ends."""

    @property
    def source_starts(self) -> Int64[np.ndarray, " starts"] | None:
        """The same of the sources; None where there are none."""

    @property
    def lines(self) -> Int64[np.ndarray, " N"]:
        """The line of its file in which each example begins, from 1."""

    def __len__(self) -> int: ...

    def ids(self, index: int, /) -> Integer[np.ndarray, " n"]: ...

    def source(self, index: int, /) -> Integer[np.ndarray, " m"] | None: ...


class Loader:
    """Gives this process its share of every batch.

    Every example of the text is used exactly once an epoch; those of a language model that are longer than a
    row in pieces, cut at other places each epoch, of which each predicts what the others do not. Examples
    without anything to predict (empty texts of a masked model) are in no batch; `left_out` counts them.
    """

    def __init__(
        self,
        text: EncodedText,
        objective: Objective,
        config: BatchConfig,
        *,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        assert 0 <= rank < world, f"rank {rank} of {world}"
        if objective.reads_source and text.source_starts is None:
            raise DataError("these texts have no source side, as learning from pairs needs")
        if not objective.reads_source and config.context > config.tokens:
            raise RecipeError(
                f"context = {config.context} is longer than tokens = {config.tokens}:"
                " a batch must hold at least one row"
            )
        self.text = text
        self.objective = objective
        self.config = config
        self.seed = seed
        self.rank = rank
        self.world = world
        self.left_out = 0 if objective.tail else _empty(text.starts)
        if self.left_out == len(text):
            raise DataError("there is no text to learn from")
        self._last_plan: tuple[int, EpochPlan] | None = None

    def batches(self, epoch: int) -> int:
        """How many batches, and so optimizer steps, the epoch has: equal on all processes."""
        return len(self._plan(epoch))

    def epoch(
        self, number: int, start: int = 0, progress: Callable[[int], float] | None = None
    ) -> Iterator[list[Batch]]:
        """This process's micro-batches of each optimizer step from step `start` of the epoch on.

        They are as many on all processes: where rows do not suffice, some hold a row without labels.
        `progress` tells from the number of a step in this epoch how much of the training lies before it, from
        0 to 1.
        """
        plan = self._plan(number)
        for step in range(start, len(plan)):
            share = 0.0 if progress is None else progress(step)
            yield list(self._micro_batches(*plan.find(step), number, share))

    def where(self, epoch: int, batch: int) -> str:
        """The lines of the text that a batch is made of, in words; of many the first ones."""
        plan, rows = self._plan(epoch).find(batch)
        pieces = plan.pieces.examples[plan.row_starts[rows.start] : plan.row_starts[rows.stop]]
        lines = np.unique(self.text.lines[pieces]).tolist()
        shown = ", ".join(f"{line:,}" for line in lines[:LINES_SHOWN])
        more = f" and {len(lines) - LINES_SHOWN:,} more" if len(lines) > LINES_SHOWN else ""
        return f"Its batch is of the training text's lines {shown}{more}"

    def ordered(self) -> Iterator[Batch]:
        """This process's share of all examples once, from the shortest on, always cut and masked alike.

        For validation: masks are those of epoch 0 at the end of their schedule.
        """
        plan = self._make_plan(None)
        for step in range(len(plan)):
            yield from self._micro_batches(*plan.find(step), 0, 1.0)

    def _micro_batches(self, plan: PoolPlan, all_rows: range, epoch: int, progress: float) -> Iterator[Batch]:
        own = _share(all_rows, self.rank, self.world)
        parts = min(self.config.accumulate, math.ceil(len(all_rows) / self.world))
        for part in range(parts):
            rows = _share(own, part, parts)
            some = rows or all_rows[:1]
            batch = self.objective.batch(self._rows(plan, some), self.seed, epoch, progress)
            yield batch if rows else batch.without_labels()

    def _rows(self, plan: PoolPlan, rows: range) -> list[list[Example]]:
        bounds = plan.row_starts[rows.start : rows.stop + 1]
        first, last = int(bounds[0]), int(bounds[-1])
        columns = (column[first:last].tolist() for column in plan.pieces)
        with_source = self.objective.reads_source
        examples = [
            Example(
                index, self.text.ids(index), self.text.source(index) if with_source else None, start, stop
            )
            for index, start, stop in zip(*columns, strict=True)
        ]
        cuts = (bounds - first).tolist()
        return [examples[a:b] for a, b in pairwise(cuts)]

    def _plan(self, epoch: int) -> EpochPlan:
        if self._last_plan is None or self._last_plan[0] != epoch:
            self._last_plan = None  # two plans need not be in memory at once
            self._last_plan = (epoch, self._make_plan(epoch))
        return self._last_plan[1]

    def _make_plan(self, epoch: int | None) -> EpochPlan:
        """The plan of an epoch, or for None the fixed one of `ordered`."""
        objective = self.objective
        room = None if objective.reads_source else self.config.context - objective.frame
        pools = divide(self.text.starts, room, None if epoch is None else (self.seed, epoch))
        return EpochPlan(len(pools), lambda pool: self._plan_pool(epoch, pool, pools.members(pool), room))

    def _plan_pool(
        self, epoch: int | None, pool: int, members: Integer[np.ndarray, " n"], room: int | None
    ) -> PoolPlan:
        """The batches of some examples, those of language models cut to `room` predictions."""
        config, objective, text = self.config, self.objective, self.text
        packing = not objective.reads_source if config.packing is None else config.packing
        planning = Planning(
            budget=config.tokens,
            capacity=config.context if packing else 0,
            shuffle=None if epoch is None else (self.seed, epoch),
            pool=pool,
        )
        predictions = narrow(_lengths(text.starts, members) + objective.tail)
        if room is None:
            assert text.source_starts is not None, "pairs have sources"
            pieces = cut(predictions, int(predictions.max())).of(members)
            sources = _lengths(text.source_starts, members) + objective.source_frame
            return planning.plan(pieces, predictions, sources)
        first = None
        if epoch is not None:
            long = np.flatnonzero(predictions > room)
            first = np.ones(len(predictions), dtype=np.int32)
            drawn = keyed_uniform(self.seed, epoch, Draw.CHUNK_BORDER, members[long])
            first[long] += (drawn * room).astype(np.int32)
        pieces = cut(predictions, room, first).of(members)
        return planning.plan(pieces, pieces.stops - pieces.starts + objective.frame)


def _lengths(
    starts: Int64[np.ndarray, " starts"], members: Integer[np.ndarray, " n"]
) -> Int64[np.ndarray, " n"]:
    return starts[members + 1] - starts[members]


def _empty(starts: Int64[np.ndarray, " starts"]) -> int:
    """How many examples have no ids."""
    places = range(0, len(starts) - 1, _AT_ONCE)
    return sum(int(np.count_nonzero(np.diff(starts[at : at + _AT_ONCE + 1]) == 0)) for at in places)


def _share(rows: range, part: int, parts: int) -> range:
    """One of `parts` consecutive runs of rows, as even as can be, the first ones the longer."""
    least, more = divmod(len(rows), parts)
    start = rows.start + part * least + min(part, more)
    return range(start, start + least + (part < more))
