"""Attention masking: what a decoder learns that may see the future, and what padding does where it is seen.

The mask is taken away from outside: a backend that is put into the stack binds every mask without causality.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch

from headway.batch import NO_LABEL, Batch, Tokens
from headway.data.loader import BatchConfig, Loader
from headway.data.objectives import CausalObjective
from headway.decoding.sample import Room, Sampler, collect, emit
from headway.decoding.settings import SearchConfig
from headway.decoding.steps import CachedSteps
from headway.model.architectures import CausalLM
from headway.model.presets import preset_config
from headway.training.settings import OptimizerConfig, ScheduleConfig, StopConfig
from tour.learn import Curve, Training, endless, fresh, learn, score
from tour.padding import PADDED, Losses, Rows, draw_padding, padded, rows_of_padding
from tour.report import Results, Settings, main_of, spread
from tour.seeds import compared, shaded
from tour.text import Text, bible
from tour.unmasked import seeing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {True: "trained with the mask", False: "trained without"}


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the experiment is; lengths in tokens."""

    d_model: int = 64
    vocabulary: int = 1000
    row: int = 64
    tokens: int = 2048
    """A step."""
    steps: int = 300
    rate: float = 1e-2
    prompts: int = 200
    """Held-out rows of which the first half is a prompt."""
    padding: tuple[int, ...] = (0, 4, 16, 64)
    """Places beside each prompt."""


FULL = Size()
QUICK = Size(d_model=16, vocabulary=280, row=16, tokens=128, steps=4, prompts=4, padding=(0, 3))


@dataclass(frozen=True)
class Learned:
    """A trained model, and what it did on the way."""

    model: CausalLM
    masked: bool
    curve: Curve


