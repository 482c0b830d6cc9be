"""A model's figures on data it was not trained on, with baselines beside it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from headway.api import Pipeline
from headway.batch import NO_LABEL
from headway.data.corpus import DataConfig, Record, read_records
from headway.data.in_memory import InMemory
from headway.data.loader import BatchConfig, Loader
from headway.data.objectives import MaskedObjective
from headway.decoding.score import Score
from headway.errors import UserError
from headway.evaluation.baselines import compressed_bits_per_byte, copied_sources
from headway.evaluation.bootstrap import Difference, paired_difference
from headway.evaluation.exact import (
    compare_edit_error_rate,
    compare_exact_match,
    compare_wrong_outputs,
    edit_error_rate,
    exact_match,
    wrong_outputs,
)
from headway.evaluation.language import bits_per_byte, masked_accuracy, perplexity, unknown_tokens
from headway.evaluation.result import Comparison, Evaluation, Measure
from headway.evaluation.translation import compare_translations, translation_measures
from headway.text.normalize import FORMS, composed

NAMES = ("model", "other")
"""What the one or two models are called in an evaluation."""

OF_SYMBOLS = ("symbols", "characters")
"""Kinds of target vocabulary whose outputs are right or wrong as a whole, not more or less good prose."""


@dataclass(frozen=True)
class Judged:
    """The figures, and for pairs what was put in and came out."""

    evaluation: Evaluation
    sources: Sequence[str] = ()
    outputs: Sequence[str] = ()
    references: Sequence[Sequence[str]] = ()


def judge(pipeline: Pipeline, data: DataConfig, other: Pipeline | None = None) -> Judged:
    """Evaluate on the files that `data.train` names; `other` is a second model to compare with.

    Pairs: BLEU, chrF, TER and exact match, or word and symbol error rate where the target is made of symbols
    or characters; several targets of one source are all right. Texts: as `judge_causal` and `judge_masked`.
    """
    if other is not None and other.architecture != pipeline.architecture:
        raise UserError(
            f"a model of kind {other.architecture} does not compare with one of {pipeline.architecture}"
        )
    pairs = pipeline.architecture == "encoder-decoder"
    records = list(read_records(data, data.train, pairs))
    if not records:
        raise UserError(f"there is nothing to evaluate on in {', '.join(data.train)}")
    if pairs:
        return _judge_pairs(pipeline, records, other)
    pipelines = [pipeline] if other is None else [pipeline, other]
    judge_texts = judge_causal if pipeline.architecture == "decoder" else judge_masked
    return Judged(judge_texts(pipelines, [record.target for record in records]))


def right_answers(records: Sequence[Record]) -> tuple[list[str], list[list[str]]]:
    """Each different source, and beside it all targets that stand with it."""
    right: dict[str, list[str]] = {}
    for record in records:
        assert record.source is not None, "pairs have sources"
        targets = right.setdefault(record.source, [])
        if record.target not in targets:
            targets.append(record.target)
    return list(right), list(right.values())


def _judge_pairs(pipeline: Pipeline, records: Sequence[Record], other: Pipeline | None) -> Judged:
    sources, references = right_answers(records)
    outputs: list[str] = pipeline.predict(sources)
    systems = {"model": outputs, "copy the source": copied_sources(sources)}
    if commonest := pipeline.bundle.meta.commonest_target:
        systems["commonest output"] = [commonest] * len(sources)
    comparisons: list[Comparison] = []
    kind = pipeline.bundle.tokenizers.target.kind
    if other is not None:
        systems = {"model": outputs, "other": other.predict(sources), **systems}
    right = references
    if any(each.bundle.tokenizers.target.forms & FORMS for each in (pipeline, other) if each is not None):
        # One of them writes in a Unicode form of its own, which is no mistake where the text has another.
        systems = {name: list(map(composed, each)) for name, each in systems.items()}
        right = [list(map(composed, each)) for each in references]
    if other is not None:
        comparisons = _compare(systems["model"], systems["other"], right, kind)
    found = {name: _measures(each, right, kind) for name, each in systems.items()}
    return Judged(
        Evaluation(examples=len(sources), systems=found, comparisons=comparisons),
        sources,
        outputs,
        references,
    )


def _measures(outputs: Sequence[str], references: Sequence[Sequence[str]], kind: str) -> list[Measure]:
    if kind not in OF_SYMBOLS:
        return [*translation_measures(outputs, references), exact_match(outputs, references)]
    unit: Any = "words" if kind == "symbols" else "characters"
    return [
        wrong_outputs(outputs, references),
        edit_error_rate(outputs, references, unit, "symbol error rate"),
        exact_match(outputs, references),
    ]


def _compare(
    first: Sequence[str], second: Sequence[str], references: Sequence[Sequence[str]], kind: str
) -> list[Comparison]:
    exact = compare_exact_match(first, second, references)
    if kind not in OF_SYMBOLS:
        return [*compare_translations(first, second, references), exact]
    unit: Any = "words" if kind == "symbols" else "characters"
    return [
        compare_wrong_outputs(first, second, references),
        compare_edit_error_rate(first, second, references, unit, "symbol error rate"),
        exact,
    ]


class Scored(NamedTuple):
    """What a causal model makes of N texts."""

    log_probs: Float[np.ndarray, "N"]
    tokens: Int[np.ndarray, "N"]
    """With the </s> of each."""
    unknown: Int[np.ndarray, "N"]
    is_lossless: bool
    """Whether its scored tokens hold all of the text, so that what they cost is what the text costs."""


def judge_causal(pipelines: Sequence[Pipeline], texts: Sequence[str]) -> Evaluation:
    """Perplexity; bits per byte beside those of `xz -9` where the vocabulary keeps the text to the letter.

    Of two models those figures are compared that mean the same: perplexity needs one vocabulary, bits per
    byte two that keep the text.
    """
    sizes = np.array([len(text.encode()) for text in texts])
    scored = [_scored(pipeline, texts) for pipeline in pipelines]
    systems = {name: _causal_measures(each, sizes) for name, each in zip(NAMES, scored, strict=False)}
    if any(each.is_lossless for each in scored):
        systems["xz -9"] = [compressed_bits_per_byte(texts)]
    comparisons = []
    if len(scored) == 2:
        first, second = scored
        if _read_alike(pipelines):
            costs = (-first.log_probs, -second.log_probs, first.tokens, second.tokens)
            comparisons.append(_compared("perplexity", systems, paired_difference(*costs, _exp)))
        if first.is_lossless and second.is_lossless:
            one, other = (-each.log_probs / math.log(2) for each in scored)
            found = paired_difference(one, other, sizes, sizes)
            comparisons.append(_compared("bits per byte", systems, found))
        if not comparisons:
            raise UserError(
                "the two models do not compare: their vocabularies differ and lose some of the text"
            )
    return Evaluation(examples=len(texts), systems=systems, comparisons=comparisons)


def judge_masked(pipelines: Sequence[Pipeline], texts: Sequence[str]) -> Evaluation:
    """Accuracy at 15 % hidden tokens, always the same ones, beside always guessing the commonest.

    Two models must have one vocabulary, so that the same tokens can be hidden from both.
    """
    if not _read_alike(pipelines):
        raise UserError("two masked models compare only if they have the same vocabulary; these have not")
    tokenizer = pipelines[0].bundle.tokenizers.target
    encoded = [np.array(ids, dtype=np.int64) for ids in tokenizer.encode_batch(texts)]
    guesses, labels, rows = _guessed(pipelines, encoded)
    hidden = np.bincount(rows)

    def correct(guess: Int[np.ndarray, "M"]) -> Int[np.ndarray, "N"]:
        return np.bincount(rows[guess == labels], minlength=len(hidden))

    found = [correct(guess) for guess in guesses]
    systems = {name: [masked_accuracy(each, hidden)] for name, each in zip(NAMES, found, strict=False)}
    unknown = np.array([np.count_nonzero(ids == tokenizer.special.unknown) for ids in encoded])
    if unknown.any():
        systems["model"].append(unknown_tokens(unknown, np.array([len(ids) for ids in encoded])))
    commonest = pipelines[0].bundle.meta.commonest_token
    if commonest >= 0:
        guess = np.full_like(labels, commonest)
        systems["always the commonest token"] = [masked_accuracy(correct(guess), hidden)]
    comparisons = []
    if len(found) == 2:
        shares = paired_difference(found[0], found[1], hidden, hidden, lambda share: 100 * share)
        comparisons.append(_compared("masked accuracy", systems, shares))
    return Evaluation(examples=len(texts), systems=systems, comparisons=comparisons)


def _scored(pipeline: Pipeline, texts: Sequence[str]) -> Scored:
    tokenizer = pipeline.bundle.tokenizers.target
    scores: list[Score] = pipeline.score(texts)
    return Scored(
        np.array([score.total for score in scores]),
        np.array([len(score.log_probs) for score in scores]),
        np.array([sum(index == tokenizer.special.unknown for index in score.ids) for score in scores]),
        tokenizer.special.begin is not None
        and all(tokenizer.decode(score.ids) == text for score, text in zip(scores, texts, strict=True)),
    )


def _exp(costs: Float[np.ndarray, "M"]) -> Float[np.ndarray, "M"]:
    """Perplexities; those that no number can hold are infinite."""
    with np.errstate(over="ignore"):
        return np.exp(costs)


def _causal_measures(scored: Scored, sizes: Int[np.ndarray, "N"]) -> list[Measure]:
    measures = [perplexity(scored.log_probs, scored.tokens)]
    if scored.is_lossless:
        measures.append(bits_per_byte(scored.log_probs, sizes))
    if scored.unknown.any():
        measures.append(unknown_tokens(scored.unknown, scored.tokens))
    return measures


@torch.no_grad()
def _guessed(
    pipelines: Sequence[Pipeline], encoded: Sequence[Int[np.ndarray, " _"]]
) -> tuple[list[Int[np.ndarray, "M"]], Int[np.ndarray, "M"], Int[np.ndarray, "M"]]:
    """Each model's guesses of the M hidden tokens, what those are, and the row in which each is hidden."""
    tokenizer, search = pipelines[0].bundle.tokenizers.target, pipelines[0].search
    context = min(pipeline.ensemble.context or 256 for pipeline in pipelines)
    config = BatchConfig(tokens=max(search.batch_tokens, context), context=context)
    objective = MaskedObjective(tokenizer.special, tokenizer.vocab_size)
    loader = Loader(InMemory(list(encoded)), objective, config, seed=0)
    guesses: list[list[int]] = [[] for _ in pipelines]
    labels: list[int] = []
    places: list[int] = []
    count = 0
    for batch in loader.ordered():
        rows, columns = (batch.labels != NO_LABEL).nonzero(as_tuple=True)
        labels += batch.labels[rows, columns].tolist()
        places += (rows + count).tolist()
        count += len(batch.labels)
        for pipeline, found in zip(pipelines, guesses, strict=True):
            ensemble = pipeline.ensemble
            with ensemble.evaluating():
                hidden = ensemble.hidden(batch.to(ensemble.device).inputs)
                where = (rows.to(ensemble.device), columns.to(ensemble.device))
                found += ensemble.log_probs(hidden, where).argmax(dim=-1).tolist()
    return [np.array(found) for found in guesses], np.array(labels), np.array(places)


def _read_alike(pipelines: Sequence[Pipeline]) -> bool:
    return len({pipeline.bundle.tokenizers.target.fingerprint for pipeline in pipelines}) == 1


def _compared(name: str, systems: dict[str, list[Measure]], found: Difference) -> Comparison:
    first, second = (next(m.value for m in systems[each] if m.name == name) for each in NAMES)
    return Comparison(
        name=name, first=first, second=second, p_value=found.p_value, low=found.low, high=found.high
    )
