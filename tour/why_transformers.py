"""Why Transformers: recall over a distance, and training speed over length, beside an LSTM of equal size."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import torch

from headway.batch import NO_LABEL, Batch
from headway.model.architectures import Transformer
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig
from headway.training.optimizer import build_optimizer
from headway.training.settings import OptimizerConfig, ScheduleConfig, StopConfig
from headway.training.state import TrainState
from headway.training.step import train_step
from tour.learn import Curve, Training, fresh, learn, parameters_of
from tour.recall import Questions, Task
from tour.recurrent import RecurrentLM, hidden_for
from tour.report import Results, Settings, band, main_of, spread

TRANSFORMER, LSTM = "Transformer", "LSTM"
COLOURS = {TRANSFORMER: "C0", LSTM: "C1"}
MARKERS = {TRANSFORMER: "o", LSTM: "s"}
RATES = (3e-3, 1e-2)
"""Peak learning rates, of which each kind of model gets the better one."""
STEP_RATE = 1e-4
"""Where steps are only timed."""
TEST_ROWS = 32
"""Rows that are looked at together."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large everything is; the defaults are those of the page."""

    seconds: float = 60.0
    """Of training, for each model and seed."""
    steps: int = 0
    """Instead of seconds, where time must not count."""
    tokens: int = 4096
    """Of a batch."""
    train_lengths: tuple[int, ...] = (65, 129, 257, 513)
    """Of rows, each as often as the others."""
    test_rows: int = 300
    lengths: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)
    """At which speed is measured."""
    timed: int = 5
    """Steps whose median is a speed."""
    timed_tokens: int = 8192
    octaves: tuple[int, ...] = (8, 16, 32, 64, 128, 256, 513)
    """Distances of which accuracies are told, each from one number to below the next."""


QUICK = Sizes(
    steps=2,
    tokens=130,
    train_lengths=(65, 129),
    test_rows=8,
    lengths=(32, 64),
    timed=1,
    timed_tokens=128,
    octaves=(8, 16, 32, 64, 129),
)


class Contestant(NamedTuple):
    """A kind of model; `make` builds it for a seed."""

    name: str
    make: Callable[[int], Transformer]


def contestants(task: Task) -> list[Contestant]:
    """Headway's decoder, and an LSTM with as many parameters between the same embedding, norm and output."""
    config = TransformerConfig(
        vocab_size=task.vocab_size,
        encoder_layers=0,
        decoder_layers=2,
        d_model=64,
        d_ff=256,
        dropout=0.0,
        attention=AttentionConfig(num_heads=2),
        norm=NormConfig(position="pre"),
        positions=PositionConfig(kind="rotary"),
    )
    model = fresh(config, 0)
    layers = parameters_of(model) - parameters_of(model.embedding) - 2 * config.d_model  # of the last norm
    hidden = hidden_for(config, 1, layers)
    plain = replace(config, positions=PositionConfig(kind="none"))

    def recurrent(seed: int) -> Transformer:
        torch.manual_seed(seed)
        return RecurrentLM(plain, 1, hidden)

    return [
        Contestant(TRANSFORMER, lambda seed: fresh(config, seed)),
        Contestant(LSTM, recurrent),
    ]


