"""Positional encoding: what order is to a Transformer, and how each scheme does beyond its training.

    python -m tour positions

Axes: B rows, T positions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, median
from typing import TYPE_CHECKING, Any, Literal

import torch

from headway.batch import NO_LABEL, Batch, Tokens
from headway.inspection.positions import position_view
from headway.model.architectures import Transformer
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig
from headway.training.settings import OptimizerConfig, ScheduleConfig, StopConfig
from tour.learn import Training, fresh, learn
from tour.report import Results, Settings, band, main_of, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["none", "sinusoidal", "learned", "rotary", "alibi", "relative"]
KINDS: tuple[Kind, ...] = ("none", "sinusoidal", "learned", "rotary", "alibi", "relative")

VALUES = 8
"""Different values in the rows; a guess is right once in so many times."""
BACK = 3
MARKED = 8
"""One token in so many is marked."""
LEARNED, KEPT = 0.9, 0.05
"""Accuracy from which a task counts as learned; share of it that may be lost far out if it is to be kept."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of the models and their training."""

    trained: int = 32
    """Tokens of a row in training."""
    longest: int = 256
    """Of a row on which models are judged."""
    rows: int = 16
    steps: int = 180
    judged: int = 48
    """Rows on which models are judged."""
    d_model: int = 64


MUON = OptimizerConfig(kind="muon", rate=1e-2)
RATE = ScheduleConfig(kind="linear", warmup=20)
QUICK = Sizes(trained=8, longest=32, rows=4, steps=2, judged=4, d_model=16)


def some_back(rows: int, length: int, generator: torch.Generator) -> Batch:
    """At each token, name the one three places back."""
    ids = torch.randint(VALUES, (rows, length), generator=generator)
    labels = torch.full_like(ids, NO_LABEL)
    labels[:, BACK:] = ids[:, :-BACK]
    return Batch(Tokens(ids), labels)


def last_marked(rows: int, length: int, generator: torch.Generator) -> Batch:
    """At each token without a mark, name the value of the last marked one before it."""
    values = torch.randint(VALUES, (rows, length), generator=generator)
    marked = torch.randint(MARKED, (rows, length), generator=generator) == 0
    latest = torch.where(marked, torch.arange(length), -1).cummax(dim=1).values
    labels = values.gather(1, latest.clamp(min=0)).masked_fill(marked | (latest < 0), NO_LABEL)
    return Batch(Tokens(values + VALUES * marked), labels)


Task = Callable[[int, int, torch.Generator], Batch]
TASKS: dict[str, Task] = {"three back": some_back, "last marked": last_marked}


def model_of(
    kind: Kind, sizes: Sizes, *, layers: int = 2, encoder: bool = False, seed: int = 0
) -> Transformer:
    """A small model whose positions are of this kind: a decoder, unless an encoder is asked for."""
    return fresh(
        TransformerConfig(
            vocab_size=2 * VALUES,
            encoder_layers=layers if encoder else 0,
            decoder_layers=0 if encoder else layers,
            d_model=sizes.d_model,
            d_ff=2 * sizes.d_model,
            dropout=0.0,
            attention=AttentionConfig(num_heads=4),
            norm=NormConfig(position="pre"),
            positions=PositionConfig(
                kind=kind,
                max_length=sizes.longest,
                buckets=sizes.trained,
                max_distance=sizes.trained,
            ),
        ),
        seed,
    )


@torch.no_grad()
def felt_by_encoder(kind: Kind, seed: int, length: int = 12) -> float:
    """How far the outputs of a shuffled input are from the shuffled outputs, beside the largest output."""
    model = model_of(kind, Sizes(), encoder=True, seed=seed).double().eval()
    ids, order = torch.randint(2 * VALUES, (1, length)), torch.randperm(length)
    plain, shuffled = model(Tokens(ids)), model(Tokens(ids[:, order]))
    return float((shuffled - plain[:, order]).abs().max() / plain.abs().max())


@torch.no_grad()
def felt_by_decoder(kind: Kind, layers: int, seed: int, length: int = 12) -> float:
    """How far the last output moves when the tokens before the last are shuffled, beside the largest."""
    model = model_of(kind, Sizes(), layers=layers, seed=seed).double().eval()
    ids, order = torch.randint(2 * VALUES, (1, length)), torch.randperm(length - 1)
    plain, shuffled = model(Tokens(ids)), model(Tokens(torch.cat((ids[:, order], ids[:, -1:]), dim=1)))
    return float((shuffled - plain)[:, -1].abs().max() / plain.abs().max())


