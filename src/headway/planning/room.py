"""Room in memory: a plan that would not fit steps down."""

from headway.planning.draft import Draft
from headway.planning.expect import memory_of
from headway.planning.kind import Kind
from headway.planning.machine import Machine
from headway.planning.shape import SIZED, SIZES, Wishes, put_size, work_of
from headway.planning.units import Units

SHARE = 0.85
"""Of the memory that a training may take: the system needs some, and the figure is an estimate."""
FEWEST_TOKENS = 256
"""Of a batch."""


def fit_memory(draft: Draft, kind: Kind, units: Units, machine: Machine, wishes: Wishes) -> None:
    """Make the batch smaller, and then the model, until the training fits into the machine's memory.

    What the user has decided stays. A batch keeps room for one text of each side, or one context.
    """
    if machine.memory is None:
        return
    room = SHARE * machine.memory
    least = max(FEWEST_TOKENS, units.longest if units.source is not None else draft.get("batch.context"))
    sizes = list(SIZES)
    fixed = wishes.size is not None or any(draft.is_given(key) for key in SIZED) or draft.is_given("preset")
    size = next((n for n in sizes if SIZES[n].d_model == draft.get("model.d_model")), sizes[0])
    while (needed := memory_of(work_of(draft, units))) > room:
        there = f"{needed / 2**30:.1f} GiB of memory, and there are {machine.memory / 2**30:.1f}"
        tokens = draft.get("batch.tokens")
        smaller = max(least, tokens // 2)
        if smaller < tokens and not draft.is_given("batch.tokens"):
            draft.choose("batch.tokens", smaller, f"a smaller batch: a larger one would take {there}")
        elif size != sizes[0] and not fixed:
            larger, size = size, sizes[sizes.index(size) - 1]
            put_size(draft, SIZES[size], kind.stacks, f"size {size}: {larger} would take {there}")
        else:
            return