def measure(settings: Settings, sizes: Sizes, task: Task) -> dict[str, Any]:
    """Accuracies over distance of every seed, the trainings behind them, and speeds over length."""
    both = contestants(task)
    test = task.rows(sizes.test_rows, max(sizes.train_lengths), seed=0)
    tried = {each.name: try_rates(each, sizes, task) for each in both}
    rates = {name: min(losses, key=losses.__getitem__) for name, losses in tried.items()}
    trained: dict[str, list[dict[str, Any]]] = {each.name: [] for each in both}
    for seed in settings.each_seed:
        for each in both:  # in turn, so that a machine that gets slower is slower for both
            model, curve = train(each, seed, rates[each.name], sizes, task)
            shares = accuracies(model, test, sizes.octaves)
            trained[each.name].append(
                {
                    "seed": seed,
                    "accuracy": shares,
                    "steps": curve.steps,
                    "seconds": curve.seconds,
                    "tokens": curve.steps * sizes.tokens,
                    "curve": thinned(curve),
                }
            )
    return {
        "task": {"vocabulary": task.vocab_size, "values": task.values, "every": task.every},
        "parameters": {each.name: parameters_of(each.make(0)) for each in both},
        "rates_tried": tried,
        "rates": rates,
        "distances": [octave_name(a, b) for a, b in pairwise(sizes.octaves)],
        "trained": trained,
        "lengths": list(sizes.lengths),
        "tokens_per_second": {each.name: speeds(each, sizes, task) for each in both},
    }


