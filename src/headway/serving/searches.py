"""Searches that a running batch advances by one token at a time; each finds what `decoding` finds at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from headway.decoding.beam import BeamSearch, Candidate
from headway.decoding.hypothesis import Found, found
from headway.decoding.requests import Request
from headway.decoding.settings import SearchConfig
from headway.serving.growing import GrowingText
from headway.text.tokenizer import Tokenizer

Likeliest = list[tuple[int, float]]
"""Tokens with their log-probabilities, the likeliest first."""


class Told(NamedTuple):
    """What one step added to one output of a request that is watched."""

    output: int
    text: str
    token: int
    log_prob: float
    alternatives: Likeliest
    is_last: bool


@dataclass(frozen=True)
class Ask:
    """One text to search for, and how."""

    request: Request
    search: SearchConfig
    stops: tuple[str, ...] = ()
    alternatives: int = 0
    """Tokens told for each place beside the one chosen."""
    tell: Callable[[Told], None] | None = None
    """Called at each step where the outputs grow by themselves, that is with greedy search and sampling."""


@dataclass(frozen=True)
class Output:
    """One thing found."""

    found: Found
    alternatives: list[Likeliest]
    stopped: bool = False
    """Whether it ends at one of the ask's `stops`, which is still among the tokens."""
    number: int = 0
    """Which of the samples it is, as it was told; they are told apart by that, and sorted by score."""


@dataclass
class Row:
    """One output of a greedy search or of sampling."""

    number: int
    key: int
    text: GrowingText | None
    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    alternatives: list[Likeliest] = field(default_factory=list)


class Emission:
    """Greedy search, or so many samples: rows that grow by themselves and end one by one."""

    def __init__(self, ask: Ask, tokenizer: Tokenizer) -> None:
        self.ask, self.end = ask, tokenizer.special.end
        copies = ask.search.n_best
        keys = ask.request.keys(ask.search.seed, copies)
        watched = bool(ask.stops or ask.tell)
        self.live = [
            Row(
                number,
                keys[number],
                GrowingText(tokenizer, ask.request.start, ask.stops) if watched else None,
            )
            for number in range(copies)
        ]
        self.ended: list[Row] = []

    @property
    def rows(self) -> int:
        return len(self.live)

    @property
    def is_over(self) -> bool:
        return not self.live

    def take(
        self, tokens: Sequence[int], log_probs: Sequence[float], alternatives: Sequence[Likeliest]
    ) -> list[int]:
        """Each row's next token; the rows that go on."""
        going = []
        for i, row in enumerate(self.live):
            row.ids.append(tokens[i])
            row.log_probs.append(log_probs[i])
            row.alternatives.append(alternatives[i])
            ended = tokens[i] == self.end
            cut = len(row.ids) >= self.ask.request.longest
            if row.text is not None:
                cut = self._watch(row, ended, cut)
            if ended or cut:
                self.ended.append(row)
            else:
                going.append(i)
        self.live = [self.live[i] for i in going]
        return going

    def _watch(self, row: Row, ended: bool, cut: bool) -> bool:
        """Let the text grow, and tell it; whether it is cut."""
        assert row.text is not None
        piece = row.text.finish(ended=True) if ended else row.text.add(row.ids[-1])
        if cut and not ended:
            piece += row.text.finish(ended=False)
        cut = cut or row.text.stopped
        if self.ask.tell is not None:
            newest = row.ids[-1], row.log_probs[-1], row.alternatives[-1]
            self.ask.tell(Told(row.number, piece, *newest, is_last=ended or cut))
        return cut

    def outputs(self) -> list[Output]:
        """What was found, best first."""
        alpha = self.ask.search.length_penalty
        every = [
            Output(
                found(row.ids, row.log_probs, alpha, self.end),
                row.alternatives,
                row.text is not None and row.text.stopped,
                row.number,
            )
            for row in sorted(self.ended, key=lambda row: row.number)
        ]
        return sorted(every, key=lambda each: each.found.score, reverse=True)


class Beams:
    """A beam search, in as many adjacent rows as it has beams, with what else each row considered."""

    def __init__(self, ask: Ask, tokenizer: Tokenizer, *, cut_competes: bool) -> None:
        request, end = ask.request, tokenizer.special.end
        self.ask = ask
        self.search = BeamSearch(
            ask.search, request.shortest, request.longest, end, cut_competes=cut_competes
        )
        self.considered: list[Sequence[Likeliest]] = []
        """By step and row."""

    @property
    def rows(self) -> int:
        return self.ask.search.beams

    @property
    def is_over(self) -> bool:
        return self.search.is_over

    def take(self, candidates: Sequence[Candidate], alternatives: Sequence[Likeliest]) -> list[Candidate]:
        """Choose among the likeliest; what each row goes on with."""
        self.considered.append(alternatives)
        self.search.take(candidates)
        return [] if self.is_over else self.search.rows

    def outputs(self) -> list[Output]:
        """What was found, best first."""
        outputs = []
        for number, (each, path) in enumerate(self.search.results()):
            alternatives = [row[at.beam] for row, at in zip(self.considered, path, strict=False)]
            outputs.append(Output(each, alternatives, number=number))
        return outputs


Search = Emission | Beams


def search_of(ask: Ask, tokenizer: Tokenizer, *, cut_competes: bool) -> Search:
    """The search that an ask names; what a limit cuts competes with what ended, or fills places left."""
    if ask.search.method == "beam":
        return Beams(ask, tokenizer, cut_competes=cut_competes)
    return Emission(ask, tokenizer)
