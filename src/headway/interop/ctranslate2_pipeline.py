"""Decoding with CTranslate2 instead of PyTorch: the same texts in, the same hypotheses out."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from headway.api import Pipeline
from headway.bundle import load_bundle
from headway.decoding.ensemble import Ensemble
from headway.decoding.fill_mask import Filled
from headway.decoding.generator import Generator
from headway.decoding.hypothesis import Found, Hypothesis, found, penalty
from headway.decoding.requests import Request
from headway.decoding.sample import Chosen
from headway.decoding.settings import SearchConfig
from headway.errors import FolderError, UserError
from headway.interop.ctranslate2 import (
    OURS,
    TYPES,
    Type,
    convert,
    need_ctranslate2,
    position_rows,
)
from headway.interop.ctranslate2_engine import Engine, Written, open_engine
from headway.run_folder import model_folder
from headway.runtime import cache_folder
from headway.sealed_folder import MANIFEST

KEPT = 8
"""Converted models that stay in the cache; older ones are removed."""

UNSUPPORTED = ("min_p", "repetition_penalty")
"""Settings of the search that the engine does not have, or takes otherwise."""


class EngineGenerator(Generator):
    """Splits, batches and joins texts as ever; the search itself is CTranslate2's."""

    def __init__(self, ensemble: Ensemble, search: SearchConfig, engine: Engine) -> None:
        super().__init__(ensemble, search)
        self.engine = engine
        neutral = SearchConfig()
        for key in UNSUPPORTED:
            if getattr(search, key) != getattr(neutral, key):
                raise UserError(
                    f"search.{key} = {getattr(search, key)}: CTranslate2 has no such setting; "
                    f"write {key}={getattr(neutral, key)}, or leave out --engine"
                )

    def _search_batch(self, requests: Sequence[Request]) -> list[list[Found]]:
        for request in requests:
            self._refuse_too_long(request)
        results: list[list[Written]] = [[] for _ in requests]
        for i, rows in self._decode(requests, lambda request: 0, num_hypotheses=self._copies):
            results[i] = rows
        if self.search.method == "beam":
            # One limit holds for a whole batch; where it was too wide for a request, its own one decides.
            # Where a limit cut, twice as many are asked for, so that none that ended is crowded out.
            again = [i for i, rows in enumerate(results) if self._was_cut(requests[i], rows)]
            cut, most = [requests[i] for i in again], 2 * self._copies
            for i, rows in self._decode(cut, lambda each: each.longest, num_hypotheses=most, patience=2):
                results[again[i]] = rows
        best = []
        for request, rows in zip(requests, results, strict=True):
            if request.shortest and self.search.method == "beam":
                rows = self._counted(request, rows)
            best.append([row.ids[: request.longest] for row in self._best(rows)])
        return self._scored(requests, best)

    def _decode(
        self, requests: Sequence[Request], limit: Callable[[Request], int], **more: float
    ) -> Iterator[tuple[int, list[Written]]]:
        """The number of each request and what was found; those of equal lengths are decoded together."""

        def together(i: int) -> tuple[int, int, int]:
            return requests[i].shortest, len(requests[i].start), limit(requests[i])

        for (shortest, _, _), group in groupby(sorted(range(len(requests)), key=together), key=together):
            some = list(group)
            batch = [requests[i] for i in some]
            longest = max(request.longest for request in batch)
            found = self.engine.decode(batch, longest, min(shortest, longest), **self._options, **more)
            yield from zip(some, found, strict=True)

    def _counted(self, request: Request, rows: Sequence[Written]) -> list[Written]:
        """With the model's own probabilities: where no end is allowed, the engine shares out the end's."""
        log_probs = self.engine.log_probs([request] * len(rows), [row.ids for row in rows])
        return [Written(row.ids, sum(each)) for row, each in zip(rows, log_probs, strict=True)]

    def _was_cut(self, request: Request, rows: Sequence[Written]) -> bool:
        """Whether another limit than the request's own, or none, may have decided."""
        beyond = any(len(row.ids) > request.longest for row in rows)
        return beyond or (self.engine.has_source and not all(map(self._ended, rows)))

    def _ended(self, row: Written) -> bool:
        return row.ids[-1:] == [self.engine.bundle.tokenizers.target.special.end]

    def _best(self, rows: Sequence[Written]) -> Sequence[Written]:
        """As many as are asked for: of beams the best by the paper's score, those that ended first."""
        if self.search.method != "beam":
            return rows

        def rank(row: Written) -> tuple[bool, float]:
            ended = self._ended(row) or not self.engine.has_source
            return ended, row.log_prob / penalty(len(row.ids), self.search.length_penalty)

        return sorted(rows, key=rank, reverse=True)[: self.search.n_best]

    @property
    def _options(self) -> dict[str, Any]:
        """The search as CTranslate2 names it. It divides by length ** alpha, which is not the paper's."""
        search = self.search
        if search.method == "beam":
            penalized = {"length_penalty": search.length_penalty, "return_scores": True}
            return {"beam_size": search.beams, **penalized}
        options: dict[str, Any] = {"beam_size": 1}
        if search.method == "sample":
            options |= {
                "sampling_topk": search.top_k,
                "sampling_topp": search.top_p,
                "sampling_temperature": search.temperature,
            }
        return options

    def _scored(
        self, requests: Sequence[Request], results: Sequence[Sequence[list[int]]]
    ) -> list[list[Found]]:
        """With the paper's score, best first; among beams what ended comes before what a limit cut."""
        flat = [(request, row) for request, rows in zip(requests, results, strict=True) for row in rows]
        log_probs = iter(self.engine.log_probs([request for request, _ in flat], [row for _, row in flat]))
        end, alpha = self.engine.bundle.tokenizers.target.special.end, self.search.length_penalty
        competes = not self.engine.has_source or self.search.method != "beam"
        scored = []
        for rows in results:
            hypotheses = [found(row, next(log_probs), alpha, end) for row in rows]
            if not all(np.isfinite(each.score) for each in hypotheses):
                raise UserError(
                    "the model computes what is no number: its weights are damaged, or beyond their type"
                )
            hypotheses.sort(key=lambda each: (each.finished or competes, each.score), reverse=True)
            scored.append(hypotheses)
        return scored

    def _emit(self, requests: Sequence[Request]) -> Iterator[list[Chosen]]:
        """One request's tokens as they come, for a stream."""
        (request,) = requests
        self._refuse_too_long(request)
        special = self.engine.bundle.tokenizers.target.special
        sampling = {key: value for key, value in self._options.items() if key.startswith("sampling")}
        steps = self.engine.handle.generate_tokens(
            self.engine.spelled([special.start(request.start)])[0],
            max_length=request.longest,
            min_length=min(request.shortest, request.longest),
            suppress_sequences=self.engine.suppressed,
            return_log_prob=True,
            end_token=self.engine.names[special.end],
            **sampling,
        )
        for step in steps:
            yield [Chosen(0, step.token_id, step.log_prob)]

    def _refuse_too_long(self, request: Request) -> None:
        bundle = self.engine.bundle
        if bundle.config.positions.kind in ("rotary", "relative", "alibi"):
            return
        rows, needed = (
            position_rows(bundle),
            max(len(request.source or []) + 2, len(request.start) + request.longest),
        )
        if needed > rows:
            raise UserError(
                f"a text may take {needed} positions, and the converted model has {rows}: "
                "set search.max_length or shorten the text"
            )


