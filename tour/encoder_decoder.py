"""Encoder and decoder: who sees what, and the decoder's view of the encoder beside an independent alignment.

    python -m tour encoder_decoder

A model learns to pronounce English words. Where it looks while it writes a phoneme is then compared with an
alignment of letters and phonemes that knows nothing of it: counted from the dictionary alone.

Axes: N words, T phonemes, S letters, H heads.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import chain, pairwise
from statistics import mean
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from headway.batch import Batch, Tokens
from headway.bundle import Bundle, BundleInfo
from headway.demos.demo import spread as evenly_spread
from headway.inspection.capture import capture_attention
from headway.inspection.masks import MaskView, mask_views
from headway.model.architectures import EncoderDecoder, Transformer
from tour.learn import score
from tour.letter_alignment import Places, align, count
from tour.pronunciation import (
    QUICK,
    Lesson,
    Sizes,
    Words,
    batch_of,
    dictionary_of,
    lesson_of,
    model_of,
    trained,
)
from tour.report import Results, Settings, main_of, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALONG, ANY = "the letter at the same share of the way", "any letter"
"""Ways to name the letter of a phoneme that learn nothing."""
MASK_COLUMNS = ("mask", "cells", "visible", "visible and felt", "hidden", "hidden and felt")
HEAD_COLUMNS = (
    "what names a letter",
    "same letter",
    "or beside it",
    "where the way is wrong",
    "turns back",
    "weight on it",
)


@torch.no_grad()
def memory_weights(model: Transformer, batch: Batch) -> list[Tensor]:
    """For each layer of the decoder the weights [N H T S] of what it is about to write on the source.

    Of an encoder-decoder the decoder's record alternates: itself, memory, layer by layer.
    """
    with capture_attention(model) as captured:
        model.eval()(batch.inputs, batch.source)
    return captured["decoder"][1::2]


@dataclass(frozen=True)
class Agreement:
    """How a way to name the letter of each phoneme compares with the alignment."""

    exact: float
    """Share of phonemes with the same letter."""
    near: float
    """Share with the same letter or one beside it."""
    against: float
    """Share with the same letter among phonemes for which the one at the same share of the way is another."""
    goes_back: float
    """Share of steps to the next phoneme at which it turns back."""
    on_letter: float | None = None
    """Share of the weight on the letter that the alignment names, where there are weights."""


def compare(looked_at: Places, aligned: Places, guess: Places) -> Agreement:
    """Letters named for each phoneme of each word, beside those of the alignment and of a guess."""
    named, right, guessed = (list(chain.from_iterable(places)) for places in (looked_at, aligned, guess))
    triples = list(zip(named, right, guessed, strict=True))
    steps = [b - a for places in looked_at for a, b in pairwise(places)]
    against = [a == b for a, b, c in triples if b != c]
    return Agreement(
        exact=mean(a == b for a, b, _ in triples),
        near=mean(abs(a - b) <= 1 for a, b, _ in triples),
        against=mean(against) if against else 0.0,
        goes_back=mean(each < 0 for each in steps),
    )


def compare_head(weights: Tensor, aligned: Places, guess: Places) -> Agreement:
    """A head's weights [N T S]: the letter with the most of it, beside the alignment and a guess."""
    top = weights.argmax(dim=-1).tolist()
    named = [row[: len(places)] for row, places in zip(top, aligned, strict=True)]
    on = [float(weights[word, range(len(places)), places].sum()) for word, places in enumerate(aligned)]
    return replace(compare(named, aligned, guess), on_letter=sum(on) / sum(map(len, aligned)))


def along(words: Words) -> Places:
    """The letter at the same share of the way: what needs no learning."""
    return [
        [int((phoneme + 0.5) * len(letters) / len(phonemes)) for phoneme in range(len(phonemes))]
        for letters, phonemes in zip(words.letters, words.phonemes, strict=True)
    ]


def at_random(words: Words, seed: int = 0) -> Places:
    """Any letter of the word."""
    chance = random.Random(seed)
    return [
        [chance.randrange(len(letters)) for _ in phonemes]
        for letters, phonemes in zip(words.letters, words.phonemes, strict=True)
    ]


@dataclass(frozen=True)
class Seed:
    """What one trained model shows."""

    seed: int
    accuracy: float
    """Of phonemes, each told all before it, on held-out words."""
    heads: dict[str, Agreement]
    """By layer and head, counted from 1."""
    untrained: dict[str, Agreement]
    best: str
    """The head that agrees best on the first half of the held-out words."""
    best_agreement: Agreement
    """Of that head, on the second half."""


