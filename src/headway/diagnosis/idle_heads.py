"""Many attention heads average blindly, or always look at one place."""

from headway.diagnosis.finding import Finding
from headway.diagnosis.heads import Heads
from headway.diagnosis.history import History

DEAD = 0.5
"""Share of heads that do nothing. Good models have idle heads too (Voita et al. 2019, Michel et al. 2019),
small ones on short texts up to a third."""

LASTING = 3
"""Validations in a row after warm-up: all heads begin uniform."""


def dead_heads(history: History) -> Finding | None:
    warm = [look for look in history.looks if look.step > history.warmup and look.heads is not None]
    several = [look.heads for look in warm[-LASTING:] if look.heads is not None]
    if len(several) < LASTING or not all(map(_are_dead, several)):
        return None
    heads = several[-1]
    names = [*heads.uniform, *heads.fixed]
    return Finding(
        "dead heads",
        f"{heads.dead} of {heads.count} attention heads do nothing at step {warm[-1].step:,}: "
        f"{len(heads.uniform)} look at all tokens alike, {len(heads.fixed)} always at the same place "
        f"({', '.join(names[:4])}{', …' if len(names) > 4 else ''})",
        "If the loss has stopped falling, lower optimizer.rate or lengthen schedule.warmup; if it is good, a "
        "model with fewer heads or layers does as well",
        {"dead": heads.dead, "heads": heads.count, "uniform": len(heads.uniform), "fixed": len(heads.fixed)},
    )


def _are_dead(heads: Heads) -> bool:
    return heads.dead >= DEAD * heads.count
