"""Signs in what a model says of held-out examples: collapse, no end, copies, nothing."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from headway.diagnosis.finding import Finding
from headway.diagnosis.history import History, Look
from headway.training.loop import Sample

LASTING = 3
"""Validations in a row, after warm-up: every model begins by saying the same to all, and most get over it. Of
a finished run the one whose weights were taken counts alone."""

FEWEST = 4
"""Samples that can tell anything."""

SAME, REFERENCES_SAME = 0.9, 0.5
"""Share of equal outputs, where at most so many references are equal: of eight outputs all."""

COPIED = 0.75
"""Share of outputs that equal their source, among those whose reference does not."""

MANY = 0.5
"""Share of outputs that are empty, or that only the limit ended."""


def collapse(history: History) -> Finding | None:
    """The same output for different inputs."""
    look = _lasting(history, _same)
    if look is None:
        return None
    counts = Counter(_plain(sample.prediction) for sample in look.samples)
    [(output, count)] = counts.most_common(1)
    masked = history.recipe.model.architecture == "encoder"
    unseen = "what stands around a blank" if masked else "its input"
    return Finding(
        "collapse",
        f"{count} of {len(look.samples)} different inputs get the same output, {_short(output)}, at step "
        f"{look.step:,}",
        f"The model does not look at {unseen}. Mend what other signs name. If there are none and the "
        "held-out loss has stopped falling, see that inputs and outputs belong together line by line, "
        "lengthen schedule.warmup, or lower optimizer.rate",
        {"same": count, "samples": len(look.samples), "step": look.step},
    )


def no_end(history: History) -> Finding | None:
    """Outputs run to the limit of their length."""
    look = _lasting(history, _without_end) if history.recipe.reads_pairs else None
    if look is None:
        return None
    count = sum(not sample.finished for sample in look.samples)
    return Finding(
        "no end token",
        f"{count} of {len(look.samples)} outputs at step {look.step:,} run on to the limit of their length",
        "It has not learned when to stop. If the held-out loss has stopped falling, look whether targets of "
        "training have no end of their own, and bound the search by search.max_ratio",
        {"without_end": count, "samples": len(look.samples), "step": look.step},
    )


def copying(history: History) -> Finding | None:
    """Outputs equal their inputs, where references do not."""
    look = _lasting(history, _copied) if history.recipe.reads_pairs else None
    if look is None:
        return None
    changed = _changed(look.samples)
    count = sum(_plain(sample.prediction) == _plain(sample.source) for sample in changed)
    return Finding(
        "copying",
        f"{count} of {len(changed)} outputs at step {look.step:,} are their input, which references change",
        "Look for pairs whose two sides are equal, and leave them out; train longer if they are few",
        {"copied": count, "samples": len(changed), "step": look.step},
    )


def empty(history: History) -> Finding | None:
    """Nothing is said where something should be."""
    look = _lasting(history, _empty)
    if look is None:
        return None
    filled = _with_reference(look.samples)
    count = sum(not sample.prediction.strip() for sample in filled)
    return Finding(
        "empty outputs",
        f"{count} of {len(filled)} outputs at step {look.step:,} are empty",
        "Look for empty or very short targets in the training text; if there are none, train longer, or set "
        "search.min_length=1",
        {"empty": count, "samples": len(filled), "step": look.step},
    )


def _lasting(history: History, holds: Callable[[Look], bool]) -> Look | None:
    """The newest validation at which something holds, if it has held for long enough; None if not."""
    if history.finished:
        look = history.chosen_look
        return look if look is not None and holds(look) else None
    looks = [look for look in history.looks if look.step > history.warmup][-LASTING:]
    return looks[-1] if len(looks) == LASTING and all(map(holds, looks)) else None


def _same(look: Look) -> bool:
    samples = _with_output(look.samples)
    if len(samples) < max(FEWEST, MANY * len(look.samples)) or len({s.source for s in samples}) < len(
        samples
    ):
        return False
    return _commonest(sample.prediction for sample in samples) >= SAME * len(samples) and _commonest(
        sample.reference for sample in samples
    ) <= REFERENCES_SAME * len(samples)


def _without_end(look: Look) -> bool:
    return len(look.samples) >= FEWEST and sum(not s.finished for s in look.samples) >= MANY * len(
        look.samples
    )


def _copied(look: Look) -> bool:
    changed = _changed(look.samples)
    same = sum(_plain(sample.prediction) == _plain(sample.source) for sample in changed)
    return len(changed) >= FEWEST and same >= COPIED * len(changed)


def _empty(look: Look) -> bool:
    filled = _with_reference(look.samples)
    return len(filled) >= FEWEST and sum(not s.prediction.strip() for s in filled) >= MANY * len(filled)


def _commonest(texts: Iterable[str]) -> int:
    """How often the commonest text stands among them."""
    return max(Counter(map(_plain, texts)).values())


def _with_output(samples: Sequence[Sample]) -> list[Sample]:
    return [sample for sample in samples if sample.prediction.strip()]


def _with_reference(samples: Sequence[Sample]) -> list[Sample]:
    return [sample for sample in samples if sample.reference.strip()]


def _changed(samples: Sequence[Sample]) -> list[Sample]:
    return [sample for sample in samples if _plain(sample.reference) != _plain(sample.source)]


def _plain(text: str) -> str:
    return " ".join(text.split())


def _short(text: str, width: int = 40) -> str:
    return repr(text if len(text) <= width else text[: width - 1] + "…")