class EnginePipeline(Pipeline):
    """A model in CTranslate2's hands: it writes text; all else is PyTorch's."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.bundle)
        self.engine = engine

    def hypotheses(
        self, texts: Sequence[str], prefixes: Sequence[str] | None = None
    ) -> list[list[Hypothesis]]:
        return self._generator().generate(texts, prefixes)

    def stream(self, prompt: str) -> Iterator[str]:
        return self._generator().stream(prompt)

    def fill(self, texts: Sequence[str], candidates: int = 5) -> list[Filled]:
        _refuse("fill blanks")

    def score(self, texts: str | Sequence[str], sources: str | Sequence[str] | None = None) -> Any:
        _refuse("score texts")

    def embed(self, texts: str | Sequence[str]) -> Any:
        _refuse("embed texts")

    def _generator(self) -> EngineGenerator:
        sampled = self.search.method == "sample"
        engine = self.engine.seeded(self.search.seed) if sampled else self.engine
        return EngineGenerator(self.ensemble, self.search, engine)


def load_ctranslate2(folder: str | Path, type: str | None = None, device: str = "auto") -> EnginePipeline:
    """A model or run folder, or what was exported for CTranslate2, ready to write text in that engine.

    A model folder is converted once for each type (float32 if not said), into the user's cache folder. Raises
    UserError if the engine cannot hold the model, FolderError for a damaged folder.
    """
    if type not in (*TYPES, None):
        raise UserError(f"there is no type {type!r}: choose from {', '.join(TYPES)}")
    need_ctranslate2()
    folder = Path(folder)
    if not (folder / OURS).is_file():
        folder = _converted(model_folder(folder), type or "float32")
    elif type is not None:
        raise UserError(f"{folder}: was exported in a type of its own; leave out :{type}")
    return EnginePipeline(open_engine(folder, device))


def _converted(folder: Path, type: Type) -> Path:
    """The folder of the cache that holds this model, converted now if it was not before."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        load_bundle(folder)  # says what is wrong
    version = need_ctranslate2().__version__
    key = sha256(f"{version} {type}".encode() + manifest.read_bytes()).hexdigest()[:32]
    cache = cache_folder() / "ctranslate2"
    place = cache / key
    if not (place / OURS).is_file():
        bundle = load_bundle(folder)
        beside = cache / f"{key}.{os.getpid()}.part"
        try:
            beside.mkdir(parents=True, exist_ok=True)
            convert(bundle, beside, type)
            beside.rename(place)
        except OSError as error:
            if not (place / OURS).is_file():  # else another process was faster
                raise FolderError(
                    f"{cache}: a converted model cannot be kept there ({error.strerror or error}); "
                    "name another folder in HEADWAY_CACHE, or export the model and give that folder"
                ) from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    os.utime(place)
    _forget_old(cache)
    return place


def _forget_old(cache: Path) -> None:
    """Remove all but the models used last."""
    kept = sorted((path for path in cache.iterdir() if path.is_dir()), key=lambda path: -path.stat().st_mtime)
    for path in kept[KEPT:]:
        shutil.rmtree(path, ignore_errors=True)


def _refuse(what: str) -> NoReturn:
    raise UserError(f"CTranslate2 does not {what} here: leave out --engine")
