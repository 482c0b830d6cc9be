"""The proof that follows every export: both models on the same text, number by number, output by output."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from headway.batch import Tokens
from headway.bundle import Bundle
from headway.decoding.beam import beam_search
from headway.decoding.ensemble import Ensemble, ensemble_of
from headway.decoding.sample import Room
from headway.decoding.settings import SearchConfig
from headway.errors import UserError

ROWS, BEAMS = 16, 4
"""Texts compared, and width of the beam."""

MOST_WRITTEN, MOST_CONTINUED = 64, 24
"""Tokens of an output, and of a continuation."""

MASKED_SHARE = 6
"""Of an encoder's tokens one in so many is masked."""


@dataclass(frozen=True)
class Row:
    """One text as both models read it, special tokens included."""

    source: list[int] | None
    prompt: list[int]
    """What an output begins after; empty for encoders, which write none."""
    inputs: list[int]
    """What the decoder, or the encoder alone, reads when numbers are compared."""
    labels: list[int]
    """The token after each of the inputs; of encoders that in its place where it is masked, else -1."""


@runtime_checkable
class Opponent(Protocol):
    """An exported model as another program runs it. Ids are those of our tokenizer."""

    @property
    def name(self) -> str:
        """The program with its version, and what in it computes."""

    def measure(self, row: Row) -> Tensor:
        """Logits [T, V] at each of the inputs, or [T] the log-probabilities of the labels where it gives
        no more.
        """

    def search(self, row: Row, beams: int, longest: int) -> list[int] | None:
        """The best output at length penalty 0, without the end; with 1 beam the greedy one. None: it writes
        no text.
        """

    def encode(self, text: str) -> list[int] | None:
        """A source, or a language model's text, as its own tokenizer frames it; None without one."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a proof must show."""

    difference: float = 1e-5
    """Largest difference of a logit, relative to the spread of the logits."""
    agreement: float = 1.0
    """Share of equal outputs, greedy and of the beam."""


EXACT = Demand()
REPORTED = Demand(difference=float("inf"), agreement=0)
"""Nothing is refused, not even other tokens of a text."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """How an exported model compares."""

    opponent: str
    origin: str
    """Where the text comes from."""
    demand: Demand
    texts: int
    difference: float
    """Of logits, relative to their spread: the largest."""
    greedy: float | None = None
    """Share of texts with the same greedy output; of encoders, with the same likeliest tokens at masks. None
    where what is written was not compared."""
    writes: bool = True
    """Whether outputs were compared; encoders write none."""
    beam: float | None = None
    """Share of texts with the same best beam at length penalty 0; None where nothing is written."""
    tokens: float | None = None
    """Share of texts that both tokenizers make the same ids of; None where theirs has none."""
    more: tuple[str, ...] = ()
    """What else was found, a line each."""

    @property
    def failures(self) -> list[str]:
        """What is worse than demanded; none = proved."""
        found = []
        if not self.difference <= self.demand.difference:  # NaN fails too
            found.append(f"logits differ by {self.difference:.2g} of their spread")
        for what, share in (("greedy outputs", self.greedy), ("best beams", self.beam)):
            if share is not None and share < self.demand.agreement:
                found.append(f"only {share:.1%} of the {what} are the same")
        if self.demand is not REPORTED and self.tokens is not None and self.tokens < 1:
            found.append(f"only {self.tokens:.1%} of the texts become the same tokens")
        return found

    def lines(self) -> list[str]:
        """What was compared and found, a line each."""
        accepted = "reported only"
        if self.demand is not REPORTED:
            accepted = f"at most {self.demand.difference:g} is accepted"
        found = [
            f"text: {self.texts} texts, {self.origin}",
            f"against: {self.opponent}",
            f"largest difference of a logit: {self.difference:.2g} of the logits' spread ({accepted})",
        ]
        what = "greedy output" if self.writes else "likeliest tokens"
        if self.greedy is not None:
            found.append(f"same {what}: {self.greedy:.1%} of the texts")
        if self.beam is not None:
            found.append(f"same best of {BEAMS} beams at length penalty 0: {self.beam:.1%} of the texts")
        if self.tokens is not None:
            found.append(f"same tokens: {self.tokens:.1%} of the texts")
        return [*found, *self.more]


class ProofError(UserError):
    """An export that computes something else; nothing of it is written."""

    def __init__(self, proof: Proof) -> None:
        failures, found = "; ".join(proof.failures), "; ".join(proof.lines())
        super().__init__(f"the proof failed, and nothing is written: {failures}. {found}")
        self.proof = proof


@dataclass(frozen=True)
class Texts:
    """Lines to prove an export on: sources of an encoder-decoder, or a language model's text."""

    lines: Sequence[str]
    origin: str
    """In words, for the card."""


