"""Masked language modelling: how many tokens to mask, and how far around a blank a model looks for its word.

Models learn from the Bible in Basic English, whose chapters are cut into texts of all lengths, so that a
short text is nothing new to a model: what a blank loses with its context is what the context said.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from headway.batch import Tokens
from headway.data.in_memory import InMemory
from headway.data.loader import BatchConfig, Loader
from headway.data.objectives import MaskedObjective
from headway.evaluation.bootstrap import interval
from headway.model.architectures import Transformer
from headway.model.presets import preset_config
from headway.training.settings import OptimizerConfig, ScheduleConfig, StopConfig
from tour.learn import Training, endless, fresh, learn, score
from tour.report import Results, Settings, main_of, spread
from tour.seeds import compared, shaded
from tour.text import Text, bible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMMON_RATE = 0.15
"""At which all models are judged, whatever they were trained at."""
COMMON_TOKENS = 100
"""The commonest of the training text; blanks of other tokens are told apart."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the experiment is; lengths in tokens."""

    vocabulary: int = 2000
    row: int = 128
    tokens: int = 1024
    """A step."""
    peak_rate: float = 1e-2
    rates: tuple[float, ...] = (0.05, 0.15, 0.3, 0.5)
    d_model: int = 64
    """Of the models that are trained at each rate."""
    steps: int = 140
    """At each rate."""
    ablation_rate: float = 0.3
    ablation_d_model: int = 128
    ablation_steps: int = 330
    reaches: tuple[int, ...] = (0, 1, 2, 4, 8, 16, 62)
    """Tokens that are left on either side of a blank."""
    near: int = 4
    """What is farther away is far context."""
    blanks: int = 1000
    judged_chapters: int = 30


FULL = Size()
QUICK = Size(
    vocabulary=60,
    row=16,
    tokens=128,
    rates=(0.15, 0.5),
    d_model=16,
    steps=3,
    ablation_d_model=16,
    ablation_steps=4,
    reaches=(0, 2, 6),
    near=2,
    blanks=5,
    judged_chapters=2,
)


def in_pieces(texts: InMemory, longest: int, seed: int) -> InMemory:
    """The texts cut into pieces of 1 to `longest` tokens; each length has the same share of all tokens."""
    chance = np.random.default_rng(seed)
    pieces = []
    for ids in texts.targets:
        start = 0
        while start < len(ids):
            length = int((longest + 1) ** chance.random())
            pieces.append(ids[start : start + length])
            start += length
    return InMemory(pieces)


def objective_of(text: Text, rate: float) -> MaskedObjective:
    return MaskedObjective(text.tokenizer.special, text.tokenizer.vocab_size, rate=rate)


