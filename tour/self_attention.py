"""Self-attention: what the heads of a trained model look at, which kinds arise each time, and their worth.

    python -m tour self_attention

Axes: B rows, H heads, T tokens.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import mean
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from headway.batch import Batch, Tokens
from headway.data.loader import BatchConfig, Loader
from headway.data.objectives import CausalObjective
from headway.inspection.capture import capture_attention
from headway.inspection.summaries import summarise
from headway.model.architectures import CausalLM, Transformer
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig
from headway.training.settings import OptimizerConfig, ScheduleConfig, StopConfig
from tour.learn import Training, endless, fresh, learn, score
from tour.report import Results, Settings, main_of, spread
from tour.text import Text, bible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = (
    "itself",
    "one before",
    "two before",
    "the last blank",
    "after the same letter",
    "the same letter",
)
"""What a weight may be on; each weight counts for the first that fits, or for "elsewhere"."""
SPECIAL = 0.4
"""Share of a head's weight from which it is named after what the weight is on."""
BROAD = 0.8
"""A head whose weights have this share of the greatest possible entropy looks everywhere."""
SHOWN = 30
"""Characters that the pictures show."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of the model and its training."""

    d_model: int = 96
    layers: int = 2
    heads: int = 4
    context: int = 64
    tokens: int = 2048
    steps: int = 400
    judged: int = 60
    """Held-out rows."""


QUICK = Sizes(d_model=16, heads=2, context=24, tokens=96, steps=2, judged=3)


@dataclass(frozen=True)
class Head:
    """What one head does on held-out text, on average over its queries; layers and heads count from 1."""

    seed: int
    layer: int
    head: int
    shares: dict[str, float]
    """Of the weight, by what it is on."""
    entropy: float
    """Bits."""
    most_entropy: float
    """Bits, were all that is seen looked at alike."""
    distance: float
    """Tokens back."""
    worth: float
    """Nats per token that the loss rises without this head."""

    @property
    def place(self) -> str:
        return f"seed {self.seed}, head {self.layer}.{self.head}"

    @property
    def kind(self) -> str:
        """Its name: what most of its weight is on, if that is much; else whether it looks everywhere."""
        name = max(KINDS, key=lambda kind: self.shares[kind])
        if self.shares[name] >= SPECIAL:
            return name
        return "everywhere" if self.entropy >= BROAD * self.most_entropy else "mixed"


def model_of(text: Text, sizes: Sizes, seed: int) -> Transformer:
    return fresh(
        TransformerConfig(
            vocab_size=text.tokenizer.vocab_size,
            encoder_layers=0,
            decoder_layers=sizes.layers,
            d_model=sizes.d_model,
            d_ff=2 * sizes.d_model,
            dropout=0.0,
            attention=AttentionConfig(num_heads=sizes.heads),
            norm=NormConfig(position="pre"),
            positions=PositionConfig(kind="rotary"),
        ),
        seed,
    )


def trained(text: Text, sizes: Sizes, seed: int) -> Transformer:
    """A causal model that has read the text, character by character."""
    batching = BatchConfig(tokens=sizes.tokens, context=sizes.context)
    loader = Loader(text.train, CausalObjective(text.tokenizer.special), batching, seed=seed)
    model = model_of(text, sizes, seed)
    training = Training(
        stop=StopConfig(steps=sizes.steps),
        optimizer=OptimizerConfig(kind="muon", rate=1e-2),
        schedule=ScheduleConfig(kind="linear", warmup=30),
        seed=seed,
    )
    learn(model, endless(loader), training)
    return model


def held_out(text: Text, sizes: Sizes) -> Batch:
    """The beginnings of held-out texts, each with <s> before it."""
    rows = [text.tokenizer.special.start(ids.tolist()) for ids in text.held_out.targets]
    ids = torch.tensor([row[: sizes.context + 1] for row in rows if len(row) > sizes.context][: sizes.judged])
    return Batch(Tokens(ids[:, :-1]), ids[:, 1:])


def places_of(ids: Tensor, blank: int) -> dict[str, Tensor]:
    """For each kind, whether a key [B T T] is of that kind for a query; a key is of at most one.

    The last blank is the nearest at or before the query: where its word began.
    """
    length = ids.shape[1]
    place = torch.arange(length)
    distance = place[:, None] - place
    last_blank = torch.where(ids == blank, place, -1).cummax(dim=1).values
    same = (ids[:, :, None] == ids[:, None, :]) & (distance > 0)
    after_same = F.pad(same[:, :, :-1], (1, 0))
    wanted = (distance == 0, distance == 1, distance == 2, last_blank[:, :, None] == place, after_same, same)
    free, found = (distance >= 0).expand_as(same), {}
    for kind, where in zip(KINDS, wanted, strict=True):
        found[kind] = free & where
        free = free & ~where
    return found