def prove(
    bundle: Bundle, other: Opponent, texts: Texts, demand: Demand = EXACT, *, written: bool = True
) -> Proof:
    """Both models on some of the texts, spread evenly; `written`: what they write is compared, too.

    Raises UserError if no text fits into the model.
    """
    ours = _Ours(bundle)
    rows = ours.rows(texts.lines)
    if not rows:
        raise UserError("no line of the text has tokens and fits into the model: give other text")
    differences: list[float] = []
    greedy: list[bool] = []
    beam: list[bool] = []
    same_tokens: list[bool] = []
    for text, row in rows:
        theirs = other.measure(row)
        differences.append(ours.difference(row, theirs))
        encoded = other.encode(text)
        if encoded is not None:
            same_tokens.append(encoded == ours.framed(text))
        if not row.prompt:
            greedy.append(ours.same_fillings(row, theirs))
            continue
        for beams, found in ((1, greedy), (BEAMS, beam)) if written else ():
            output = other.search(row, beams, ours.longest(row))
            if output is not None:
                found.append(ours.writes(row, beams, output))
    return Proof(
        opponent=other.name,
        origin=texts.origin,
        demand=demand,
        texts=len(rows),
        difference=float(np.max(differences)),  # NaN is the largest
        greedy=float(np.mean(greedy)) if greedy else None,
        writes=bundle.architecture != "encoder",
        beam=float(np.mean(beam)) if beam else None,
        tokens=float(np.mean(same_tokens)) if same_tokens else None,
    )


def generated_texts(bundle: Bundle) -> Texts:
    """Lines of tokens drawn at random, for want of real ones."""
    tokenizer = bundle.tokenizers.source or bundle.tokenizers.target
    choose = np.random.default_rng(0)
    words = sorted(set(range(tokenizer.vocab_size)) - tokenizer.special.all)
    drawn = (choose.choice(words, choose.integers(2, 12)) for _ in range(4 * ROWS))
    return Texts(
        [tokenizer.decode(ids.tolist()).strip() for ids in drawn], "generated at random, not real text"
    )


