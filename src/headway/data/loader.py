"""Batches of an epoch: a pure function of (seed, epoch, number), whoever asks and from wherever."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64, Integer

from headway.batch import Batch
from headway.data.epoch_plan import EpochPlan, Planning
from headway.data.keyed_random import Draw, keyed_uniform
from headway.data.objectives import Example, Objective
from headway.data.packing import cut, narrow
from headway.errors import DataError, RecipeError, refuse_out_of_range

LINES_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """How much text one optimizer step sees, and how it is laid out.

    tokens: rows times longest row of the batch of a step, on the longer side, over all processes together;
    only a single example that is longer exceeds it. context: the longest row of a language model; longer
    texts are cut. packing: several short texts in a row of `context`; None packs language models but not
    pairs. accumulate: how many micro-batches a process makes of its share of a batch, at most.
    """

    tokens: int = 4096
    context: int = 256
    packing: bool | None = None
    accumulate: int = 1

    def __post_init__(self) -> None:
        least = {"tokens": 1, "context": 4, "accumulate": 1}
        rules = [(key, getattr(self, key) >= bound, f"at least {bound}") for key, bound in least.items()]
        refuse_out_of_range("batch", self, rules)


@runtime_checkable
class EncodedText(Protocol):
    """Random access to encoded examples; ids hold no special tokens."""

    @property
    def lengths(self) -> Int64[np.ndarray, " N"]:
        """How many ids each example has."""

    @property
    def source_lengths(self) -> Int64[np.ndarray, " N"] | None:
        """How many ids each source has; None where there are no sources."""

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
        if objective.reads_source and text.source_lengths is None:
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
        self.left_out = int(np.count_nonzero(text.lengths + objective.tail == 0))
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
            yield list(self._micro_batches(plan, step, number, share))

    def where(self, epoch: int, batch: int) -> str:
        """The lines of the text that a batch is made of, in words; of many the first ones."""
        plan = self._plan(epoch)
        rows = plan.batch_rows(batch)
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
            yield from self._micro_batches(plan, step, 0, 1.0)

    def _micro_batches(self, plan: EpochPlan, step: int, epoch: int, progress: float) -> Iterator[Batch]:
        all_rows = plan.batch_rows(step)
        own = _share(all_rows, self.rank, self.world)
        parts = min(self.config.accumulate, math.ceil(len(all_rows) / self.world))
        for part in range(parts):
            rows = _share(own, part, parts)
            some = rows or all_rows[:1]
            batch = self.objective.batch(self._rows(plan, some), self.seed, epoch, progress)
            yield batch if rows else batch.without_labels()

    def _rows(self, plan: EpochPlan, rows: range) -> list[list[Example]]:
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
            self._last_plan = None  # two plans of millions of examples need not be in memory at once
            self._last_plan = (epoch, self._make_plan(epoch))
        return self._last_plan[1]

    def _make_plan(self, epoch: int | None) -> EpochPlan:
        """The plan of an epoch, or for None the fixed one of `ordered`."""
        config, objective = self.config, self.objective
        predictions = narrow(self.text.lengths + objective.tail)
        packing = not objective.reads_source if config.packing is None else config.packing
        planning = Planning(
            budget=config.tokens,
            capacity=config.context if packing else 0,
            shuffle=None if epoch is None else (self.seed, epoch),
        )
        if objective.reads_source:
            pieces = cut(predictions, int(predictions.max()))
            assert self.text.source_lengths is not None
            return planning.plan(pieces, predictions, self.text.source_lengths + self.objective.source_frame)
        room = config.context - objective.frame
        first = None
        if epoch is not None:
            long = np.flatnonzero(predictions > room)
            first = np.ones(len(predictions), dtype=np.int32)
            first[long] += (keyed_uniform(self.seed, epoch, Draw.CHUNK_BORDER, long) * room).astype(np.int32)
        pieces = cut(predictions, room, first)
        return planning.plan(pieces, pieces.stops - pieces.starts + objective.frame)


def _share(rows: range, part: int, parts: int) -> range:
    """One of `parts` consecutive runs of rows, as even as can be, the first ones the longer."""
    least, more = divmod(len(rows), parts)
    start = rows.start + part * least + min(part, more)
    return range(start, start + least + (part < more))
