"""Beam search. Axes: R rows, K adjacent ones (the beams) for each source; V vocabulary."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from headway.decoding.hypothesis import Found, found, penalty
from headway.decoding.largest import largest
from headway.decoding.logits import forbid
from headway.decoding.sample import Room
from headway.decoding.settings import SearchConfig
from headway.decoding.steps import Steps
from headway.text.special import SpecialIds


class Candidate(NamedTuple):
    """A beam that is one token longer."""

    rank: float
    """Sum of the log-probabilities; -inf for what does not exist."""
    beam: int
    token: int
    log_prob: float


class Taken(NamedTuple):
    """What became of the candidates of one step, by their places; the others are dropped."""

    going: list[int]
    """Those that the search goes on from, best first."""
    ended: list[int]
    """Those that ended and count as hypotheses."""


@dataclass(frozen=True, slots=True)
class Beam:
    """The beginning of an output: its newest token, and what leads to it."""

    before: "Beam | None"
    newest: Candidate

    def path(self) -> list[Candidate]:
        """From the first token to the newest."""
        path, beam = [], self
        while beam.before is not None:
            path.append(beam.newest)
            beam = beam.before
        return path[::-1]


START = Beam(None, Candidate(0.0, 0, -1, 0.0))


class BeamSearch:
    """The search for one source, whoever computes its K rows, and beside whatever else."""

    def __init__(
        self, config: SearchConfig, shortest: int, longest: int, end: int, *, cut_competes: bool
    ) -> None:
        """What the limit cut competes by its score, or else fills the places that nothing ended took."""
        self.config, self.shortest, self.longest, self.end = config, shortest, longest, end
        self.cut_competes = cut_competes
        self.live = [START]
        self.ended: list[tuple[float, Beam]] = []
        """With their scores, best first."""
        self.length = 0
        self.is_over = False

    @property
    def ranks(self) -> list[float]:
        """Of each row; -inf for one that holds no beam."""
        return [each.newest.rank for each in self.live] + [-torch.inf] * (self.config.beams - len(self.live))

    @property
    def rows(self) -> list[Candidate]:
        """For each row which one it goes on from, and the token it reads next.

        Rows without a beam of their own repeat the last: they are there, and rank nowhere.
        """
        rows = [each.newest for each in self.live]
        return rows + rows[-1:] * (self.config.beams - len(rows))

    def take(self, candidates: Sequence[Candidate]) -> Taken:
        """Choose among the likeliest, 2 K of them, best first.

        The search is over once no live beam can beat the worst hypothesis kept, were every further token
        certain.
        """
        beams, n_best, alpha = self.config.beams, self.config.n_best, self.config.length_penalty
        self.length += 1
        going, ended = [], []
        for place, each in enumerate(candidates):
            if each.rank == -torch.inf:
                break
            if each.token != self.end:
                going.append(place)
            elif place < beams:  # only an end among the K best counts: so one beam alone is greedy
                ended.append(place)
                score = each.rank / penalty(self.length, alpha)
                self.ended.append((score, Beam(self.live[each.beam], each)))
        self.ended.sort(key=itemgetter(0), reverse=True)
        del self.ended[n_best:], going[beams:]
        self.live = [Beam(self.live[candidates[place].beam], candidates[place]) for place in going]
        attainable = max(self.ranks) / penalty(self.longest, alpha)
        enough = len(self.ended) == n_best and self.ended[-1][0] >= attainable
        self.is_over = enough or self.length >= self.longest or not going
        return Taken(going, ended)

    def results(self) -> list[tuple[Found, list[Candidate]]]:
        """What was found, best first, each with its way through the beams."""
        every = [beam for _, beam in self.ended]
        if self.length >= self.longest:
            every += self.live
        results = []
        for path in (beam.path() for beam in every):
            ids, log_probs = [each.token for each in path], [each.log_prob for each in path]
            results.append((found(ids, log_probs, self.config.length_penalty, self.end), path))
        results.sort(key=lambda each: (each[0].finished or self.cut_competes, each[0].score), reverse=True)
        return results[: self.config.n_best]


def candidates_of(
    searches: Sequence[BeamSearch], log_probs: Float[Tensor, "R V"], special: SpecialIds
) -> list[list[Candidate]]:
    """For each of some searches with as many beams its 2 K likeliest, best first, from its rows' next tokens.

    At most K of them end, one a beam, so that enough others stay to fill the beams.
    """
    beams, vocabulary, device = searches[0].config.beams, log_probs.shape[1], log_probs.device
    early = [each.length < each.shortest for each in searches for _ in range(beams)]
    ranks = log_probs.new_tensor([rank for each in searches for rank in each.ranks])
    allowed = forbid(log_probs, special, torch.tensor(early, device=device)).add_(ranks[:, None])
    values, places = largest(allowed.view(len(searches), -1), 2 * beams)
    newest = log_probs.reshape(len(searches), -1).gather(1, places)
    columns = (values.tolist(), places.tolist(), newest.tolist())
    return [
        [
            Candidate(rank, place // vocabulary, place % vocabulary, log_prob)
            for rank, place, log_prob in zip(*each, strict=True)
        ]
        for each in zip(*columns, strict=True)
    ]


def beam_search(
    steps: Steps,
    first: Float[Tensor, "B V"],
    room: Room,
    config: SearchConfig,
    special: SpecialIds,
    *,
    cut_competes: bool,
    watch: Callable[[Sequence[Candidate], Taken], None] | None = None,
) -> list[list[Found]]:
    """The best hypotheses of each source, best first; `steps` holds K adjacent rows for each.

    `first` are the log-probabilities of the first token. Sources whose search is over leave. `watch` is shown
    each step of each source.
    """
    searches = [
        BeamSearch(config, shortest, longest, special.end, cut_competes=cut_competes)
        for shortest, longest in zip(room.shortest, room.longest, strict=True)
    ]
    going, log_probs = searches, first.repeat_interleave(config.beams, dim=0)
    while going:
        rows, tokens, staying = [], [], []
        for number, candidates in enumerate(candidates_of(going, log_probs, special)):
            search = going[number]
            taken = search.take(candidates)
            if watch is not None:
                watch(candidates, taken)
            if not search.is_over:
                staying.append(search)
                rows += [number * config.beams + each.beam for each in search.rows]
                tokens += [each.token for each in search.rows]
        if staying:
            index = torch.tensor(rows, device=first.device)
            if len(staying) < len(going):
                steps.keep(index)
            elif config.beams > 1:
                steps.reorder(index)
            log_probs = steps.step(torch.tensor(tokens, device=first.device))
        going = staying
    return [[each for each, _ in search.results()] for search in searches]