def shares(weights: Tensor, places: dict[str, Tensor]) -> list[dict[str, float]]:
    """For each head of weights [B H T T], the share of the weight on each kind of place, and elsewhere.

    The first four queries are left out: all that they see is near.
    """
    found = {
        kind: (weights * where[:, None])[:, :, 4:].sum(-1).mean((0, 2)) for kind, where in places.items()
    }
    found["elsewhere"] = 1 - torch.stack(list(found.values())).sum(0)
    return [{kind: float(each[head]) for kind, each in found.items()} for head in range(weights.shape[1])]


def even(length: int) -> Tensor:
    """The weights [1 1 T T] of a head that looks at all it sees alike."""
    seen = torch.ones(length, length).tril()
    return (seen / seen.sum(-1, keepdim=True))[None, None]


@torch.no_grad()
def weights_of(model: Transformer, tokens: Tokens) -> list[Tensor]:
    """The weights [B H T T] of each layer."""
    with capture_attention(model) as captured:
        model.eval()(tokens)
    return captured["decoder"]


@contextmanager
def without_head(model: Transformer, layer: int, head: int) -> Iterator[None]:
    """Inside the block what this head finds goes nowhere; layers and heads count from 0."""
    assert isinstance(model, CausalLM)
    output = model.decoder.layers[layer].self_attention.output.weight
    columns = slice(head * model.config.d_value, (head + 1) * model.config.d_value)
    kept = output.detach()[:, columns].clone()
    with torch.no_grad():
        output[:, columns] = 0
        try:
            yield
        finally:
            output[:, columns] = kept


def heads_of(model: Transformer, batch: Batch, blank: int, seed: int) -> list[Head]:
    """Every head of a model, on held-out text."""
    places, loss = places_of(batch.inputs.ids, blank), score(model, [batch]).loss
    most = summarise(even(batch.inputs.ids.shape[1])[0])[0].entropy
    found = []
    for layer, weights in enumerate(weights_of(model, batch.inputs)):
        told = [summarise(row) for row in weights]
        for head, share in enumerate(shares(weights, places)):
            with without_head(model, layer, head):
                worse = score(model, [batch]).loss - loss
            entropy, distance = (
                mean(getattr(row[head], name) for row in told) for name in ("entropy", "distance")
            )
            found.append(Head(seed, layer + 1, head + 1, share, entropy, most, distance, worse))
    return found


@dataclass(frozen=True)
class Found:
    """All heads after training, by seed, layer and head, and what they are compared with."""

    heads: list[Head]
    untrained: list[Head]
    """Those of the first seed before training."""
    even: dict[str, float]
    """Shares of the weight of a head that looks at all it sees alike."""
    losses: list[float]
    """Of each seed's model on held-out text, nats per token."""


def measure(models: Sequence[Transformer], untrained: Transformer, text: Text, batch: Batch) -> Found:
    """Every head of the models, whose seeds are 1, 2, …"""
    ids, (blank,) = batch.inputs.ids, text.tokenizer.encode(" ")
    even_shares = shares(even(ids.shape[1]).expand(len(ids), 1, -1, -1), places_of(ids, blank))
    return Found(
        heads=[head for seed, model in enumerate(models, 1) for head in heads_of(model, batch, blank, seed)],
        untrained=heads_of(untrained, batch, blank, 1),
        even=even_shares[0],
        losses=[score(model, [batch]).loss for model in models],
    )


def findings(found: Found) -> str:
    """Which kinds of heads arose, with how many of the seeds, and what they are worth; by rule."""
    kinds_of: dict[int, list[str]] = {}
    for head in found.heads:
        kinds_of.setdefault(head.seed, []).append(head.kind)
    lines, never, each = [], [], len(kinds_of[1])
    for kind in KINDS:
        counts = [kinds.count(kind) for kinds in kinds_of.values()]
        if not any(counts):
            never.append(kind)
            continue
        arose = (
            f"with {sum(map(bool, counts))} of {len(counts)} seeds, {spread(counts, '.0f')} of {each} heads"
        )
        lines.append(f"- {SPECIAL:.0%} or more of their weight on **{kind}**: {arose}.")
    lines.append(f"- No head of any seed has so much on: {', '.join(never) or 'none of these is missing'}.")
    before = sum(head.kind in KINDS for head in found.untrained)
    lines.append(f"- Before training, {before} of {each} heads of the first seed had such a name.")
    entropies = [spread([head.entropy for head in heads], ".1f") for heads in (found.untrained, found.heads)]
    lines.append(
        f"- Entropy of the weights, over heads: {entropies[0]} bits before training, {entropies[1]} after; "
        f"{found.heads[0].most_entropy:.1f} if all that is seen were looked at alike."
    )
    by_worth = sorted(found.heads, key=lambda head: head.worth)
    least, most = (f"{head.worth:.3f} ({head.kind}, {head.place})" for head in (by_worth[0], by_worth[-1]))
    lines.append(
        f"- Taking one head away costs from {least} to {most} nats per character; the whole loss is "
        f"{spread(found.losses, '.2f')}."
    )
    return "\n".join(lines)