def train(text: Text, size: Size, *, d_model: int, rate: float, steps: int, seed: int) -> Transformer:
    """A small masked language model, trained at one masking rate."""
    changes = {
        "encoder_layers": 2,
        "d_model": d_model,
        "d_ff": 3 * d_model,
        "dropout": 0.0,
        "scale_embeddings": True,
    }
    model = fresh(preset_config("masked-small", text.tokenizer.vocab_size, changes), seed)
    objective = objective_of(text, rate)
    pieces = in_pieces(text.train, size.row - objective.frame, seed)
    batch = BatchConfig(tokens=size.tokens, context=size.row)
    training = Training(
        stop=StopConfig(steps=steps),
        optimizer=OptimizerConfig(kind="muon", rate=size.peak_rate, weight_decay=0.01),
        schedule=ScheduleConfig(kind="linear", warmup=min(50, steps // 4)),
        seed=seed,
    )
    learn(model, endless(Loader(pieces, objective, batch, seed=seed)), training)
    return model


def accuracy(text: Text, size: Size, model: Transformer) -> tuple[float, float]:
    """Percent of masked tokens guessed, and bits for each, in whole chapters that were held out."""
    some = InMemory(text.held_out.targets[: size.judged_chapters])
    batch = BatchConfig(tokens=size.tokens, context=size.row)
    found = score(model, Loader(some, objective_of(text, COMMON_RATE), batch, seed=0).ordered())
    return 100 * found.accuracy, found.loss / math.log(2)


@dataclass(frozen=True)
class Blanks:
    """Held-out places, one a row, in the middle of as much text as the longest row holds."""

    rows: Tensor
    """[N, 2 · reach + 1] tokens."""
    rare: Tensor
    """[N] whether the token in the middle is none of the commonest."""

    @property
    def reach(self) -> int:
        return self.rows.shape[1] // 2

    @property
    def hidden(self) -> Tensor:
        """[N] the tokens that stood there."""
        return self.rows[:, self.reach]


def blanks_of(text: Text, size: Size) -> Blanks:
    """Places evenly spread over the held-out chapters; none whose word is not in the vocabulary."""
    reach, unknown = max(size.reaches), text.tokenizer.special.unknown
    places = [
        ids[place - reach : place + reach + 1]
        for ids in text.held_out.targets
        for place in range(reach, len(ids) - reach)
        if ids[place] != unknown
    ]
    few = min(size.blanks, len(places))
    rows = torch.from_numpy(np.stack([places[index * len(places) // few] for index in range(few)]))
    counts = np.bincount(np.concatenate(text.train.targets), minlength=text.tokenizer.vocab_size)
    commonest = torch.from_numpy(np.argsort(-counts)[:COMMON_TOKENS])
    return Blanks(rows, ~torch.isin(rows[:, reach], commonest))


@torch.no_grad()
def cut_away(text: Text, model: Transformer, blanks: Blanks, reach: int) -> tuple[Tensor, Tensor]:
    """For each blank whether it is guessed, and its bits, from `reach` tokens on either side and no others.

    To cut the others away is to hide them: tokens of another segment are not seen, and change no number.
    """
    special, middle = text.tokenizer.special, blanks.reach
    near = blanks.rows[:, middle - reach : middle + reach + 1].clone()
    near[:, reach] = special.mask
    rows = torch.tensor([special.whole(row) for row in near.tolist()])
    place = rows.shape[1] // 2
    guessed, bits = [], []
    for some, right in zip(rows.split(256), blanks.hidden.split(256), strict=True):
        log_probs = model.logits(model(Tokens(some))[:, place]).log_softmax(dim=1)
        guessed.append(log_probs.argmax(dim=1) == right)
        bits.append(-log_probs.gather(1, right[:, None])[:, 0] / math.log(2))
    return torch.cat(guessed), torch.cat(bits)


@dataclass(frozen=True)
class Ablation:
    """Blanks read with ever more context; each tensor is [seeds, reaches, N]."""

    guessed: Tensor
    bits: Tensor
    rare: Tensor
    """[N]"""

    def accuracies(self, reach: int, *, rare: bool) -> list[float]:
        """Percent guessed, of all blanks or of the rare ones, a number a seed."""
        some = self.guessed[:, reach][:, self.rare] if rare else self.guessed[:, reach]
        return (100 * some.double().mean(dim=1)).tolist()

    def surprises(self, reach: int) -> list[float]:
        return self.bits[:, reach].mean(dim=1).tolist()

    def gain(self, reach: int) -> tuple[float, float, float]:
        """By how many bits a blank costs less than with the context before, and the bounds of 95 %."""
        each = (self.bits[:, reach - 1] - self.bits[:, reach]).double().mean(dim=0).numpy()
        return float(each.mean()), *interval(each, np.ones_like(each))


@dataclass(frozen=True)
class Found:
    rates: Mapping[float, Sequence[tuple[float, float]]]
    """Percent guessed and bits, a pair a seed, by masking rate."""
    ablation: Ablation


def measure(text: Text, size: Size, seeds: Sequence[int]) -> Found:
    def at_rate(rate: float, seed: int) -> tuple[float, float]:
        model = train(text, size, d_model=size.d_model, rate=rate, steps=size.steps, seed=seed)
        return accuracy(text, size, model)

    def trained_longer(seed: int) -> Transformer:
        d_model, rate, steps = size.ablation_d_model, size.ablation_rate, size.ablation_steps
        return train(text, size, d_model=d_model, rate=rate, steps=steps, seed=seed)

    rates = {rate: [at_rate(rate, seed) for seed in seeds] for rate in size.rates}
    blanks, guessed, bits = blanks_of(text, size), [], []
    for model in map(trained_longer, seeds):
        several = [cut_away(text, model, blanks, reach) for reach in size.reaches]
        guessed.append(torch.stack([each for each, _ in several]))
        bits.append(torch.stack([each for _, each in several]))
    return Found(rates, Ablation(torch.stack(guessed), torch.stack(bits), blanks.rare))


def rows_of_rates(found: Found) -> list[list[str]]:
    rows = []
    for rate, several in found.rates.items():
        shares, bits = zip(*several, strict=True)
        rows.append([f"{rate:.0%}", spread(shares, ".1f") + " %", spread(bits, ".2f")])
    return rows


def rows_of_reaches(size: Size, found: Found) -> list[list[str]]:
    rows = []
    for index, reach in enumerate(size.reaches):
        shares = [found.ablation.accuracies(index, rare=rare) for rare in (False, True)]
        gain = ""
        if index:
            middle, low, high = found.ablation.gain(index)
            gain = f"{middle:.3f} [{low:.3f}, {high:.3f}]"
        bits = spread(found.ablation.surprises(index), ".2f")
        rows.append([str(reach), *(spread(each, ".1f") + " %" for each in shares), bits, gain])
    return rows


def findings(size: Size, found: Found) -> str:
    """What the figures say, whatever they are."""
    ablation, last, near = found.ablation, len(size.reaches) - 1, size.reaches.index(size.near)
    shares = {rate: [share for share, _ in several] for rate, several in found.rates.items()}
    medians = {rate: statistics.median(each) for rate, each in shares.items()}
    best, worst = max(medians, key=medians.__getitem__), min(medians, key=medians.__getitem__)
    sure = [reach for i, reach in enumerate(size.reaches) if i and ablation.gain(i)[1] > 0]
    unsure = [reach for i, reach in enumerate(size.reaches) if i and ablation.gain(i)[1] <= 0]
    costs = [ablation.surprises(each) for each in (near, last)]
    lines = [
        f"After {size.steps} steps {best:.0%} of masking guesses most and {worst:.0%} least. The former's "
        f"share beside the latter's: {compared(shares[worst], shares[best], '+.1f', 'points')}.",
        "A blank gets cheaper, with 95 % confidence, where the context widens up to these numbers of tokens "
        f"on either side: {_listed(sure)}. For these it cannot be said: {_listed(unsure)}.",
        f"Far context, from {size.reaches[near]} to {size.reaches[last]} tokens on either side. What a blank "
        f"costs: {compared(*costs, '+.3f', 'bits')}.",
    ]
    for rare, which in ((False, "all blanks"), (True, f"all but the {COMMON_TOKENS} commonest words")):
        first, second = (ablation.accuracies(each, rare=rare) for each in (near, last))
        lines.append(f"The share guessed of {which}: {compared(first, second, '+.1f', 'points')}.")
    return "\n".join(f"- {line}" for line in lines)


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"


def draw_rates(figure: "Figure", found: Found) -> None:
    axes = figure.subplots()
    curves = list(zip(*([share for share, _ in each] for each in found.rates.values()), strict=True))
    percents = [100 * rate for rate in found.rates]
    shaded(axes, percents, curves, "median of the seeds", style="o-", color="C0")
    axes.set(
        xlabel="tokens masked in training, %",
        ylabel=f"guessed of the held-out tokens\nmasked at {COMMON_RATE:.0%}, %",
    )


def draw_reaches(figure: "Figure", size: Size, found: Found) -> None:
    shares, costs = figure.subplots(1, 2)
    places = range(len(size.reaches))
    for rare, name, color in ((False, "all blanks", "C0"), (True, "rarer words", "C1")):
        curves = list(zip(*(found.ablation.accuracies(index, rare=rare) for index in places), strict=True))
        shaded(shares, places, curves, name, style="o-", color=color)
    with_context = places[1:]  # without any a blank costs so much more that nothing else could be seen
    curves = list(zip(*(found.ablation.surprises(index) for index in with_context), strict=True))
    shaded(costs, with_context, curves, "all blanks", style="o-", color="C0")
    for axes, some, name in ((shares, places, "blanks guessed, %"), (costs, with_context, "bits a blank")):
        axes.set(xlabel="tokens left on either side", ylabel=name)
        axes.set_xticks(some, [str(size.reaches[index]) for index in some])
    shares.legend()


def run(settings: Settings) -> None:
    results = Results("masked-language-modelling", settings)
    size = QUICK if settings.quick else FULL
    text = bible(settings, vocab_size=size.vocabulary)
    found = measure(text, size, settings.each_seed)
    header = ["masked in training", "guessed of what is held out", "bits a masked token"]
    results.table("rates", header, rows_of_rates(found))
    header = [
        "tokens on either side",
        "guessed",
        "guessed of rarer words",
        "bits a blank",
        "cheaper by [95 %]",
    ]
    results.table("context", header, rows_of_reaches(size, found))
    results.text("findings", findings(size, found))
    with results.figure("rates", (5.0, 3.2)) as figure:
        draw_rates(figure, found)
    with results.figure("context") as figure:
        draw_reaches(figure, size, found)
    results.save(
        {
            "settings": asdict(size),
            "rates": {
                rate: [{"guessed": a, "bits": b} for a, b in each] for rate, each in found.rates.items()
            },
            "context": [
                {
                    "reach": reach,
                    "guessed": found.ablation.accuracies(index, rare=False),
                    "guessed_rare": found.ablation.accuracies(index, rare=True),
                    "bits": found.ablation.surprises(index),
                }
                for index, reach in enumerate(size.reaches)
            ],
            "blanks": len(found.ablation.rare),
            "rare_blanks": int(found.ablation.rare.sum()),
        }
    )


def main() -> None:
    main_of(run)


if __name__ == "__main__":
    main()
