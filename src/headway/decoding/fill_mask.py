"""Blanks in a text filled by a masked model, several jointly. Axes: N blanks, V vocabulary."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from headway.decoding.batches import token_batches
from headway.decoding.ensemble import Ensemble
from headway.decoding.logits import forbid
from headway.decoding.score import window
from headway.decoding.steps import pad_encoder
from headway.decoding.streaming import continuation
from headway.errors import UserError
from headway.text.tokenizer import BLANKS, split_at_blanks

Likeliest = list[tuple[int, float]]
"""Tokens with their log-probabilities, the likeliest first."""


@dataclass(frozen=True)
class Candidate:
    """One token that may fill a blank."""

    id: int
    text: str
    log_prob: float

    @property
    def probability(self) -> float:
        return math.exp(self.log_prob)


@dataclass(frozen=True)
class Filled:
    """A text with its blanks filled."""

    text: str
    """The text as given, each blank replaced."""
    blanks: list[list[Candidate]]
    """For each blank in order, its likeliest tokens when it was filled; the first is the one chosen."""

    @property
    def score(self) -> float:
        """Sum of the log-probabilities of what was chosen."""
        return sum(blank[0].log_prob for blank in self.blanks)


@dataclass
class Filling:
    """A text while its blanks are being filled."""

    text: str
    ids: list[int]
    places: list[int]
    allowed: dict[int, Sequence[int]]
    """The only tokens that may stand in a place; of one that is not named, any."""
    chosen: dict[int, Likeliest] = field(default_factory=dict)
    """Of each place that is filled."""

    @property
    def open(self) -> list[int]:
        return [place for place in self.places if place not in self.chosen]

    def fill_surest(self, predicted: dict[int, Likeliest]) -> None:
        """Fill the place whose likeliest token is the likeliest of all, the first of equals."""
        place = max(sorted(predicted), key=lambda place: predicted[place][0][1])
        self.chosen[place] = predicted[place]
        self.ids[place] = predicted[place][0][0]


@dataclass(frozen=True)
class View:
    """A stretch of a text that the model reads at once, and the blanks it predicts there."""

    filling: Filling
    start: int
    stop: int
    places: list[int]


class Filler:
    """Fills blanks with one or several masked language models."""

    def __init__(self, ensemble: Ensemble, batch_tokens: int = 16384) -> None:
        if ensemble.architecture != "encoder":
            raise UserError("only a masked language model fills blanks")
        self.ensemble, self.batch_tokens = ensemble, batch_tokens

    def fill(
        self,
        texts: Sequence[str],
        candidates: int = 5,
        allowed: Sequence[Sequence[Sequence[int]]] | None = None,
    ) -> list[Filled]:
        """Each text with its blanks filled, one token each.

        In every round all open blanks are predicted from what stands so far, and the one that the model is
        surest of is filled. A text longer than the context is seen around each blank. `allowed` are for each
        text and each of its blanks the only tokens that may fill it, as `targets_of` finds them. Raises
        UserError for a text without a blank, or for no candidates.
        """
        if candidates < 1:
            raise UserError(f"{candidates} candidates for each blank: ask for at least 1")
        fillings = [self._begin(text) for text in texts]
        for each, tokens in zip(fillings, allowed or (), strict=allowed is not None):
            each.allowed |= zip(each.places, tokens, strict=True)
        while unfilled := [each for each in fillings if each.open]:
            self._round(unfilled, candidates)
        return [self._filled(each) for each in fillings]

    def _begin(self, text: str) -> Filling:
        tokenizer = self.ensemble.tokenizers.target
        ids = tokenizer.encode_blanks(text)
        places = [place for place, token in enumerate(ids) if token == tokenizer.special.mask]
        if not places:
            shown = text if len(text) <= 60 else text[:59] + "…"
            raise UserError(f"no blank in {shown!r}: write what is to be filled as {' or '.join(BLANKS)}")
        return Filling(text, ids, places, {})

    def targets_of(self, text: str, targets: Sequence[str]) -> list[list[int]]:
        """For each blank of a text the tokens by which these words would stand there.

        Raises UserError for one that is no single token.
        """
        spaces, known = self.ensemble.tokenizers.target.kind != "characters", dict[str | None, list[int]]()
        found = []
        for number, before in enumerate(split_at_blanks(text)[:-1]):
            # As in `encode_blanks`: a space before a blank belongs to the word.
            company = BLANKS[0] if number or before else None
            if before.endswith(" ") and spaces:
                company = f"{BLANKS[0]} "
            if company not in known:
                known[company] = [self._token_of(target, company) for target in targets]
            found.append(known[company])
        return found

    def _token_of(self, target: str, company: str | None) -> int:
        """The token that a word is behind a blank, or at the beginning of a text."""
        tokenizer = self.ensemble.tokenizers.target
        ways = [tokenizer.encode(target)]
        if company is not None:  # a piece without the space is written alike, if the word has none of its own
            near = dict.fromkeys((company, company.removesuffix(" ")))
            ways = [tokenizer.encode_blanks(each + target)[1:] for each in near]
        for ids in ways:
            if target and len(ids) == 1 and ids[0] not in tokenizer.special.never_chosen:
                return ids[0]
        pieces = " ".join(tokenizer.pieces(ways[0]))
        raise UserError(f"{target!r} is not one token of the model's vocabulary, but: {pieces or 'none'}")

    def _round(self, fillings: Sequence[Filling], candidates: int) -> None:
        """Fill one blank of each text."""
        predicted: list[dict[int, Likeliest]] = [{} for _ in fillings]
        views, owners = [], []
        for owner, each in zip(predicted, fillings, strict=True):
            stretches: dict[tuple[int, int], list[int]] = {}
            for place in each.open:
                stretch = window(len(each.ids), place, self.ensemble.context)
                stretches.setdefault(stretch, []).append(place)
            views += [View(each, *stretch, places) for stretch, places in stretches.items()]
            owners += [owner] * len(stretches)
        for batch in token_batches([view.stop - view.start + 2 for view in views], self.batch_tokens):
            found = iter(self._predict([views[i] for i in batch], candidates))
            for i in batch:
                owners[i].update((place, next(found)) for place in views[i].places)
        for each, blanks in zip(fillings, predicted, strict=True):
            each.fill_surest(blanks)

    def _predict(self, views: Sequence[View], count: int) -> list[Likeliest]:
        """The likeliest tokens of each view's places, one after the other."""
        device, special = self.ensemble.device, self.ensemble.tokenizers.target.special
        rows = [special.whole(view.filling.ids[view.start : view.stop]) for view in views]
        before = len(special.start([]))
        row = torch.tensor([i for i, view in enumerate(views) for _ in view.places], device=device)
        columns = [place - view.start + before for view in views for place in view.places]
        with self.ensemble.evaluating():
            hidden = self.ensemble.hidden(pad_encoder(rows, special.pad, device))
            log_probs = self.ensemble.log_probs(hidden, (row, torch.tensor(columns, device=device)))
        never_end = torch.ones(len(log_probs), dtype=torch.bool, device=device)
        possible = forbid(log_probs, special, never_end)
        allowed = [view.filling.allowed.get(place) for view in views for place in view.places]
        for line, tokens in zip(possible, allowed, strict=True):
            if tokens is not None:
                index = torch.tensor(tokens, device=device)
                kept = line[index]
                line.fill_(-torch.inf)[index] = kept
        best = possible.topk(min(count, log_probs.shape[1]), dim=1)
        return [
            [(token, value) for token, value in zip(tokens, values, strict=True) if value > -torch.inf]
            for tokens, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    def _filled(self, filling: Filling) -> Filled:
        tokenizer = self.ensemble.tokenizers.target
        text, *after = split_at_blanks(filling.text)
        assert len(after) == len(filling.places), "a tokenizer that sees other blanks"
        blanks = []
        for place, behind in zip(filling.places, after, strict=True):
            # The space before a blank is part of the word's token, and stands in the text already.
            spaced = text.endswith(" ") and tokenizer.kind != "characters"
            blank = []
            for token, value in filling.chosen[place]:
                piece = continuation(tokenizer, filling.ids[:place], [token])
                blank.append(Candidate(token, piece.removeprefix(" ") if spaced else piece, value))
            blanks.append(blank)
            text += blank[0].text + behind
        return Filled(text, blanks)


def has_blank(text: str) -> bool:
    """Whether there is something to fill."""
    return len(split_at_blanks(text)) > 1
