"""Loss curves as text, for the terminal."""

import statistics

from headway.diagnosis.history import History

WIDTH, HEIGHT = 64, 12
TRAINING, HELD_OUT = "·", "o"


def text_curves(history: History) -> str:
    """Training loss (median of the steps in each column) and held-out loss over steps; empty if none is
    known."""
    trained = [(step.step, step.loss) for step in history.good_steps]
    judged = [(look.step, look.loss) for look in history.good_looks]
    if not trained and not judged:
        return ""
    last = max(step for step, _ in [*trained, *judged])
    columns: list[list[float]] = [[] for _ in range(WIDTH)]
    for step, loss in trained:
        columns[_column(step, last)].append(loss)
    curve = [(column, statistics.median(losses)) for column, losses in enumerate(columns) if losses]
    points = [(_column(step, last), loss) for step, loss in judged]
    values = [loss for _, loss in [*curve, *points]]
    low, high = min(values), max(values)
    rows = [[" "] * WIDTH for _ in range(HEIGHT)]
    for mark, several in ((TRAINING, curve), (HELD_OUT, points)):
        for column, loss in several:
            share = (high - loss) / (high - low) if high > low else 0.5
            rows[round(share * (HEIGHT - 1))][column] = mark
    scale = {0: f"{high:.3g}", HEIGHT // 2: f"{(low + high) / 2:.3g}", HEIGHT - 1: f"{low:.3g}"}
    lines = [f"loss   {TRAINING} training   {HELD_OUT} held-out"]
    lines += [f"{scale.get(row, ''):>8} │{''.join(marks)}".rstrip() for row, marks in enumerate(rows)]
    lines += [f"{'':8} └{'─' * WIDTH}", f"{'step':>8}  1{last:>{WIDTH - 1},}"]
    return "\n".join(lines)


def _column(step: int, last: int) -> int:
    return min(WIDTH - 1, (step - 1) * WIDTH // last)
