"""The batch that is being decoded: requests join and leave it between steps. Axes: R rows, V vocabulary."""

from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor

from headway.decoding.beam import candidates_of
from headway.decoding.ensemble import Ensemble
from headway.decoding.logits import forbid, penalize_repetition
from headway.decoding.sample import Sampler
from headway.decoding.settings import SearchConfig
from headway.decoding.steps import CachedSteps
from headway.serving.searches import Beams, Emission, Likeliest, Row, Search
from headway.text.special import SpecialIds

Span = tuple[Search, range]
"""A search and its rows."""
Going = dict[Search, list[tuple[int, int]]]
"""What each search goes on from: which of its rows, and the token that this row reads next."""


class Running:
    """Searches with adjacent rows each, all advanced by one pass of the model a step.

    A row's numbers do not depend on what else is in the batch, so each search finds what it would find alone.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        self.ensemble = ensemble
        self.searches: list[Search] = []
        self._steps: CachedSteps | None = None
        self._log_probs = torch.empty(0)
        """Of each row's next token [R V]."""

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.searches)

    def join(self, searches: Sequence[Search]) -> None:
        """Read what these are given, and put their rows behind the others."""
        requests = [each.ask.request for each in searches]
        sources = [request.source for request in requests if request.source is not None]
        steps, first = self.ensemble.begin(sources or None, [request.start for request in requests], 1)
        copies = torch.tensor([each.rows for each in searches], device=first.device)
        if any(each.rows > 1 for each in searches):
            rows = torch.arange(len(searches), device=first.device).repeat_interleave(copies)
            steps.keep(rows)
            first = first[rows]
        if self._steps is None:
            self._steps, self._log_probs = steps, first
        else:
            for cache, other in zip(self._steps.caches, steps.caches, strict=True):
                cache.join(other)
            self._log_probs = torch.cat((self._log_probs, first))
        self.searches += searches

    def leave(self, leaving: Sequence[Search]) -> None:
        """Take searches out before they are over."""
        kept = []
        for search, rows in self._spans():
            if search not in leaving:
                kept += list(rows)
        if len(kept) == self.rows:
            return
        self.searches = [each for each in self.searches if each not in leaving]
        if self._steps is None or not self.searches:
            self.clear()
        else:
            index = torch.tensor(kept, device=self._log_probs.device)
            self._steps.keep(index)
            self._log_probs = self._log_probs[index]

    def clear(self) -> None:
        """Forget everything."""
        self.searches, self._steps, self._log_probs = [], None, torch.empty(0)

    def advance(self) -> list[Search]:
        """One step: every search chooses, what goes on is fed. Those that are over leave and are returned."""
        assert self._steps is not None, "nothing is running"
        spans, total = list(self._spans()), self.rows
        going = self._emit(spans) | self._extend(spans)
        parents = [rows[parent] for search, rows in spans for parent, _ in going[search]]
        tokens = [token for search, _ in spans for _, token in going[search]]
        over = [each for each in self.searches if each.is_over]
        self.searches = [each for each in self.searches if not each.is_over]
        if not self.searches:
            self.clear()
            return over
        index = torch.tensor(parents, device=self._log_probs.device)
        if len(parents) < total:
            self._steps.keep(index)
        elif parents != list(range(total)):
            self._steps.reorder(index)
        self._log_probs = self._steps.step(torch.tensor(tokens, device=index.device))
        return over

    def _spans(self) -> Iterator[Span]:
        start = 0
        for search in self.searches:
            yield search, range(start, start + search.rows)
            start += search.rows

    def _emit(self, spans: Sequence[Span]) -> Going:
        """Greedy search and sampling, all at once."""
        found = [(search, rows) for search, rows in spans if isinstance(search, Emission)]
        if not found:
            return {}
        log_probs = self._rows(found)
        lines = [(search, row) for search, _ in found for row in search.live]
        early = [len(row.ids) < search.ask.request.shortest for search, row in lines]
        allowed = forbid(log_probs, self._special, torch.tensor(early, device=log_probs.device))
        for i, (search, row) in enumerate(lines):
            power = search.ask.search.repetition_penalty
            if power != 1:
                allowed[i : i + 1] = self._penalized(allowed[i : i + 1], search, row, power)
        chosen = allowed.argmax(dim=1)
        ways: dict[SearchConfig, list[int]] = {}
        for i, (search, _) in enumerate(lines):
            if search.ask.search.method == "sample":
                ways.setdefault(sampling_of(search.ask.search), []).append(i)
        for config, members in ways.items():
            rows = [lines[i][1] for i in members]
            sampler = Sampler(config, [row.key for row in rows])
            ages = [len(row.ids) + 1 for row in rows]
            chosen[members] = sampler(allowed[members], range(len(rows)), ages)
        values = iter(log_probs.gather(1, chosen[:, None])[:, 0].tolist())
        tokens, likeliest = iter(chosen.tolist()), iter(self._likeliest(log_probs, found))
        going: Going = {}
        for search, _ in found:
            count = search.rows
            mine = list(islice(tokens, count))
            kept = search.take(mine, list(islice(values, count)), list(islice(likeliest, count)))
            going[search] = [(i, mine[i]) for i in kept]
        return going

    def _extend(self, spans: Sequence[Span]) -> Going:
        """Beam searches, those with the same number of beams at once."""
        going: Going = {}
        widths: dict[int, list[tuple[Beams, range]]] = {}
        for search, rows in spans:
            if isinstance(search, Beams):
                widths.setdefault(search.rows, []).append((search, rows))
        for beams, found in widths.items():
            log_probs = self._rows(found)
            candidates = candidates_of([search.search for search, _ in found], log_probs, self._special)
            likeliest = iter(self._likeliest(log_probs, found))
            for (search, _), each in zip(found, candidates, strict=True):
                taken = search.take(each, list(islice(likeliest, beams)))
                going[search] = [(one.beam, one.token) for one in taken]
        return going

    @property
    def _special(self) -> SpecialIds:
        return self.ensemble.tokenizers.target.special

    def _rows(self, found: Sequence[Span]) -> Float[Tensor, "R V"]:
        """The log-probabilities of some searches' rows."""
        rows = [row for _, span in found for row in span]
        return self._log_probs if len(rows) == len(self._log_probs) else self._log_probs[rows]

    def _penalized(
        self, allowed: Float[Tensor, "1 V"], search: Emission, row: Row, power: float
    ) -> Float[Tensor, "1 V"]:
        seen = torch.zeros_like(allowed, dtype=torch.bool)
        seen[0, [*search.ask.request.start, *row.ids]] = True
        return penalize_repetition(allowed, seen, power)

    def _likeliest(self, log_probs: Float[Tensor, "R V"], found: Sequence[Span]) -> Iterator[Likeliest]:
        """For each row the tokens that it is to tell beside the one chosen; </s> is never one of them."""
        counts = [search.ask.alternatives for search, rows in found for _ in rows]
        if not any(counts):
            return iter([] for _ in counts)
        never_end = torch.ones(len(log_probs), dtype=torch.bool, device=log_probs.device)
        possible = forbid(log_probs, self._special, never_end)
        return iter(likeliest_of(possible, counts))


def sampling_of(config: SearchConfig) -> SearchConfig:
    """What of the settings changes how a token is drawn; the same for requests that can be drawn together."""
    return SearchConfig(
        method="sample",
        temperature=config.temperature,
        top_k=config.top_k,
        top_p=config.top_p,
        min_p=config.min_p,
    )


def likeliest_of(log_probs: Float[Tensor, "R V"], counts: Sequence[int]) -> list[Likeliest]:
    """So many of the likeliest tokens of each row, those that cannot be left out."""
    best = log_probs.topk(min(max(counts), log_probs.shape[1]), dim=1)
    return [
        [(token, value) for token, value in zip(tokens[:count], values, strict=False) if value > -torch.inf]
        for count, tokens, values in zip(counts, best.indices.tolist(), best.values.tolist(), strict=True)
    ]