def heads_of(model: Transformer, lesson: Lesson, aligned: Places, part: slice) -> dict[str, Agreement]:
    """Every memory head on a part of the held-out words."""
    words = lesson.held_out.chosen(range(len(aligned))[part])
    return {
        f"{layer}.{head + 1}": compare_head(weights[:, head], aligned[part], along(words))
        for layer, weights in enumerate(memory_weights(model, batch_of(lesson, words)), start=1)
        for head in range(weights.shape[1])
    }


def examine(model: Transformer, untrained: Transformer, lesson: Lesson, aligned: Places, seed: int) -> Seed:
    """Every memory head of a trained model, and of the same model before training."""
    half = len(aligned) // 2
    first, second = (heads_of(model, lesson, aligned, part) for part in (slice(half), slice(half, None)))
    best = max(first, key=lambda name: first[name].exact)
    return Seed(
        seed=seed,
        accuracy=score(model, [batch_of(lesson, lesson.held_out)]).accuracy,
        heads=heads_of(model, lesson, aligned, slice(None)),
        untrained=heads_of(untrained, lesson, aligned, slice(None)),
        best=best,
        best_agreement=second[best],
    )


def views_of(lesson: Lesson, model: Transformer, one: Words) -> list[MaskView]:
    """The three masks of one pass over one word."""
    assert isinstance(model, EncoderDecoder)
    return mask_views(
        Bundle(model.config, model, lesson.tokenizers, BundleInfo()), one.spelled[0], one.spoken[0]
    )


@torch.no_grad()
def felt(model: Transformer, batch: Batch) -> dict[str, Tensor]:
    """Whether another token at one place changes what comes out at another, by the name of the mask's view.

    One row of a batch [T S]. No mask is asked: tokens are changed and outputs compared, bit by bit.
    """
    assert isinstance(model, EncoderDecoder)
    assert batch.source is not None
    inputs, source = batch.inputs.ids, batch.source.ids

    def others(ids: Tensor) -> Tensor:
        """A row for each place, in which that place holds another token."""
        rows = ids.repeat(ids.shape[1], 1)
        rows.fill_diagonal_(0)
        return torch.where(rows == 0, (ids % 7) + 5, rows)

    def moved(changed: Tensor, plain: Tensor) -> Tensor:
        return (changed != plain).any(dim=-1).T

    def many(ids: Tensor, count: int) -> Tokens:
        return Tokens(ids.repeat(count, 1))

    model.eval()
    targets, sources = others(inputs), others(source)
    plain = {n: model(many(inputs, n), many(source, n)) for n in {len(targets), len(sources)}}
    encoded = model.encode(many(source, len(sources)))
    return {
        "encoder to itself": moved(model.encode(Tokens(sources)), encoded),
        "decoder to itself": moved(model(Tokens(targets), many(source, len(targets))), plain[len(targets)]),
        "decoder to memory": moved(model(many(inputs, len(sources)), Tokens(sources)), plain[len(sources)]),
    }


def findings(seeds: Sequence[Seed], simple: Mapping[str, Agreement]) -> str:
    """What the figures say, by rule."""
    best, guess, chance = [seed.best_agreement for seed in seeds], simple[ALONG], simple[ANY]
    above = sum(each.exact > guess.exact for each in best)
    before = [max(each.exact for each in seed.untrained.values()) for seed in seeds]
    calmer = sum(each.goes_back < chance.goes_back / 2 for each in best)
    good = [sum(each.exact > guess.exact for each in seed.heads.values()) for seed in seeds]
    told = {
        name: spread([getattr(each, name) for each in best], ".0%")
        for name in ("exact", "near", "against", "goes_back")
    }
    right = spread([seed.accuracy for seed in seeds], ".0%")
    return "\n".join(
        [
            f"- The models name {right} of held-out phonemes right, told all those before.",
            "- The head that agrees best, chosen on half of the held-out words and judged on the others, "
            f"looks at the alignment's letter for {told['exact']} of phonemes, at it or one beside it for "
            f"{told['near']}.",
            f"- The letter at the same share of the way is the alignment's for {guess.exact:.0%}, or beside "
            f"it for {guess.near:.0%}. The head agrees more often with {above} of {len(seeds)} seeds. Where "
            f"the alignment's letter is another than that, the head looks at it for {told['against']}; "
            f"letters at random are it for {chance.against:.0%}.",
            f"- The head turns back at {told['goes_back']} of its steps, letters at random at "
            f"{chance.goes_back:.0%}; less than half as often with {calmer} of {len(seeds)} seeds.",
            f"- {spread(good, '.0f')} of {len(seeds[0].heads)} heads agree more often than the letter at the "
            f"same share of the way. Before training the best of all agreed for {spread(before, '.0%')}.",
        ]
    )