def rows_of(text: Text, length: int, count: int) -> Rows:
    """Rows of consecutive tokens, evenly spread over the held-out chapters."""
    pieces = [
        ids[start : start + length]
        for ids in text.held_out.targets
        for start in range(0, len(ids) - length + 1, length)
    ]
    few = min(count, len(pieces))
    return torch.stack([torch.from_numpy(pieces[index * len(pieces) // few]) for index in range(few)])


def loader_of(text: Text, size: Size, seed: int, *, held_out: bool = False) -> Loader:
    batch = BatchConfig(tokens=size.tokens, context=size.row)
    encoded = text.held_out if held_out else text.train
    return Loader(encoded, CausalObjective(text.tokenizer.special), batch, seed=seed)


def train(text: Text, size: Size, masked: bool, seed: int) -> Learned:
    """A small causal model; not `masked`, it sees the future while it learns."""
    changes = {
        "decoder_layers": 2,
        "d_model": size.d_model,
        "d_ff": 3 * size.d_model,
        "dropout": 0.0,
        "scale_embeddings": True,
    }
    model = fresh(preset_config("causal-small", text.tokenizer.vocab_size, changes), seed)
    assert isinstance(model, CausalLM)
    training = Training(
        stop=StopConfig(steps=size.steps),
        optimizer=OptimizerConfig(kind="muon", rate=size.rate, weight_decay=0.01),
        schedule=ScheduleConfig(kind="linear", warmup=min(50, size.steps // 4)),
        seed=seed,
    )
    with seeing(model, future=not masked):
        curve = learn(model, endless(loader_of(text, size, seed)), training)
    return Learned(model, masked, curve)


@torch.no_grad()
def guessed_in_steps(model: CausalLM, rows: Rows) -> float:
    """The share of the second halves' tokens that are the likeliest, read one by one as generation reads."""
    half = rows.shape[1] // 2
    steps = CachedSteps([model], [model.begin(len(rows))], model.config.vocab_size)
    log_probs, right = steps.feed(rows[:, :half]), 0
    for right_ones in rows[:, half:].T:
        right += int((log_probs.argmax(dim=1) == right_ones).sum())
        log_probs = steps.step(right_ones)
    return right / rows[:, half:].numel()


@torch.no_grad()
def guessed_anew(model: CausalLM, rows: Rows) -> float:
    """The same of some of them, but the text so far is read anew without the mask before each."""
    places = range(rows.shape[1] // 2, rows.shape[1], 4)
    right = 0
    with seeing(model, future=True):
        for place in places:
            logits = model.logits(model(Tokens(rows[:, :place]))[:, -1])
            right += int((logits.argmax(dim=1) == rows[:, place]).sum())
    return right / (len(places) * len(rows))


def continued(model: CausalLM, rows: Rows, text: Text) -> Rows:
    """The first halves with second halves that the model draws, each token by its probability."""
    half = rows.shape[1] // 2
    steps = CachedSteps([model], [model.begin(len(rows))], model.config.vocab_size)
    lengths = [half] * len(rows)
    search = SearchConfig(method="sample")
    chosen = emit(
        steps,
        steps.feed(rows[:, :half]),
        rows[:, :half].tolist(),
        Room(lengths, lengths),
        Sampler(search, range(len(rows))),
        text.tokenizer.special,
    )
    found = collect(chosen, len(rows), 0.0, text.tokenizer.special.end)
    return torch.cat([rows[:, :half], torch.tensor([each.ids for each in found])], dim=1)


def surprise(judge: CausalLM, rows: Rows) -> float:
    """What the second halves cost, in bits a token, as `judge` sees it."""
    labels = rows[:, 1:].clone()
    labels[:, : rows.shape[1] // 2 - 1] = NO_LABEL
    return bits(score(judge, [Batch(Tokens(rows[:, :-1]), labels)]).loss)


def repeated(rows: Rows, size: int = 4) -> float:
    """The share of runs of four tokens in the second halves that have stood there before, row by row."""
    again = total = 0
    for row in rows[:, rows.shape[1] // 2 :].tolist():
        runs = [tuple(row[start : start + size]) for start in range(len(row) - size + 1)]
        again, total = again + len(runs) - len(set(runs)), total + len(runs)
    return again / total


def bits(nats: float) -> float:
    return nats / math.log(2)


def judged(text: Text, size: Size, learned: Learned, judge: CausalLM, seed: int) -> dict[str, float]:
    """All figures of one model but those of its training loss."""
    rows, model = rows_of(text, size.row, size.prompts), learned.model
    with seeing(model, future=True):
        without = score(model, loader_of(text, size, seed, held_out=True).ordered())
    with_mask = score(model, loader_of(text, size, seed, held_out=True).ordered())
    written = continued(model, rows, text)
    late = learned.curve.losses[-max(1, size.steps // 10) :]
    return {
        "training loss": bits(statistics.fmean(late)),
        "held out, without the mask": bits(without.loss),
        "held out, with the mask": bits(with_mask.loss),
        "guessed in training": 100 * (with_mask if learned.masked else without).accuracy,
        "guessed step by step": 100 * guessed_in_steps(model, rows),
        "guessed, all read anew": 100 * guessed_anew(model, rows),
        "surprise of its text": surprise(judge, written),
        "repeated in its text": 100 * repeated(written),
    }


@dataclass(frozen=True)
class Found:
    """All figures, a list entry a seed."""

    curves: Mapping[bool, Sequence[Sequence[float]]]
    """Bits a token of every step."""
    measures: Mapping[bool, Sequence[Mapping[str, float]]]
    real: Mapping[str, Sequence[float]]
    """The same of the text itself, where it can be said of it."""
    padding: Sequence[Losses]
    examples: Sequence[Sequence[str]]
    """A held-out beginning, and how each goes on."""

    def of(self, masked: bool, name: str) -> list[float]:
        return [each[name] for each in self.measures[masked]]


def measure(text: Text, size: Size, seeds: Sequence[int]) -> Found:
    models = [{masked: train(text, size, masked, seed) for masked in NAMES} for seed in seeds]
    judges = [models[(index + 1) % len(models)][True].model for index in range(len(models))]
    rows, shorter = (rows_of(text, length, size.prompts) for length in (size.row, size.row // 2))
    return Found(
        curves={m: [[bits(loss) for loss in each[m].curve.losses] for each in models] for m in NAMES},
        measures={
            m: [
                judged(text, size, each[m], judge, seed)
                for each, judge, seed in zip(models, judges, seeds, strict=True)
            ]
            for m in NAMES
        },
        real={
            "surprise of its text": [surprise(judge, rows) for judge in judges],
            "repeated in its text": [100 * repeated(rows)],
        },
        padding=[
            padded(shorter, size.padding, text.tokenizer.special.pad, {m: each[m].model for m in NAMES})
            for each in models
        ],
        examples=examples_of(text, rows[:1], models[0]),
    )


def examples_of(text: Text, rows: Rows, models: Mapping[bool, Learned]) -> list[list[str]]:
    half, decode = rows.shape[1] // 2, text.tokenizer.decode
    lines = [["the text itself", decode(rows[0, :half]), decode(rows[0, half:])]]
    for masked, name in NAMES.items():
        [row] = continued(models[masked].model, rows, text)
        lines.append([name, "the same", decode(row[half:])])
    return [[" ".join(cell.replace("|", " ").split()) for cell in line] for line in lines]


MEASURES = {
    "training loss": "training loss, last tenth, bits a token",
    "held out, without the mask": "held-out loss, read without the mask, bits a token",
    "held out, with the mask": "held-out loss, read with the mask, bits a token",
    "guessed in training": "next token guessed, read as in training",
    "guessed step by step": "next token guessed, read step by step",
    "guessed, all read anew": "next token guessed, all so far read anew without the mask",
    "surprise of its text": "what it writes, as another model sees it, bits a token",
    "repeated in its text": "what it writes: four tokens that stood there before",
}


def rows_of_measures(found: Found) -> list[list[str]]:
    rows = []
    for name, words in MEASURES.items():
        percent = name.startswith(("guessed", "repeated"))
        form, unit = (".1f", " %") if percent else (".2f", "")
        cells = [spread(found.of(masked, name), form) + unit for masked in NAMES]
        real = spread(found.real[name], form) + unit if name in found.real else ""
        rows.append([words, *cells, real])
    return rows


def findings(size: Size, found: Found) -> str:
    """What the figures say, whatever they are."""

    def beside(name: str, form: str, unit: str) -> str:
        return compared(found.of(True, name), found.of(False, name), form, unit)

    most = size.padding[-1]
    changes = {
        name: statistics.median(each[name][-1] - each[name][0] for each in found.padding) for name in PADDED
    }
    lines = [
        f"Training loss without the mask: {beside('training loss', '+.2f', 'bits a token')}.",
        f"Next tokens guessed, read as in training: {beside('guessed in training', '+.1f', 'points')}.",
        f"Next tokens guessed, read step by step: {beside('guessed step by step', '+.1f', 'points')}.",
        "Next tokens guessed, all so far read anew without the mask: "
        f"{beside('guessed, all read anew', '+.1f', 'points')}.",
        "Surprise of a model that was trained with the mask at what the one without writes: "
        f"{beside('surprise of its text', '+.2f', 'bits a token')}.",
        *(f"{most} places of padding ({name}): {by:+.3f} bits a token." for name, by in changes.items()),
    ]
    return "\n".join(f"- {line}" for line in lines)


def draw_losses(figure: "Figure", found: Found) -> None:
    """The loss on the way, and how many next tokens are guessed in training and after it."""
    curves, bars = figure.subplots(1, 2, width_ratios=(3, 2))
    for (masked, name), color in zip(NAMES.items(), ("C0", "C3"), strict=True):
        several = found.curves[masked]
        shaded(curves, range(1, len(several[0]) + 1), several, name, style="-", color=color)
    curves.set(xlabel="step", ylabel="training loss, bits a token", ylim=(0, None))
    curves.legend()
    kinds = ("guessed in training", "guessed step by step")
    for (masked, name), color, shift in zip(NAMES.items(), ("C0", "C3"), (-0.2, 0.2), strict=True):
        values = [found.of(masked, kind) for kind in kinds]
        middles = [statistics.median(each) for each in values]
        reach = [
            [m - min(v) for m, v in zip(middles, values, strict=True)],
            [max(v) - m for m, v in zip(middles, values, strict=True)],
        ]
        bars.bar([place + shift for place in range(2)], middles, 0.38, yerr=reach, color=color, label=name)
    bars.set(ylabel="next tokens guessed, %", ylim=(0, 100))
    bars.set_xticks(range(2), ["as in training", "step by step"])


def run(settings: Settings) -> None:
    results = Results("attention-masking", settings)
    size = QUICK if settings.quick else FULL
    text = bible(settings, vocab_size=size.vocabulary, kind="bpe")
    found = measure(text, size, settings.each_seed)
    results.table("leak", ["", *NAMES.values(), "the text itself"], rows_of_measures(found))
    results.table("written", ["", "beginning", "goes on"], found.examples)
    results.table("padding", ["places of padding", *map(str, size.padding)], rows_of_padding(found.padding))
    results.text("findings", findings(size, found))
    with results.figure("leak") as figure:
        draw_losses(figure, found)
    with results.figure("padding") as figure:
        draw_padding(figure, size.padding, found.padding)
    by_name = {name: getattr(found, name) for name in ("curves", "measures")}
    results.save(
        {
            "settings": asdict(size),
            **{name: {NAMES[m]: each for m, each in of.items()} for name, of in by_name.items()},
            "the text itself": found.real,
            "padding": found.padding,
            "written": found.examples,
        }
    )


def main() -> None:
    main_of(run)


if __name__ == "__main__":
    main()
