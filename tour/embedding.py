"""Embedding layer: what becomes of word vectors in training, and what scaling and tying do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from headway.batch import Batch
from headway.data.loader import BatchConfig, Loader
from headway.data.objectives import CausalObjective
from headway.model.architectures import Transformer
from headway.model.config import AttentionConfig, TransformerConfig
from headway.training.settings import OptimizerConfig, StopConfig
from tour.learn import MakeBatch, Training, endless, fresh, learn, parameters_of, score
from tour.report import Results, Settings, band, main_of, spread
from tour.text import Text, bible

GROUPS = {
    "numbers": ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    "family": ("father", "mother", "son", "daughter", "brother", "sister", "wife", "child"),
    "body": ("hand", "head", "eyes", "heart", "mouth", "feet", "face", "ears"),
    "metals": ("gold", "silver", "brass", "iron"),
    "pronouns": ("he", "she", "they", "we", "you", "him", "them", "us"),
    "deeds": ("said", "went", "came", "took", "gave", "made", "saw", "sent"),
}
"""Words that any reader would put together; those that the vocabulary lacks are left out."""

INVENTED_GROUPS = {"deeds": ("saw", "took", "gave"), "things": ("bread", "house", "water")}
"""Those of the text of a smoke run."""

SHOWN = ("king", "father", "three", "gold", "hand", "said", "water", "he")
NEIGHBOURS = 4
LEAST_COUNT = 30
"""How often a word must occur to be shown as a neighbour: those seen less are near where they began."""

VARIANTS = {
    "tied, scaled": (True, True),
    "tied, not scaled": (True, False),
    "not tied, scaled": (False, True),
    "not tied, not scaled": (False, False),
}
"""Output projection and embedding are one matrix; embeddings are multiplied by √d_model."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large everything is; the defaults are those of the page."""

    vocab_size: int = 2000
    d_model: int = 64
    steps: int = 350
    tokens: int = 2048
    short_steps: int = 200
    """Of each of the variants, of which there are four for each seed."""
    short_tokens: int = 1024
    looks: int = 6
    """At the held-out text, evenly spread over a short run."""
    held_out: int = 8
    """Batches of it."""
    least_count: int = LEAST_COUNT


QUICK = Sizes(
    vocab_size=40,
    d_model=8,
    steps=3,
    tokens=64,
    short_steps=2,
    short_tokens=64,
    looks=2,
    held_out=1,
    least_count=1,
)


def shape(sizes: Sizes, vocab_size: int) -> TransformerConfig:
    """A causal language model of one layer as in the paper: sinusoids, norms after the sums, ReLU."""
    return TransformerConfig(
        vocab_size=vocab_size,
        encoder_layers=0,
        decoder_layers=1,
        d_model=sizes.d_model,
        d_ff=4 * sizes.d_model,
        dropout=0.0,
        attention=AttentionConfig(num_heads=2),
    )


