"""CTranslate2 with a converted model in it, as decoding and the proof use it."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch

from headway.bundle import LARGEST_CONFIG, SOURCE_TOKENIZER, TOKENIZER, Bundle, ConfigFile
from headway.config import from_table
from headway.decoding.requests import Request
from headway.interop.ctranslate2 import OURS, need_ctranslate2, token_names
from headway.model.architectures import build
from headway.runtime import choose_device
from headway.sealed_folder import naming, read_json
from headway.text.tokenizer import Tokenizer, Tokenizers


class Written(NamedTuple):
    """What the engine found: an output without its start, with the end where there is one."""

    ids: list[int]
    log_prob: float
    """As the engine counts it: of what is allowed only. 0 where nobody asked."""


@dataclass(frozen=True)
class Engine:
    """A converted model, ready to decode."""

    bundle: Bundle
    """Its model has a shape, but no weights."""
    open: Callable[[], Any]
    """Opens CTranslate2's Translator or Generator."""

    @cached_property
    def handle(self) -> Any:
        return self.open()

    def seeded(self, seed: int) -> "Engine":
        """The same, opened anew: only the threads that a handle starts with take a seed."""
        need_ctranslate2().set_random_seed(seed)
        return Engine(self.bundle, self.open)

    @property
    def has_source(self) -> bool:
        return self.bundle.architecture == "encoder-decoder"

    @cached_property
    def source_names(self) -> list[str]:
        tokenizer = self.bundle.tokenizers.source
        config = self.bundle.config
        return (
            [] if tokenizer is None else token_names(tokenizer, config.source_vocab_size or config.vocab_size)
        )

    @cached_property
    def names(self) -> list[str]:
        return token_names(self.bundle.tokenizers.target, self.bundle.config.vocab_size)

    @cached_property
    def ids(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    @cached_property
    def suppressed(self) -> list[list[str]]:
        """What no output holds: special tokens, and rows of the output that have no token."""
        tokenizer = self.bundle.tokenizers.target
        unused = range(tokenizer.vocab_size, len(self.names))
        return [[self.names[index]] for index in (*tokenizer.special.never_chosen, *unused)]

    def spelled(self, rows: Iterable[Sequence[int]], *, source: bool = False) -> list[list[str]]:
        """Rows of ids as the tokens that the engine takes."""
        names = self.source_names if source else self.names
        return [[names[index] for index in row] for row in rows]

    def decode(
        self, requests: Sequence[Request], longest: int, shortest: int, **options: Any
    ) -> list[list[Written]]:
        """What was found for each request."""
        special = self.bundle.tokenizers.target.special
        options |= {"suppress_sequences": self.suppressed, "return_end_token": True}
        alpha = options.get("length_penalty", 0.0)
        if self.has_source:
            before = len(requests[0].start)
            results = self.handle.translate_batch(
                self.spelled((request.source or [] for request in requests), source=True),
                self.spelled(request.start for request in requests),
                max_input_length=0,
                max_decoding_length=before + longest,
                min_decoding_length=before + shortest,
                **options,
            )
            rows = [[[self.ids[name] for name in row] for row in each.hypotheses] for each in results]
            return [
                _written(each, found.scores, before, alpha) for each, found in zip(rows, results, strict=True)
            ]
        results = self.handle.generate_batch(
            self.spelled(special.start(request.start) for request in requests),
            max_length=longest,
            min_length=shortest,
            include_prompt_in_result=False,
            **options,
        )
        return [_written(each.sequences_ids, each.scores, 0, alpha) for each in results]

    def log_probs(self, requests: Sequence[Request], rows: Sequence[list[int]]) -> list[list[float]]:
        """What the model gives each token of an output for each request, as in `Hypothesis`."""
        special = self.bundle.tokenizers.target.special
        if self.has_source:
            whole = [[*request.start, *row] for request, row in zip(requests, rows, strict=True)]
            bare = [row[:-1] if row[-1] == special.end else row for row in whole]  # it adds the end itself
            sources = self.spelled((request.source or [] for request in requests), source=True)
            scored = self.handle.score_batch(sources, self.spelled(bare), max_input_length=0)
            firsts = [len(request.start) for request in requests]
        else:
            starts = [special.start(request.start) for request in requests]
            whole = [[*start, *row] for start, row in zip(starts, rows, strict=True)]
            scored = self.handle.score_batch(self.spelled(whole), max_input_length=0)
            firsts = [len(start) - 1 for start in starts]
        return [
            list(each.log_probs[first : first + len(row)])
            for each, first, row in zip(scored, firsts, rows, strict=True)
        ]


def _written(
    rows: Sequence[Sequence[int]], scores: Sequence[float], before: int, alpha: float
) -> list[Written]:
    """Rows whose start, `before` ids, is cut off, and whose scores were divided by length ** alpha."""
    totals = [score * len(row) ** alpha for score, row in zip(scores, rows, strict=False)]
    totals = totals or [0.0] * len(rows)
    return [Written(list(row[before:]), total) for row, total in zip(rows, totals, strict=True)]


def open_engine(folder: Path, device: str = "auto") -> Engine:
    """What `convert` wrote. A type that this processor lacks is computed in the nearest that it has."""
    ctranslate2 = need_ctranslate2()
    ctranslate2.set_log_level(logging.ERROR)  # that a type is replaced is ours to tell
    path = folder / OURS
    with naming(path):
        content = from_table(ConfigFile, read_json(path, LARGEST_CONFIG), finite=False)
    target = Tokenizer.load(folder / TOKENIZER, content.special)
    source = None
    if content.model.architecture == "encoder-decoder":
        own = folder / SOURCE_TOKENIZER
        source = Tokenizer.load(own, content.source_special) if own.is_file() else target
    with torch.device("meta"):
        model = build(content.model).eval()
    bundle = Bundle(content.model, model, Tokenizers(source, target), content.info)
    opened = ctranslate2.Translator if source is not None else ctranslate2.Generator
    where = choose_device(device).type

    def start() -> Any:
        with naming(folder, RuntimeError):
            return opened(
                str(folder),
                device=where if where == "cuda" else "cpu",
                compute_type="default",
                intra_threads=torch.get_num_threads(),
            )

    return Engine(bundle, start)
