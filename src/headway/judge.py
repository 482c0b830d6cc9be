"""A model's figures on data it was not trained on, with baselines beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from headway.api import Pipeline
from headway.batch import NO_LABEL
from headway.data.corpus import DataConfig, Record, read_records
from headway.data.in_memory import InMemory
from headway.data.loader import BatchConfig, Loader
from headway.data.objectives import MaskedObjective
from headway.errors import UserError
from headway.evaluation.baselines import copied_sources
from headway.evaluation.exact import (
    compare_edit_error_rate,
    compare_exact_match,
    edit_error_rate,
    exact_match,
    wrong_outputs,
)
from headway.evaluation.language import bits_per_byte, masked_accuracy, perplexity
from headway.evaluation.result import Comparison, Evaluation, Measure
from headway.evaluation.translation import compare_translations, translation_measures

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
    or characters; several targets of one source are all right. Causal: perplexity and bits per byte. Masked:
    accuracy at 15 % hidden tokens, always the same ones.
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
    if other is not None:
        raise UserError("two language models are compared by their figures, each evaluated alone")
    if pipeline.architecture == "decoder":
        return Judged(_judge_causal(pipeline, [record.target for record in records]))
    return Judged(_judge_masked(pipeline, [record.target for record in records]))


def _judge_pairs(pipeline: Pipeline, records: Sequence[Record], other: Pipeline | None) -> Judged:
    right: dict[str, list[str]] = {}
    for record in records:
        assert record.source is not None
        targets = right.setdefault(record.source, [])
        if record.target not in targets:
            targets.append(record.target)
    sources, references = list(right), list(right.values())
    outputs: list[str] = pipeline.predict(sources)
    systems = {"model": outputs, "copy the source": copied_sources(sources)}
    if commonest := pipeline.bundle.meta.commonest_target:
        systems["commonest output"] = [commonest] * len(sources)
    comparisons: list[Comparison] = []
    kind = pipeline.bundle.tokenizers.target.kind
    if other is not None:
        theirs: list[str] = other.predict(sources)
        systems = {"model": outputs, "other": theirs, **systems}
        comparisons = _compare(outputs, theirs, references, kind)
    found = {name: _measures(each, references, kind) for name, each in systems.items()}
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
    return [compare_edit_error_rate(first, second, references, unit, "symbol error rate"), exact]


def _judge_causal(pipeline: Pipeline, texts: Sequence[str]) -> Evaluation:
    scores = pipeline.score(texts)
    log_probs = np.array([score.total for score in scores])
    tokens = np.array([len(score.log_probs) for score in scores])
    sizes = np.array([len(text.encode()) for text in texts])
    measures = [perplexity(log_probs, tokens), bits_per_byte(log_probs, sizes)]
    return Evaluation(examples=len(texts), systems={"model": measures})


@torch.no_grad()
def _judge_masked(pipeline: Pipeline, texts: Sequence[str]) -> Evaluation:
    tokenizer = pipeline.bundle.tokenizers.target
    context = pipeline.bundle.meta.longest_target or 256
    encoded = InMemory([np.array(ids, dtype=np.int64) for ids in tokenizer.encode_batch(texts)])
    config = BatchConfig(tokens=max(pipeline.search.batch_tokens, context), context=context)
    loader = Loader(encoded, MaskedObjective(tokenizer.vocab_size), config, seed=0)
    commonest = pipeline.bundle.meta.commonest_token
    correct, by_commonest, hidden = [], [], []
    with pipeline.ensemble.evaluating():
        for batch in loader.ordered():
            on_device = batch.to(pipeline.ensemble.device)
            rows, columns = (on_device.labels != NO_LABEL).nonzero(as_tuple=True)
            labels = on_device.labels[rows, columns]
            states = pipeline.ensemble.hidden(on_device.inputs)
            best = pipeline.ensemble.log_probs(states, (rows, columns)).argmax(dim=-1)
            count = len(on_device.labels)
            correct += torch.bincount(rows, best == labels, minlength=count).tolist()
            by_commonest += torch.bincount(rows, labels == commonest, minlength=count).tolist()
            hidden += torch.bincount(rows, minlength=count).tolist()
    masked = np.array(hidden, dtype=np.int64)
    systems = {"model": [masked_accuracy(np.array(correct, dtype=np.int64), masked)]}
    if commonest >= 0:
        guessed = masked_accuracy(np.array(by_commonest, dtype=np.int64), masked)
        systems["always the commonest token"] = [guessed]
    return Evaluation(examples=len(texts), systems=systems)