def try_rates(contestant: Contestant, sizes: Sizes, task: Task) -> dict[float, float]:
    """The loss over the last tenth of a short training with each peak rate, and a seed of its own."""
    short = replace(sizes, seconds=sizes.seconds / 3)
    found = {}
    for rate in RATES:
        losses = train(contestant, 0, rate, short, task)[1].losses
        found[rate] = statistics.fmean(losses[-max(1, len(losses) // 10) :])
    return found


def train(
    contestant: Contestant, seed: int, rate: float, sizes: Sizes, task: Task
) -> tuple[Transformer, Curve]:
    """A model after its share of time; both kinds see the same batches in the same order."""

    def batch_at(step: int, progress: float) -> Batch:
        length = sizes.train_lengths[step % len(sizes.train_lengths)]
        return task.rows(max(1, sizes.tokens // length), length, seed * 1_000_000 + step).batch

    stop = StopConfig(steps=sizes.steps) if sizes.steps else StopConfig(minutes=sizes.seconds / 60)
    training = Training(
        stop=stop,
        optimizer=OptimizerConfig(kind="adamw", rate=rate, weight_decay=0.01),
        schedule=ScheduleConfig(kind="linear", warmup=50),
        seed=seed,
    )
    model = contestant.make(seed)
    return model, learn(model, batch_at, training)


@torch.no_grad()
def accuracies(model: Transformer, questions: Questions, octaves: Sequence[int]) -> list[float]:
    """The share of questions answered right whose answer lies so far back, for each octave of distances."""
    right, distances = [], []
    for start in range(0, len(questions.distances), TEST_ROWS):
        inputs = questions.batch.inputs.rows(start, start + TEST_ROWS)
        labels = questions.batch.labels[start : start + TEST_ROWS]
        labelled = labels != NO_LABEL
        found = model.logits(model(inputs)[labelled]).argmax(-1)
        right.append(found == labels[labelled])
        distances.append(questions.distances[start : start + TEST_ROWS][labelled])
    is_right, far = torch.cat(right).float(), torch.cat(distances)
    return [float(is_right[(far >= a) & (far < b)].mean()) for a, b in pairwise(octaves)]


def speeds(contestant: Contestant, sizes: Sizes, task: Task) -> list[list[float]]:
    """Tokens a second of whole training steps, for each length the figure of each timed step."""
    found = []
    for length in sizes.lengths:
        batch = timed_batch(length, sizes, task)
        model = contestant.make(1)
        optimizer = build_optimizer(model, OptimizerConfig(), STEP_RATE)
        state = TrainState(model, optimizer)
        taken = []
        for _ in range(1 + sizes.timed):
            began = time.perf_counter()
            train_step(state, [batch], STEP_RATE, clip=1.0, precision="float32")
            taken.append(time.perf_counter() - began)
        found.append([batch.labels.numel() / seconds for seconds in taken[1:]])
    return found


def timed_batch(length: int, sizes: Sizes, task: Task) -> Batch:
    """Rows of this length, with facts farther apart where there are not keys enough."""
    sparse = replace(task, every=max(task.every, -(-length // task.keys)))
    return sparse.rows(max(1, sizes.timed_tokens // length), length, seed=1).batch


def thinned(curve: Curve, points: int = 60) -> list[tuple[float, float]]:
    """Training seconds and loss, averaged over stretches of steps."""
    stretch = max(1, curve.steps // points)
    found = []
    for start in range(0, curve.steps - stretch + 1, stretch):
        last = curve.moments[start + stretch - 1]
        found.append((last.seconds, statistics.fmean(curve.losses[start : start + stretch])))
    return found


def octave_name(first: int, beyond: int) -> str:
    return f"{first}–{beyond - 1}"


def findings(figures: dict[str, Any]) -> str:
    """What the figures say about the two claims, decided by rule."""
    return f"{_about_distance(figures)}\n\n{_about_speed(figures)}"


def _about_distance(figures: dict[str, Any]) -> str:
    distances, trained = figures["distances"], figures["trained"]
    shares = {name: [run["accuracy"] for run in runs] for name, runs in trained.items()}
    told = []
    for name in (TRANSFORMER, LSTM):
        medians = band(shares[name])[0]
        held = [far for far, share in zip(distances, medians, strict=True) if share >= 0.9]
        told.append(
            f"The {name} answers at least nine of ten questions right "
            + (f"at distances {', '.join(held)}." if held else "at none of the distances.")
        )
    ours, theirs = (band(shares[name])[0] for name in (TRANSFORMER, LSTM))
    told.append(
        f"From the nearest to the farthest answers the Transformer goes from {ours[0]:.0%} "
        f"to {ours[-1]:.0%}, the LSTM from {theirs[0]:.0%} to {theirs[-1]:.0%} (medians)."
    )
    below = [far for far, a, b in zip(distances, ours, theirs, strict=True) if b < a / 2]
    told.append(
        f"The LSTM's median accuracy is below half of the Transformer's at distances {', '.join(below)}."
        if below
        else "At no distance is the LSTM's median accuracy below half of the Transformer's."
    )
    farthest = {name: [share[-1] for share in shares[name]] for name in shares}
    where = f"At the farthest, {distances[-1]} tokens back,"
    if min(farthest[TRANSFORMER]) <= max(farthest[LSTM]):
        told.append(
            f"{where} not every Transformer beats every LSTM: "
            "**the claim about distance does not hold here.**"
        )
    elif ours[-1] - theirs[-1] > ours[0] - theirs[0]:
        told.append(
            f"{where} every Transformer beats every LSTM, and by more than at the nearest: "
            "**the claim about distance holds here.**"
        )
    else:
        told.append(
            f"{where} every Transformer beats every LSTM, but not by more than at the nearest: "
            "**the Transformer recalls better here, and distance is not what makes the difference.**"
        )
    return " ".join(told)


def _about_speed(figures: dict[str, Any]) -> str:
    lengths, speed = figures["lengths"], figures["tokens_per_second"]
    ratios = [
        statistics.median(ours) / statistics.median(theirs)
        for ours, theirs in zip(speed[TRANSFORMER], speed[LSTM], strict=True)
    ]
    faster = [str(length) for length, ratio in zip(lengths, ratios, strict=True) if ratio > 1]
    steps = {name: [run["steps"] for run in runs] for name, runs in figures["trained"].items()}
    told = [
        f"In its time the Transformer made {spread(steps[TRANSFORMER], ',.0f')} steps, "
        f"the LSTM {spread(steps[LSTM], ',.0f')}.",
        f"A training step of the Transformer takes in {ratios[0]:.1f} times as many tokens a second as one "
        f"of the LSTM with rows of {lengths[0]}, "
        f"and {ratios[-1]:.1f} times as many with rows of {lengths[-1]:,}.",
    ]
    if len(faster) == len(lengths):
        told.append("It is faster at every length: **the claim about parallel training holds here.**")
    elif faster:
        told.append(
            f"It is faster at {', '.join(faster)} tokens alone: "
            "**the claim about parallel training holds in part.**"
        )
    else:
        told.append("It is faster at no length: **the claim about parallel training does not hold here.**")
    return " ".join(told)


def draw(results: Results, figures: dict[str, Any]) -> None:
    """Accuracy over distance with the spread of the seeds, loss over time, and speed over length."""
    distances, trained = figures["distances"], figures["trained"]
    guess = 1 / figures["task"]["values"]
    with results.figure("recall", (9.0, 3.6)) as figure:
        left, right = figure.subplots(1, 2)
        for name, runs in trained.items():
            middle, low, high = band([run["accuracy"] for run in runs])
            left.plot(distances, middle, marker=MARKERS[name], color=COLOURS[name], label=name)
            left.fill_between(distances, low, high, color=COLOURS[name], alpha=0.2, linewidth=0)
            for run in runs:
                seconds, losses = zip(*run["curve"], strict=True)
                label = name if run is runs[0] else None
                right.plot(seconds, losses, color=COLOURS[name], linewidth=1, label=label)
        left.axhline(guess, color="0.5", linestyle=":", label="a guess")
        left.set(xlabel="tokens between question and answer", ylabel="answered right", ylim=(0, 1.03))
        left.tick_params(axis="x", rotation=30)
        right.set(xlabel="seconds of training", ylabel="training loss, nats an answer", ylim=(0, None))
        left.legend(frameon=False, fontsize=8)
        right.legend(frameon=False, fontsize=8)
    with results.figure("speed", (6.0, 3.6)) as figure:
        axes = figure.subplots()
        lengths = figures["lengths"]
        for name, speed in figures["tokens_per_second"].items():
            middle, low, high = band(list(zip(*speed, strict=True)))
            axes.plot(lengths, middle, marker=MARKERS[name], color=COLOURS[name], label=name)
            axes.fill_between(lengths, low, high, color=COLOURS[name], alpha=0.2, linewidth=0)
        axes.set_xscale("log", base=2)
        axes.set_xticks(lengths, [f"{length:,}" for length in lengths])
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set(xlabel="tokens in a row", ylabel="tokens a second in training", ylim=(0, None))
        axes.legend(frameon=False)


def run(settings: Settings) -> None:
    results = Results("why_transformers", settings)
    sizes = QUICK if settings.quick else Sizes()
    figures = measure(settings, sizes, Task())
    trained = figures["trained"]
    results.table(
        "recall",
        ["tokens back", *trained],
        [
            [far, *(spread([run["accuracy"][place] for run in runs], ".0%") for runs in trained.values())]
            for place, far in enumerate(figures["distances"])
        ],
    )
    results.table(
        "speed",
        ["tokens in a row", *(f"{name}, tokens/s" for name in trained), "ratio"],
        [
            [
                f"{length:,}",
                *(spread(speed[place], ",.0f") for speed in figures["tokens_per_second"].values()),
                f"{ratio(figures, place):.1f}",
            ]
            for place, length in enumerate(figures["lengths"])
        ],
    )
    results.table("training", ["", *trained], _training_rows(figures))
    draw(results, figures)
    results.text("findings", findings(figures))
    results.save(figures)


def ratio(figures: dict[str, Any], place: int) -> float:
    """How many times as fast as the LSTM the Transformer is at one of the lengths, by medians."""
    speed = figures["tokens_per_second"]
    return statistics.median(speed[TRANSFORMER][place]) / statistics.median(speed[LSTM][place])


def _training_rows(figures: dict[str, Any]) -> list[list[str]]:
    runs = figures["trained"].values()
    return [
        ["parameters", *(f"{count:,}" for count in figures["parameters"].values())],
        ["seconds of training", *(spread([run["seconds"] for run in each], ".1f") for each in runs)],
        ["steps in that time", *(spread([run["steps"] for run in each], ",.0f") for each in runs)],
        ["peak learning rate", *(f"{rate:g}" for rate in figures["rates"].values())],
    ]


def main() -> None:
    main_of(run)


if __name__ == "__main__":
    main()
