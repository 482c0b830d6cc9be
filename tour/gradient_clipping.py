"""Gradient clipping: norms, rates at which runs diverge, and over-fitting, with and without it.

Every run makes the steps of `headway.training.step.train_step` on the Bible in Basic English. Runs of one
seed begin with the same weights and see the same batches, whatever the rate and the clipping.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tour.clipped_runs import CLIP, Found, Run, Size, measure
from tour.report import Results, Settings, main_of, spread
from tour.seeds import compared, shaded
from tour.text import bible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {"sgd": "SGD with momentum", "adam": "Adam"}

FULL = Size()
QUICK = Size(
    d_model=16,
    vocabulary=280,
    tokens=128,
    chapters=8,
    steps=6,
    rates={"sgd": (0.1, 1e6), "adam": (1e-3,)},
    few_chapters=2,
    few_steps=6,
    held_out=2,
    look_every=3,
    clips=(0.0, CLIP),
)


def named(clip: float) -> str:
    return f"clipped at {clip:g}" if clip else "not clipped"


def loss_of(runs: Sequence[Run]) -> str:
    """The losses of the last fifth of those runs that did not diverge."""
    fine = [statistics.fmean(run.late) for run in runs if not run.diverged]
    return spread(fine, ".2f") if fine else "–"


def rows_of_rates(size: Size, found: Found) -> list[list[str]]:
    rows = []
    for kind, rates in size.rates.items():
        for rate in rates:
            without, clipped = found.of(kind, rate, 0.0), found.of(kind, rate, CLIP)
            diverged = [f"{sum(run.diverged for run in runs)} of {len(runs)}" for runs in (without, clipped)]
            rows.append([NAMES[kind], f"{rate:g}", *diverged, loss_of(without), loss_of(clipped)])
    return rows


def rows_of_fits(found: Found) -> list[list[str]]:
    rows = []
    for clip, fits in found.fits.items():
        norms = [statistics.median(run.norms) for run in fits]
        largest = [max(run.norms) for run in fits]
        share = [sum(norm > clip for norm in run.norms) / len(run.norms) if clip else 0.0 for run in fits]
        rows.append([named(clip), spread(norms, ".2f"), spread(largest, ".1f"), spread(share, ".0%")])
    return rows


def rows_of_gaps(found: Found) -> list[list[str]]:
    return [
        [
            named(clip),
            spread([run.seen[-1] for run in fits], ".2f"),
            spread([run.unseen[-1] for run in fits], ".2f"),
            spread([run.gap for run in fits], ".2f"),
            spread([min(run.unseen) for run in fits], ".2f"),
        ]
        for clip, fits in found.fits.items()
    ]


def findings(size: Size, found: Found) -> str:
    """What the figures say, whatever they are."""
    lines = [_about_rates(size, found, kind) for kind in size.rates]
    lines += [_about_fits(found, clip) for clip in found.fits if clip]
    return "\n".join(f"- {line}" for line in lines)


def _about_rates(size: Size, found: Found, kind: str) -> str:
    rates = size.rates[kind]
    lost = {
        clip: sum(run.diverged for rate in rates for run in found.of(kind, rate, clip))
        for clip in (0.0, CLIP)
    }
    runs = sum(len(found.of(kind, rate, 0.0)) for rate in rates)
    said = f"{NAMES[kind]}: {lost[0.0]} of {runs} runs diverged without clipping, {lost[CLIP]} with it."
    pairs = found.saved(kind)
    if not pairs:
        return f"{said} At no rate did a run diverge without clipping whose twin with clipping did not."
    saved = sorted({without.rate for without, _ in pairs})
    return (
        f"{said} Pairs of runs that differ in clipping alone, of which only the one without it diverged: "
        f"{len(pairs)}, at rates {', '.join(f'{rate:g}' for rate in saved)}."
    )


def _about_fits(found: Found, clip: float) -> str:
    """Whether clipping changes the gap or the lowest held-out loss by more than seeds differ."""
    plain, clipped = found.fits[0.0], found.fits[clip]
    gap = compared([fit.gap for fit in plain], [fit.gap for fit in clipped], "+.3f", "nats")
    lowest = compared(
        [min(fit.unseen) for fit in plain], [min(fit.unseen) for fit in clipped], "+.3f", "nats"
    )
    return (
        f"Over-fitting, clipped at {clip:g} beside not clipped. The gap at the end: {gap}. "
        f"The lowest held-out loss: {lowest}."
    )


def draw_rates(figure: "Figure", size: Size, found: Found) -> None:
    """The loss reached over the rate; runs that diverged stand above a line."""
    start = max(trial.run.losses[0] for trial in found.trials)
    several = figure.subplots(1, len(size.rates), sharey=True, squeeze=False)[0]
    for axes, (kind, rates) in zip(several, size.rates.items(), strict=True):
        for clip, style, color, above in ((0.0, "o--", "C3", 1.3), (CLIP, "s-", "C0", 1.2)):
            heights = [
                [
                    above * start if run.diverged else statistics.fmean(run.late)
                    for run in found.of(kind, rate, clip)
                ]
                for rate in rates
            ]
            shaded(axes, rates, list(zip(*heights, strict=True)), named(clip), style=style, color=color)
        axes.axhline(1.1 * start, color="0.5", linewidth=0.8)
        axes.set(xscale="log", title=NAMES[kind], xlabel="learning rate")
        axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
        axes.minorticks_off()
    several[0].set_ylim(top=1.4 * start)  # of all, once the lowest is known
    several[0].set(ylabel="loss in the last fifth, nats a token")
    several[0].text(0.02, 0.98, "diverged", transform=several[0].transAxes, va="top", color="0.4")
    figure.legend(*several[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)


def draw_norms(figure: "Figure", found: Found) -> None:
    """Norms of a quiet training, and of the first pair of which clipping saved one."""
    quiet, wild = figure.subplots(1, 2)
    pair = next(iter(found.saved("sgd") + found.saved("adam")), None)
    shown = pair or [next(t for t in reversed(found.trials) if t.clip == clip) for clip in (0.0, CLIP)]
    for trial, color, style in zip(shown, ("C3", "C0"), ("--", "-"), strict=True):
        norms = [run.norms for run in found.fits[trial.clip]]
        shaded(quiet, range(1, len(norms[0]) + 1), norms, named(trial.clip), style=style, color=color)
        finite = [norm if math.isfinite(norm) else math.nan for norm in trial.run.norms]
        wild.plot(range(1, len(finite) + 1), finite, style, color=color, linewidth=1)
    for axes in (quiet, wild):
        axes.axhline(CLIP, color="0.5", linewidth=0.8, linestyle=":")
        axes.set(yscale="log", xlabel="step")
    quiet.set(ylabel="norm of the gradient, before clipping", title="Adam, few chapters")
    wild.set(title=f"{NAMES[shown[0].kind]}, rate {shown[0].rate:g}")
    quiet.legend()


def draw_fits(figure: "Figure", found: Found) -> None:
    axes = figure.subplots()
    for (clip, fits), color in zip(found.fits.items(), ("C3", "C0", "C2"), strict=False):
        steps = fits[0].steps
        for losses, name, style in (
            ([fit.unseen for fit in fits], "held out", "-"),
            ([fit.seen for fit in fits], "trained on", "--"),
        ):
            shaded(axes, steps, losses, f"{name}, {named(clip)}", style=style, color=color)
    axes.set(xlabel="step", ylabel="loss, nats a token")
    axes.legend(fontsize="small")


def as_figures(size: Size, found: Found) -> dict[str, Any]:
    """What is kept as JSON."""
    return {
        "settings": asdict(size),
        "rates": [
            {
                "optimizer": t.kind,
                "rate": t.rate,
                "clip": t.clip,
                "seed": t.seed,
                "diverged": t.run.diverged,
                "first_loss": t.run.losses[0],
                "late_loss": statistics.fmean(t.run.late),
                "largest_norm": max(t.run.norms),
            }
            for t in found.trials
        ],
        "fits": [
            {
                "clip": clip,
                "seed": index,
                "steps": run.steps,
                "seen": run.seen,
                "unseen": run.unseen,
                "norms": run.norms,
            }
            for clip, fits in found.fits.items()
            for index, run in enumerate(fits, start=1)
        ],
    }


def run(settings: Settings) -> None:
    results = Results("gradient-clipping", settings)
    size = QUICK if settings.quick else FULL
    text = bible(settings, vocab_size=size.vocabulary, kind="bpe")
    found = measure(text, size, settings.each_seed)
    header = [
        "optimizer",
        "rate",
        "diverged, not clipped",
        "diverged, clipped",
        "loss, not clipped",
        "loss, clipped",
    ]
    results.table("rates", header, rows_of_rates(size, found))
    results.table("norms", ["", "median norm", "largest norm", "steps clipped"], rows_of_fits(found))
    header = ["", "trained on, at the end", "held out, at the end", "gap", "held out, lowest"]
    results.table("over-fitting", header, rows_of_gaps(found))
    results.text("findings", findings(size, found))
    with results.figure("rates") as figure:
        draw_rates(figure, size, found)
    with results.figure("norms") as figure:
        draw_norms(figure, found)
    with results.figure("over-fitting") as figure:
        draw_fits(figure, found)
    results.save(as_figures(size, found))


def main() -> None:
    main_of(run)


if __name__ == "__main__":
    main()