def row_of(head: Head) -> list[object]:
    """A line of the page's table."""
    told = [f"{head.shares[kind]:.0%}" for kind in (*KINDS, "elsewhere")]
    return [head.place, head.kind, *told, f"{head.entropy:.1f}", f"{head.distance:.1f}", f"{head.worth:.3f}"]


def most_special(heads: Sequence[Head], count: int = 4) -> list[Head]:
    """The heads of the first seed with the largest share on one kind; the best of each kind first."""
    first = [head for head in heads if head.seed == heads[0].seed]
    by_share = sorted(first, key=lambda head: -max(head.shares[kind] for kind in KINDS))
    best_of = {head.kind: head for head in reversed(by_share)}
    return sorted(by_share, key=lambda head: best_of[head.kind] is not head)[:count]


def draw_maps(figure: "Figure", model: Transformer, text: Text, batch: Batch, heads: Sequence[Head]) -> None:
    """Heat maps of a few heads on the beginning of a held-out text."""
    ids = batch.inputs.ids[:1, :SHOWN]
    weights, pieces = weights_of(model, Tokens(ids)), text.tokenizer.pieces(ids[0])
    for axis, head in zip(figure.subplots(1, len(heads), sharey=True), heads, strict=True):
        axis.imshow(weights[head.layer - 1][0, head.head - 1].numpy(), cmap="Blues", vmin=0, vmax=1)
        axis.set_title(f"head {head.layer}.{head.head}: {head.kind}", fontsize=9)
        axis.set_xticks(range(len(pieces)), pieces, rotation=90, fontsize=7, parse_math=False)
        axis.set_yticks(range(len(pieces)), pieces, fontsize=7, parse_math=False)
        axis.tick_params(length=0)
    figure.supxlabel("what is looked at", fontsize=9)
    figure.supylabel("what looks", fontsize=9)


def draw_shares(figure: "Figure", found: Found, seeds: Sequence[int]) -> None:
    """What every head's weight is on, as bars: an even head, the untrained model, then seed by seed."""
    groups = {"untrained": found.untrained}
    groups |= {f"seed {seed}": [head for head in found.heads if head.seed == seed] for seed in seeds}
    axis = figure.subplots()
    bars, labels, at = [found.even], ["even"], [0.0]
    for name, heads in groups.items():
        start = at[-1] + 1.6
        bars += [head.shares for head in heads]
        labels += [f"{head.layer}.{head.head}" for head in heads]
        at += [start + i for i in range(len(heads))]
        axis.text(start + (len(heads) - 1) / 2, 1.02, name, ha="center", fontsize=9)
    below = [0.0] * len(bars)
    for colour, kind in enumerate((*KINDS, "elsewhere")):
        heights = [bar[kind] for bar in bars]
        shade = "0.88" if kind == "elsewhere" else f"C{colour}"
        axis.bar(at, heights, bottom=below, width=0.85, color=shade, label=kind)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    axis.set(ylabel="share of the weight", ylim=(0, 1), xlim=(-0.7, at[-1] + 0.7))
    axis.set_xticks(at, labels, rotation=90, fontsize=7)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)


def run(settings: Settings) -> None:
    sizes, seeds = QUICK if settings.quick else Sizes(), settings.each_seed
    results = Results("self-attention", settings)
    text = bible(settings, kind="characters", vocab_size=200)
    batch = held_out(text, sizes)
    models = [trained(text, sizes, seed) for seed in seeds]
    found = measure(models, model_of(text, sizes, 1), text, batch)
    header = ["head", "kind", *KINDS, "elsewhere", "entropy, bits", "distance", "worth, nats"]
    results.table("heads", header, [row_of(head) for head in found.heads])
    results.text("findings", findings(found))
    with results.figure("heads", (11.0, 3.4)) as figure:
        draw_maps(figure, models[0], text, batch, most_special(found.heads))
    with results.figure("shares", (9.0, 3.8)) as figure:
        draw_shares(figure, found, seeds)
    results.save(
        {
            "heads": [{**asdict(head), "kind": head.kind} for head in found.heads],
            "untrained": [{**asdict(head), "kind": head.kind} for head in found.untrained],
            "even": found.even,
            "losses": found.losses,
        }
    )


def main() -> None:
    main_of(run)


if __name__ == "__main__":
    main()