def measure(
    settings: Settings, sizes: Sizes, text: Text, groups: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Neighbours and their order before and after training, and the four variants side by side."""
    words = known(text, groups)
    config = shape(sizes, text.tokenizer.vocab_size)
    trained = []
    for seed in settings.each_seed:
        model = fresh(config, seed)
        before = vectors(model)
        learn(model, _batches(text, sizes.tokens, seed), _training(sizes.steps, seed))
        after = vectors(model)
        trained.append(
            {
                "seed": seed,
                "togetherness": {"before": togetherness(before, words), "after": togetherness(after, words)},
                "neighbours": neighbours(text, before, after, sizes.least_count),
                "projection": {"before": projection(before, words), "after": projection(after, words)},
            }
        )
    held_out = list(Loader(text.held_out, _objective(text), _config(sizes.short_tokens), seed=0).ordered())
    few = held_out[:: max(1, len(held_out) // sizes.held_out)][: sizes.held_out]
    variants = {
        name: [
            variant(replace(config, tie_output=tied, scale_embeddings=scaled), text, sizes, seed, few)
            for seed in settings.each_seed
        ]
        for name, (tied, scaled) in VARIANTS.items()
    }
    return {
        "vocabulary": text.tokenizer.vocab_size,
        "groups": {name: list(ids) for name, ids in words.items()},
        "trained": trained,
        "variants": variants,
    }


def variant(
    config: TransformerConfig, text: Text, sizes: Sizes, seed: int, held_out: list[Batch]
) -> dict[str, Any]:
    """How one way of embedding learns: held-out loss over steps, and how large the numbers of a word are."""
    model = fresh(config, seed)
    first = loudness(model)
    training = replace(
        _training(sizes.short_steps, seed), look_every=max(1, sizes.short_steps // sizes.looks)
    )
    curve = learn(
        model,
        _batches(text, sizes.short_tokens, seed),
        training,
        lambda: {"loss": score(model, held_out).loss},
    )
    return {
        "seed": seed,
        "parameters": parameters_of(model),
        "steps": [look.step for look in curve.looks],
        "losses": [look.found["loss"] for look in curve.looks],
        "loudness": [first, loudness(model)],
    }


def known(text: Text, groups: Mapping[str, Sequence[str]]) -> dict[str, dict[str, int]]:
    """Of each group the words that are one token of the vocabulary, with their ids."""
    found: dict[str, dict[str, int]] = {}
    for name, words in groups.items():
        for word in words:
            ids = text.tokenizer.encode(word)
            if len(ids) == 1 and ids[0] != text.tokenizer.special.unknown:
                found.setdefault(name, {})[word] = ids[0]
    return found


def vectors(model: Transformer) -> Float[Tensor, "V D"]:
    """The embedding matrix, each row of length 1."""
    weight: Tensor = model.embedding.tokens.weight.detach()
    return torch.nn.functional.normalize(weight, dim=-1)


@torch.no_grad()
def loudness(model: Transformer) -> float:
    """Root mean square of the numbers of a word's vector as it enters the sum; a sinusoid has √½."""
    embedding = model.embedding
    return float((embedding.tokens.weight * embedding.scale).square().mean().sqrt())


def togetherness(unit: Float[Tensor, "V D"], words: Mapping[str, Mapping[str, int]]) -> float:
    """How often a word is nearer to one of its own group than to one of another; chance gives one half."""
    ids = [(group, index) for group, held in words.items() for index in held.values()]
    near = {pair: float(unit[pair[0][1]] @ unit[pair[1][1]]) for pair in combinations(ids, 2)}
    own = torch.tensor([value for (a, b), value in near.items() if a[0] == b[0]])
    other = torch.tensor([value for (a, b), value in near.items() if a[0] != b[0]])
    return float((own[:, None] > other).float().mean())


def neighbours(
    text: Text, before: Float[Tensor, "V D"], after: Float[Tensor, "V D"], least_count: int
) -> dict[str, dict[str, list[str]]]:
    """The words whose vectors point most nearly where those of the shown words do."""
    counts = torch.zeros(len(after), dtype=torch.long)
    for ids in text.train.targets:
        counts += torch.bincount(torch.from_numpy(ids), minlength=len(counts))
    pieces = text.tokenizer.pieces(range(len(after)))
    are_words = torch.tensor([piece.removeprefix("▁").isalpha() for piece in pieces])
    rare = ~are_words | (counts < least_count)
    found: dict[str, dict[str, list[str]]] = {}
    for word, index in known(text, {"": SHOWN}).get("", {}).items():
        for moment, unit in (("before", before), ("after", after)):
            near = (unit @ unit[index]).masked_fill(rare, -2.0)
            near[index] = -2.0
            best = near.topk(min(NEIGHBOURS, len(near))).indices.tolist()
            found.setdefault(word, {})[moment] = [pieces[each].removeprefix("▁") for each in best]
    return found


def projection(
    unit: Float[Tensor, "V D"], words: Mapping[str, Mapping[str, int]]
) -> dict[str, list[list[float]]]:
    """The vectors of all groups in the two directions in which they differ most (principal components)."""
    chosen = unit[[index for held in words.values() for index in held.values()]]
    centred = chosen - chosen.mean(dim=0)
    directions = torch.linalg.svd(centred, full_matrices=False).Vh[:2]
    flat = (centred @ directions.T).tolist()
    found, start = {}, 0
    for group, held in words.items():
        found[group], start = flat[start : start + len(held)], start + len(held)
    return found


def _objective(text: Text) -> CausalObjective:
    return CausalObjective(text.tokenizer.special)


def _config(tokens: int) -> BatchConfig:
    return BatchConfig(tokens=tokens, context=64)


def _batches(text: Text, tokens: int, seed: int) -> MakeBatch:
    return endless(Loader(text.train, _objective(text), _config(tokens), seed=seed))


def _training(steps: int, seed: int) -> Training:
    optimizer = OptimizerConfig(kind="adamw", rate=5e-3, weight_decay=0.01)
    return Training(stop=StopConfig(steps=steps), optimizer=optimizer, seed=seed)


def findings(figures: Mapping[str, Any]) -> str:
    """What the figures say, decided by rule."""
    before, after = (
        [each["togetherness"][moment] for each in figures["trained"]] for moment in ("before", "after")
    )
    told = [
        "A word is nearer to one of its own group than to one of another in "
        f"{spread(before, '.0%')} of all comparisons before training and in {spread(after, '.0%')} after it: "
        + (
            "**what is used alike comes to lie together.**"
            if min(after) > max(before)
            else "**this run does not show that what is used alike comes to lie together.**"
        )
    ]
    ends = {name: [run["losses"][-1] for run in runs] for name, runs in figures["variants"].items()}
    for what, pairs in (
        (
            "Scaling by √d_model",
            (("tied, scaled", "tied, not scaled"), ("not tied, scaled", "not tied, not scaled")),
        ),
        ("Tying", (("tied, scaled", "not tied, scaled"), ("tied, not scaled", "not tied, not scaled"))),
    ):
        told += [f"{what}: {_compared(with_it, without, ends)}." for with_it, without in pairs]
    return "\n\n".join(told)


def _compared(name: str, other: str, ends: Mapping[str, Sequence[float]]) -> str:
    """Which of two variants ends with the lower loss; neither does, where their seeds overlap."""
    ours, theirs = ends[name], ends[other]
    figures = f"({spread(ours, '.3f')} and {spread(theirs, '.3f')} nats a token)"
    if max(ours) < min(theirs):
        return f"*{name}* ends lower than *{other}* with every seed {figures}"
    if max(theirs) < min(ours):
        return f"*{name}* ends higher than *{other}* with every seed {figures}"
    return f"between *{name}* and *{other}* the seeds do not decide {figures}"


def draw(results: Results, figures: Mapping[str, Any]) -> None:
    """The groups before and after training as points, and the held-out loss of the variants."""
    first = figures["trained"][0]["projection"]
    with results.figure("groups", (10.0, 4.6)) as figure:
        for axes, moment in zip(figure.subplots(1, 2), ("before", "after"), strict=True):
            for number, (group, points) in enumerate(first[moment].items()):
                across, up = zip(*points, strict=True)
                axes.scatter(across, up, s=14, color=f"C{number}", label=group)
                for word, x, y in zip(figures["groups"][group], across, up, strict=True):
                    axes.annotate(
                        word, (x, y), (3, 2), textcoords="offset points", fontsize=7, color=f"C{number}"
                    )
            axes.set(title=f"{moment} training", xticks=[], yticks=[])
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False)
    with results.figure("variants") as figure:
        axes = figure.subplots()
        for number, (name, runs) in enumerate(figures["variants"].items()):
            middle, low, high = band([run["losses"] for run in runs])
            axes.plot(runs[0]["steps"], middle, marker="os^D"[number], markersize=4, label=name)
            axes.fill_between(runs[0]["steps"], low, high, alpha=0.2, linewidth=0)
        axes.set(xlabel="steps", ylabel="held-out loss, nats a token")
        axes.legend(frameon=False)


def run(settings: Settings) -> None:
    results = Results("embedding", settings)
    sizes, groups = (QUICK, INVENTED_GROUPS) if settings.quick else (Sizes(), GROUPS)
    figures = measure(settings, sizes, bible(settings, vocab_size=sizes.vocab_size), groups)
    near = figures["trained"][0]["neighbours"]
    results.table(
        "neighbours",
        ["word", "nearest before training", "nearest after it"],
        [[word, ", ".join(found["before"]), ", ".join(found["after"])] for word, found in near.items()],
    )
    results.table(
        "variants",
        ["variant", "parameters", "size of a word at first", "at the end", "held-out loss, nats a token"],
        [
            [
                name,
                f"{runs[0]['parameters']:,}",
                *(spread([run["loudness"][place] for run in runs], ".2f") for place in (0, 1)),
                spread([run["losses"][-1] for run in runs], ".3f"),
            ]
            for name, runs in figures["variants"].items()
        ],
    )
    draw(results, figures)
    results.text("findings", findings(figures))
    results.save(figures)


def main() -> None:
    main_of(run)


if __name__ == "__main__":
    main()
