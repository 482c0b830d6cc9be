"""Beam search. Axes: B sources, K beams, C candidates, N hypotheses kept, T tokens so far, V vocabulary."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from headway.decoding.hypothesis import Found, found, penalty
from headway.decoding.logits import forbid
from headway.decoding.sample import Room
from headway.decoding.settings import SearchConfig
from headway.decoding.steps import Steps
from headway.text.special import SpecialIds


@dataclass(frozen=True)
class Beams:
    """Beginnings of outputs, best first; -inf ranks what does not exist."""

    ids: Int[Tensor, "B N T"]
    log_probs: Float[Tensor, "B N T"]
    rank: Float[Tensor, "B N"]
    """Sum of the log-probabilities of what goes on; score of what ended."""
    lengths: Int[Tensor, "B N"]

    def best(self, rank: Float[Tensor, "B N"], count: int) -> tuple["Beams", Int[Tensor, "B C"]]:
        """The `count` best by `rank`, and which they were."""
        rank, index = rank.topk(count, dim=1)
        wide = index[..., None].expand(-1, -1, self.ids.shape[2])
        found = Beams(
            self.ids.gather(1, wide), self.log_probs.gather(1, wide), rank, self.lengths.gather(1, index)
        )
        return found, index

    def of(self, sources: Int[Tensor, "Q"]) -> "Beams":
        """Those of some of the sources."""
        return Beams(self.ids[sources], self.log_probs[sources], self.rank[sources], self.lengths[sources])

    def beside(self, others: "Beams") -> "Beams":
        """These, one column wider to match, and others of the same sources."""
        ids = torch.nn.functional.pad(self.ids, (0, 1))  # never looked at
        log_probs = torch.nn.functional.pad(self.log_probs, (0, 1))
        return Beams(
            torch.cat((ids, others.ids), dim=1),
            torch.cat((log_probs, others.log_probs), dim=1),
            torch.cat((self.rank, others.rank), dim=1),
            torch.cat((self.lengths, others.lengths), dim=1),
        )

    def found(self, source: int, length_penalty: float, end: int) -> list[Found]:
        """Those of one source that exist."""
        columns = (self.ids, self.log_probs, self.rank, self.lengths)
        return [
            found(ids[:length], log_probs[:length], length_penalty, end)
            for ids, log_probs, rank, length in zip(*(each[source].tolist() for each in columns), strict=True)
            if rank > -torch.inf
        ]


@dataclass(frozen=True)
class Extension:
    """One step of a search: which beginnings came up, and what became of them."""

    candidates: Beams
    beam: Int[Tensor, "B C"]
    """Which beam each continues."""
    ends: Bool[Tensor, "B C"]
    counts: Bool[Tensor, "B C"]
    """Ends that count as hypotheses."""
    picked: Int[Tensor, "B K"]
    """Those that the search goes on from, best first; one that ends fills an empty place."""


def no_beams(log_probs: Float[Tensor, "B V"], count: int) -> Beams:
    """Empty beginnings, none of which exists."""
    shape = (len(log_probs), count)
    return Beams(
        log_probs.new_zeros(*shape, 0, dtype=torch.long),
        log_probs.new_zeros(*shape, 0),
        log_probs.new_full(shape, -torch.inf),
        log_probs.new_zeros(shape, dtype=torch.long),
    )


def extend(
    live: Beams, log_probs: Float[Tensor, "B K V"], allowed: Float[Tensor, "B K V"]
) -> tuple[Beams, Tensor]:
    """The 2 K best beginnings that are one token longer, and which beam each continues.

    At most K of them end, one a beam, so that enough others stay to fill the beams.
    """
    beams, vocabulary = log_probs.shape[1:]
    rank, flat = (allowed + live.rank[..., None]).flatten(1).topk(2 * beams, dim=1)
    beam, token = flat // vocabulary, flat % vocabulary
    wide = beam[..., None].expand(-1, -1, live.ids.shape[2])
    newest = log_probs.flatten(1).gather(1, flat)
    candidates = Beams(
        torch.cat((live.ids.gather(1, wide), token[..., None]), dim=2),
        torch.cat((live.log_probs.gather(1, wide), newest[..., None]), dim=2),
        rank,
        live.lengths.gather(1, beam) + 1,
    )
    return candidates, beam


def beam_search(
    steps: Steps,
    first: Float[Tensor, "B V"],
    room: Room,
    config: SearchConfig,
    special: SpecialIds,
    *,
    cut_competes: bool,
    watch: Callable[[Extension], None] | None = None,
) -> list[list[Found]]:
    """The best hypotheses of each source, best first; `steps` holds `beams` adjacent rows for each.

    `first` are the log-probabilities of the first token. A source leaves once no live beam can beat the worst
    hypothesis kept, were every further token certain. What a limit cut competes by its score, or else fills
    the places that no ended hypothesis took. `watch` is shown every step, of the sources still searched for.
    """
    device, beams, alpha = first.device, config.beams, config.length_penalty
    results: list[list[Found]] = [[] for _ in range(len(first))]
    sources = list(range(len(first)))
    shortest = torch.tensor(room.shortest, device=device)
    longest = torch.tensor(room.longest, device=device)
    live, ended = no_beams(first, beams), no_beams(first, config.n_best)
    live.rank[:, 0] = 0
    log_probs = first[:, None].expand(-1, beams, -1)
    length = 0
    while True:
        length += 1
        early = (length <= shortest)[:, None].expand(-1, beams)
        allowed = forbid(log_probs.flatten(0, 1), special, early.flatten()).view(log_probs.shape)
        candidates, beam = extend(live, log_probs, allowed)
        ends = candidates.ids[..., -1] == special.end
        # Only an end among the K best counts: so one beam alone is greedy.
        takes_beam = torch.arange(ends.shape[1], device=device) < beams
        counts = ends & takes_beam
        score = torch.where(counts, candidates.rank / penalty(length, alpha), -torch.inf)
        pool = ended.beside(candidates)
        ended, _ = pool.best(torch.cat((ended.rank, score), dim=1), config.n_best)
        live, picked = candidates.best(candidates.rank.masked_fill(ends, -torch.inf), beams)
        if watch is not None:
            watch(Extension(candidates, beam, ends, counts, picked))
        attainable = live.rank[:, 0] / ((5 + longest) / 6) ** alpha
        leave = ((ended.rank[:, -1] >= attainable) | (length >= longest)).tolist()
        for i in [i for i, leaves in enumerate(leave) if leaves]:
            hypotheses = ended.found(i, alpha, special.end)
            if length >= room.longest[sources[i]]:
                hypotheses += live.found(i, alpha, special.end)
            hypotheses.sort(key=lambda each: (each.finished or cut_competes, each.score), reverse=True)
            results[sources[i]] = hypotheses[: config.n_best]
        stay = [i for i, leaves in enumerate(leave) if not leaves]
        if not stay:
            return results
        index = torch.tensor(stay, device=device)
        rows = (index[:, None] * beams + beam.gather(1, picked)[index]).flatten()
        if len(stay) < len(sources):
            sources = [sources[i] for i in stay]
            live, ended, shortest, longest = live.of(index), ended.of(index), shortest[index], longest[index]
            steps.keep(rows)
        elif beams > 1:
            steps.reorder(rows)
        log_probs = steps.step(live.ids[..., -1].flatten())
        log_probs = log_probs.view(len(stay), beams, -1)