@torch.no_grad()
def accuracy_by_place(model: Transformer, batch: Batch) -> list[float | None]:
    """Share of labels named right at each place; None where no row has a label.

    The models are causal: what stands after a place changes nothing there, so this is also the accuracy at
    the end of a row of that length.
    """
    chosen = model.eval().logits(model(batch.inputs)).argmax(dim=-1)
    asked = batch.labels != NO_LABEL
    right = ((chosen == batch.labels) & asked).sum(dim=0)
    return [r / n if n else None for r, n in zip(right.tolist(), asked.sum(dim=0).tolist(), strict=True)]


def trained(kind: Kind, task: Task, sizes: Sizes, seed: int) -> Transformer:
    """A decoder that has learned the task on rows of `sizes.trained` tokens; all kinds see the same rows."""
    model = model_of(kind, sizes, seed=seed)

    def batch_at(step: int, progress: float) -> Batch:
        return task(sizes.rows, sizes.trained, torch.Generator().manual_seed(seed * 10**6 + step))

    learn(
        model,
        batch_at,
        Training(stop=StopConfig(steps=sizes.steps), optimizer=MUON, schedule=RATE, seed=seed),
    )
    return model


def stretches(sizes: Sizes) -> list[tuple[int, int]]:
    """From which place up to which, counted from 1: the trained length, and doublings of it."""
    ends = [sizes.trained]
    while ends[-1] < sizes.longest:
        ends.append(ends[-1] * 2)
    return list(zip([1, *(end + 1 for end in ends)], ends, strict=False))


def accuracy_in(by_place: Sequence[float | None], first: int, last: int) -> float:
    """The mean over places, counted from 1, where something was asked."""
    return mean(each for each in by_place[first - 1 : last] if each is not None)


Figures = dict[str, Any]


def measure(settings: Settings, sizes: Sizes) -> Figures:
    """All that the page shows, as plain numbers, and what its pictures need of models."""
    seeds = settings.each_seed
    felt = {
        "encoder": {kind: [felt_by_encoder(kind, seed) for seed in seeds] for kind in KINDS},
        "decoder of one layer": {kind: [felt_by_decoder(kind, 1, seed) for seed in seeds] for kind in KINDS},
        "decoder of two layers": {kind: [felt_by_decoder(kind, 2, seed) for seed in seeds] for kind in KINDS},
    }
    places: dict[str, dict[str, list[list[float | None]]]] = {}
    for name, task in TASKS.items():
        judged_on = task(sizes.judged, sizes.longest, torch.Generator().manual_seed(0))
        places[name] = {}
        for kind in KINDS:
            models = [trained(kind, task, sizes, seed) for seed in seeds]
            places[name][kind] = [accuracy_by_place(model, judged_on) for model in models]
            if kind == "relative" and task is some_back:
                learned_bias = position_view(models[0], 2 * sizes.trained).waves
    return {
        "felt": felt,
        "stretches": stretches(sizes),
        "accuracy_by_place": places,
        "relative_bias": learned_bias.T.tolist(),
    }


def by_stretch(figures: Figures, task: str, kind: str) -> list[list[float]]:
    """For each stretch of places the accuracy of each seed."""
    runs = figures["accuracy_by_place"][task][kind]
    return [[accuracy_in(run, first, last) for run in runs] for first, last in figures["stretches"]]


def findings(figures: Figures) -> str:
    """What the accuracies say, task by task, by rule."""
    lines = []
    (_, near), (_, far) = figures["stretches"][0], figures["stretches"][-1]
    for task in TASKS:
        first_and_last = {kind: by_stretch(figures, task, kind) for kind in KINDS}
        within = {kind: median(each[0]) for kind, each in first_and_last.items()}
        beyond = {kind: median(each[-1]) for kind, each in first_and_last.items()}
        learned = [kind for kind in KINDS if within[kind] >= LEARNED]
        kept = [kind for kind in learned if beyond[kind] >= (1 - KEPT) * within[kind]]
        lost = [kind for kind in learned if kind not in kept]
        failed = [kind for kind in KINDS if kind not in learned]
        parts = [f"**{task.capitalize()}.** Learned within {near} places (at least {LEARNED:.0%} right): "]
        parts.append(f"{listed(learned)}; not learned: {listed(failed)}. ")
        parts.append(f"Of those that learned it, kept out to {far} places: {listed(kept)}; ")
        parts.append("lost: " + listed([f"{kind} (down to {beyond[kind]:.0%})" for kind in lost]) + ".")
        lines.append("- " + "".join(parts))
    lines.append(f"\nA guess is right {1 / VALUES:.1%} of the time. Medians of the seeds.")
    return "\n".join(lines)


def listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "no kind"


def draw_accuracy(figure: "Figure", figures: Figures) -> None:
    """Accuracy over places, a panel for each task."""
    every = figure.subplots(1, len(TASKS), sharey=True)
    for axis, task in zip(every, TASKS, strict=True):
        for kind in KINDS:
            runs = [smoothed(run) for run in figures["accuracy_by_place"][task][kind]]
            middle, low, high = band([[value for _, value in run] for run in runs])
            x = [place for place, _ in runs[0]]
            axis.plot(x, middle, color=colour_of(kind), label=kind, linewidth=1.6)
            axis.fill_between(x, low, high, color=colour_of(kind), alpha=0.15, linewidth=0)
        (_, trained_to), (_, longest) = figures["stretches"][0], figures["stretches"][-1]
        axis.axvline(trained_to, color="0.4", linewidth=1, linestyle=":")
        axis.axhline(1 / VALUES, color="0.6", linewidth=1, linestyle="--")
        axis.set(title=task, xlabel="place in the row", ylim=(0, 1.03), xlim=(1, longest))
        axis.set_xscale("log", base=2)
        ticks = [2**n for n in range(1, longest.bit_length())]
        axis.set_xticks(ticks, [str(tick) for tick in ticks])
    every[0].set_ylabel("share named right")
    figure.legend(*every[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False)


def smoothed(run: Sequence[float | None], per_doubling: int = 4) -> list[tuple[float, float]]:
    """Means over stretches that widen with the place, so many a doubling: their middle, and the mean.

    The trained length, a power of two, is the end of one: what was trained and what was not never mix.
    """
    count = per_doubling * (len(run).bit_length() - 1)
    ends = sorted({round(2 ** (step / per_doubling)) for step in range(count + 1)})
    found = []
    for before, end in pairwise([0, *ends]):
        held = [each for each in run[before:end] if each is not None]
        if held:
            found.append(((before + 1 + end) / 2, mean(held)))
    return found


def draw_waves(figure: "Figure", figures: Figures) -> None:
    """What sinusoids look like, and how distance is felt: products of positions, and biases of scores."""
    waves, products, slopes, learned = figure.subplots(1, 4, width_ratios=(1.2, 1, 1, 1))
    wide = Sizes(d_model=128)
    waves.imshow(
        position_view(model_of("sinusoidal", wide), 64).waves.numpy(),
        cmap="RdBu",
        vmin=-1,
        vmax=1,
        aspect="auto",
        interpolation="nearest",
    )
    waves.set(title="sinusoids", xlabel="column", ylabel="position")
    kinds: tuple[Kind, ...] = ("sinusoidal", "rotary")
    for kind in kinds:
        row = position_view(model_of(kind, wide), 64).products[0]
        products.plot((row / row[0]).tolist(), label=kind, color=colour_of(kind))
    products.set(title="product of two", xlabel="distance")
    products.legend(frameon=False, fontsize=8)
    for line in position_view(model_of("alibi", Sizes()), 64).waves.T:
        slopes.plot(line.tolist(), color=colour_of("alibi"), linewidth=1)
    slopes.set(title="alibi: added to scores", xlabel="distance back")
    for line in figures["relative_bias"]:
        learned.plot(line, color=colour_of("relative"), linewidth=1)
    learned.axvline(BACK, color="0.4", linewidth=1, linestyle=":")
    learned.set(title="relative, after three back", xlabel="distance back")


def colour_of(kind: Kind) -> str:
    return f"C{KINDS.index(kind)}"


def run(settings: Settings) -> None:
    sizes = QUICK if settings.quick else Sizes()
    results = Results("positions", settings)
    figures = measure(settings, sizes)
    results.table(
        "law",
        ["positions", *figures["felt"]],
        [[kind, *(spread(felt[kind], ".1e") for felt in figures["felt"].values())] for kind in KINDS],
    )
    header = [f"{first}–{last}" for first, last in figures["stretches"]]
    for task in TASKS:
        rows = [[kind, *(spread(each, ".0%") for each in by_stretch(figures, task, kind))] for kind in KINDS]
        results.table(task.replace(" ", "-"), ["positions", *header], rows)
    results.text("findings", findings(figures))
    with results.figure("accuracy", (9.0, 3.8)) as figure:
        draw_accuracy(figure, figures)
    with results.figure("waves", (11.0, 3.0)) as figure:
        draw_waves(figure, figures)
    results.save(figures)


def main() -> None:
    main_of(run)


if __name__ == "__main__":
    main()