class _Ours:
    """Our side of the comparison."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.ensemble = bundle, ensemble_of([bundle])
        self.target = bundle.tokenizers.target
        self.vocabulary = self.target.vocab_size
        self._written: dict[tuple[tuple[int, ...], tuple[int, ...], int], list[int]] = {}
        bundle.model.eval()

    def framed(self, text: str) -> list[int]:
        """A source, or a language model's text, with its special tokens."""
        source, target = self.bundle.tokenizers
        if source is not None:
            return source.special.source(source.encode(text))
        ids = target.encode(text)
        return (
            target.special.whole(ids) if self.bundle.architecture == "encoder" else target.special.start(ids)
        )

    def rows(self, lines: Sequence[str]) -> list[tuple[str, Row]]:
        """Some of the lines that fit into the model, spread evenly, with their rows."""
        stripped = dict.fromkeys(line.strip() for line in lines)
        fitting = [line for line in stripped if line and self._fits(self.framed(line))]
        chosen = np.unique(np.linspace(0, len(fitting) - 1, min(ROWS, len(fitting))).astype(int))
        return [(fitting[i], row) for i in chosen.tolist() if (row := self._row(fitting[i])) is not None]

    def _fits(self, ids: list[int]) -> bool:
        if self.bundle.tokenizers.source is None:
            return 3 < len(ids) <= (self.ensemble.context or len(ids))
        length = len(_unframed(ids, self.ensemble))
        return 0 < length <= (self.ensemble.source_room or length)

    def _row(self, text: str) -> Row | None:
        ids, special = self.framed(text), self.target.special
        match self.bundle.architecture:
            case "encoder-decoder":
                prompt = special.start([])
                written = self.search(Row(ids, prompt, [], []), 1)
                return Row(ids, prompt, [*prompt, *written], [*written, special.end])
            case "decoder":
                prompt = ids[: max(1, min(24, len(ids) // 3))]
                return Row(None, prompt, ids[:-1], ids[1:])
            case "encoder":
                if special.mask is None:
                    return Row(None, [], ids, ids)
                inner = range(len(special.start([])), len(ids) - 1)
                masked = [i for i in inner if i % MASKED_SHARE == 2] or [inner[0]]
                inputs = [special.mask if i in masked else each for i, each in enumerate(ids)]
                return Row(None, [], inputs, [each if i in masked else -1 for i, each in enumerate(ids)])

    def longest(self, row: Row) -> int:
        """Most tokens that an output may have with its end."""
        if row.source is None:
            room, most = self.ensemble.context, MOST_CONTINUED
        else:
            room, most = self.ensemble.target_room, min(MOST_WRITTEN, 2 * len(row.source) + 8)
        return min(most, room - len(row.prompt)) if room else most

    def measure(self, row: Row) -> Tensor:
        """Logits [T, V]."""
        device = self.ensemble.device
        source = None if row.source is None else Tokens(torch.tensor([row.source], device=device))
        hidden = self.ensemble.hidden(Tokens(torch.tensor([row.inputs], device=device)), source)
        with torch.no_grad():
            return self.bundle.model.logits(hidden[0])[0].float().cpu()

    def difference(self, row: Row, theirs: Tensor) -> float:
        """The largest, relative to the spread of our logits."""
        logits = self.measure(row)
        spread = float(logits.max() - logits.min())
        if theirs.dim() == 1:
            labels = torch.tensor(row.labels)
            ours = logits.log_softmax(dim=-1).gather(1, labels[:, None])[:, 0]
        else:
            ours, theirs = logits[:, : self.vocabulary], theirs[:, : self.vocabulary]
        worst = float((ours - theirs.float().cpu()).abs().max())
        return worst if spread == 0 else worst / spread

    def same_fillings(self, row: Row, theirs: Tensor) -> bool:
        """Whether the likeliest tokens at the masks are the same; where two are as likely, either is."""
        masked = torch.tensor([label >= 0 for label in row.labels])
        logits = self.measure(row)[masked, : self.vocabulary]
        likeliest = theirs[masked, : self.vocabulary].argmax(dim=1)
        gap = logits.amax(dim=1) - logits.gather(1, likeliest[:, None])[:, 0]
        return float(gap.max()) <= EXACT.difference * float(logits.max() - logits.min())

    def search(self, row: Row, beams: int) -> list[int]:
        """Our best output, without the end; searched for once."""
        key = (tuple(row.source or ()), tuple(row.prompt), beams)
        if key not in self._written:
            found = _search(self.ensemble, row, beams, self.longest(row))
            self._written[key] = found[:-1] if found[-1:] == [self.target.special.end] else found
        return self._written[key]

    def writes(self, row: Row, beams: int, theirs: list[int]) -> bool:
        """Whether our output is the same; where two are equally likely, either is."""
        ours = self.search(row, beams)
        if ours == theirs:
            return True
        gap = self._log_prob(row, ours) - self._log_prob(row, theirs)
        return abs(gap) <= EXACT.difference * (len(ours) + 1)

    def _log_prob(self, row: Row, written: list[int]) -> float:
        """Of an output, with its end where it is shorter than the limit."""
        end = [] if len(written) >= self.longest(row) else [self.target.special.end]
        whole = [*row.prompt, *written, *end]
        log_probs = self.measure(Row(row.source, row.prompt, whole[:-1], [])).log_softmax(dim=-1)
        first = len(row.prompt) - 1
        labels = torch.tensor(whole[first + 1 :])
        return float(log_probs[first:].gather(1, labels[:, None]).sum()) if len(labels) else 0.0


def _search(ensemble: Ensemble, row: Row, beams: int, longest: int) -> list[int]:
    special = ensemble.tokenizers.target.special
    start = row.prompt if special.begin is None else row.prompt[1:]
    with ensemble.evaluating():
        sources = None if row.source is None else [_unframed(row.source, ensemble)]
        steps, first = ensemble.begin(sources, [start], beams)
        config = SearchConfig(beams=beams, length_penalty=0.0)
        room = Room([0], [longest])
        found = beam_search(steps, first[::beams], room, config, special, cut_competes=True)
    return list(found[0][0].ids)


def _unframed(source: list[int], ensemble: Ensemble) -> list[int]:
    """A source's own tokens."""
    tokenizer = ensemble.tokenizers.source
    assert tokenizer is not None, "an encoder-decoder has a source tokenizer"
    return source[0 if tokenizer.special.source_begin is None else 1 : -1]
