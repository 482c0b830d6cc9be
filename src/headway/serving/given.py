"""What a model gives each token of a text that is there already. Axes: N places."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from headway.batch import Tokens
from headway.decoding.ensemble import Ensemble
from headway.decoding.steps import pad
from headway.serving.running import likeliest_of
from headway.serving.searches import Likeliest

CHUNK = 1024
"""Places whose probabilities of the whole vocabulary are held at a time."""


@dataclass(frozen=True)
class Given:
    """Tokens to be read, of an encoder-decoder's output with the source."""

    source: list[int] | None
    ids: list[int]
    alternatives: int


@dataclass(frozen=True)
class Read:
    """What the model gives one token, and which would be likelier or nearly as likely."""

    log_prob: float | None
    """None for a first token that nothing stands before."""
    alternatives: Likeliest


def read_given(ensemble: Ensemble, given: Sequence[Given]) -> list[list[Read]]:
    """For each text what each of its tokens is given by those before it, in one pass."""
    special, device = ensemble.tokenizers.target.special, ensemble.device
    wholes = [special.start(each.ids) for each in given]
    ahead = [max(0, len(whole) - 1) for whole in wholes]
    results = [[Read(None, [])] * (len(each.ids) - n) for each, n in zip(given, ahead, strict=True)]
    places = [(i, column) for i, count in enumerate(ahead) for column in range(count)]
    if not places:
        return results
    rows = [whole[:-1] or [special.end] for whole in wholes]
    sources = [each.source for each in given if each.source is not None]
    source = ensemble.source_tokens(sources) if sources else None
    hidden = ensemble.hidden(Tokens(pad(rows, special.pad, device)[0]), source)
    for start in range(0, len(places), CHUNK):
        part = places[start : start + CHUNK]
        row, column = torch.tensor(part, device=device).unbind(1)
        log_probs = ensemble.log_probs(hidden, (row, column))
        labels = torch.tensor([wholes[i][at + 1] for i, at in part], device=device)
        values = log_probs.gather(1, labels[:, None])[:, 0].tolist()
        log_probs[:, [*special.never_chosen, special.end]] = -torch.inf
        likeliest = likeliest_of(log_probs, [given[i].alternatives for i, _ in part])
        for (i, _), value, others in zip(part, values, likeliest, strict=True):
            results[i].append(Read(value, others))
    return results