def row_of(name: str, agreements: Sequence[Agreement]) -> list[object]:
    """A line of the page's table."""
    columns = [[getattr(each, field.name) for each in agreements] for field in fields(Agreement)]
    return [name, *("" if column[0] is None else spread(column, ".0%") for column in columns)]


def draw_masks(figure: "Figure", views: Sequence[MaskView]) -> None:
    """Which key each query sees: dark is visible."""
    for axis, view in zip(figure.subplots(1, len(views)), views, strict=True):
        axis.imshow(view.visible.numpy(), cmap="Blues", vmin=0, vmax=1.4)
        axis.set_title(view.name, fontsize=10)
        axis.set_xticks(range(len(view.keys.tokens)), view.keys.tokens, rotation=90, fontsize=8)
        axis.set_yticks(range(len(view.queries.tokens)), view.queries.tokens, fontsize=8)
        axis.set_xticks([at - 0.5 for at in range(len(view.keys.tokens))], minor=True)
        axis.set_yticks([at - 0.5 for at in range(len(view.queries.tokens))], minor=True)
        axis.grid(which="minor", color="white", linewidth=1)
        axis.tick_params(which="both", length=0)


def draw_words(figure: "Figure", weights: Tensor, words: Words, aligned: Places) -> None:
    """A head's weights on a few words; rings stand where the alignment is."""
    for word, axis in enumerate(figure.subplots(1, len(words.spelled))):
        letters, phonemes = words.spelled[word], words.spoken[word].split()
        axis.imshow(weights[word, : len(phonemes), : len(letters) + 1].numpy(), cmap="Blues", vmin=0, vmax=1)
        axis.scatter(
            aligned[word], range(len(phonemes)), s=60, facecolors="none", edgecolors="C1", linewidths=1.5
        )
        axis.set_xticks(range(len(letters) + 1), [*letters, "</s>"], fontsize=8)
        axis.set_yticks(range(len(phonemes)), phonemes, fontsize=8)
        axis.tick_params(length=0)


def shown_of(words: Words, count: int = 4) -> list[int]:
    """Some longer words, evenly spread over the held-out ones: none is chosen for how it looks."""
    longer = [index for index, word in enumerate(words.spelled) if 5 <= len(word) <= 9]
    return [longer[at] for at in evenly_spread(len(longer), count)]


def seen_and_felt(view: MaskView, moved: Tensor) -> list[object]:
    """A line of the page's table: what the mask says beside what was measured."""
    seen = view.visible
    cells = (seen.numel(), seen.sum(), (seen & moved).sum(), (~seen).sum(), (~seen & moved).sum())
    return [view.name, *(int(each) for each in cells)]


def run(settings: Settings) -> None:
    sizes, seeds = QUICK if settings.quick else Sizes(), settings.each_seed
    results = Results("encoder-decoder", settings)
    lesson = lesson_of(dictionary_of(settings), sizes)
    held, (source, target) = lesson.held_out, lesson.tokenizers
    assert source is not None
    spelling = count(lesson.counted.letters, lesson.counted.phonemes, (source.vocab_size, target.vocab_size))
    aligned = align(spelling, held.letters, held.phonemes)
    models = [trained(lesson, sizes, seed) for seed in seeds]
    found = [
        examine(model, model_of(lesson, sizes, seed), lesson, aligned, seed)
        for seed, model in zip(seeds, models, strict=True)
    ]
    guess = along(held)
    simple = {ALONG: compare(guess, aligned, guess), ANY: compare(at_random(held), aligned, guess)}
    shown = shown_of(held)
    pictured = held.chosen(shown)
    one = held.chosen(shown[:1])
    views, moved = views_of(lesson, models[0], one), felt(models[0], batch_of(lesson, one))
    results.table("masks", MASK_COLUMNS, [seen_and_felt(view, moved[view.name]) for view in views])
    rows = [row_of(name, [agreement]) for name, agreement in simple.items()]
    for each in found:
        rows += [row_of(f"seed {each.seed}, head {name}", [head]) for name, head in each.heads.items()]
    results.table("heads", HEAD_COLUMNS, rows)
    results.text("findings", findings(found, simple))
    with results.figure("masks", (9.0, 3.2)) as figure:
        draw_masks(figure, views)
    with results.figure("words", (11.0, 3.2)) as figure:
        layer, head = map(int, found[0].best.split("."))
        weights = memory_weights(models[0], batch_of(lesson, pictured))[layer - 1][:, head - 1]
        draw_words(figure, weights, pictured, [aligned[index] for index in shown])
    results.save(
        {"seeds": [asdict(each) for each in found], "simple": {n: asdict(a) for n, a in simple.items()}}
    )


def main() -> None:
    main_of(run)


if __name__ == "__main__":
    main()
