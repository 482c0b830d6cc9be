"""Held-out examples and what a model makes of them, shown at each validation."""

from dataclasses import replace

import numpy as np

from headway.api import Pipeline
from headway.data.token_file import TokenFile
from headway.decoding.fill_mask import has_blank
from headway.decoding.settings import NEUTRAL
from headway.training.loop import Sample

GREEDY = {**NEUTRAL, "method": "greedy", "n_best": 1}

PROMPT_TOKENS, CONTINUATION_TOKENS, WINDOW_TOKENS = 24, 32, 32


def held_out_samples(pipeline: Pipeline, held_out: TokenFile, count: int) -> list[Sample]:
    """Greedy predictions for a few examples, always the same ones, spread evenly over the held-out text."""
    chosen = np.unique(np.linspace(0, len(held_out) - 1, min(count, len(held_out))).astype(int)).tolist()
    match pipeline.architecture:
        case "encoder-decoder":
            return _outputs(pipeline, held_out, chosen)
        case "decoder":
            return _continuations(pipeline, held_out, chosen)
        case "encoder":
            return _fillings(pipeline, held_out, chosen)


def _outputs(pipeline: Pipeline, held_out: TokenFile, chosen: list[int]) -> list[Sample]:
    source, target = pipeline.bundle.tokenizers
    assert source is not None
    sources = [source.decode(ids.tolist()) for i in chosen if (ids := held_out.source(i)) is not None]
    found = [best for best, *_ in pipeline.with_search(GREEDY).hypotheses(sources)]
    references = [target.decode(held_out.ids(i).tolist()) for i in chosen]
    return [
        Sample(source, reference, output.text, output.finished)
        for source, reference, output in zip(sources, references, found, strict=True)
    ]


def _continuations(pipeline: Pipeline, held_out: TokenFile, chosen: list[int]) -> list[Sample]:
    tokenizer = pipeline.bundle.tokenizers.target
    context = pipeline.ensemble.context or PROMPT_TOKENS + CONTINUATION_TOKENS
    cut = max(1, min(PROMPT_TOKENS, context // 3))
    starts = [held_out.ids(i)[: cut + CONTINUATION_TOKENS].tolist() for i in chosen]
    prompts = [tokenizer.decode(ids[:cut]) for ids in starts]
    wanted = [tokenizer.decode(ids[cut:]) for ids in starts]
    short = {**GREEDY, "max_length": CONTINUATION_TOKENS, "min_length": 0}
    found = pipeline.with_search(short).predict(prompts)
    return [Sample(*each) for each in zip(prompts, wanted, found, strict=True)]


def _fillings(pipeline: Pipeline, held_out: TokenFile, chosen: list[int]) -> list[Sample]:
    tokenizer = pipeline.bundle.tokenizers.target
    samples = []
    for i in chosen:
        ids = held_out.ids(i)[:WINDOW_TOKENS].tolist()
        if not ids or has_blank(tokenizer.decode(ids)):
            continue
        hidden = len(ids) // 2
        blank = tokenizer.decode(ids[:hidden]) + " ___" + tokenizer.decode(ids[hidden + 1 :])
        samples.append(Sample(blank, tokenizer.decode([ids[hidden]]).strip(), ""))
    found = pipeline.fill([sample.source for sample in samples], candidates=1)
    return [
        replace(sample, prediction=filled.blanks[0][0].text)
        for sample, filled in zip(samples, found, strict=True)
    ]
