"""Whether a real row sees what it must not: the future, or padding. Axes: B rows, T positions, D d_model."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from headway.batch import NO_LABEL, Batch, Tokens
from headway.preflight.finding import Finding
from headway.preflight.trial import Trial
from headway.verification.subject import ACCEPTED, evenly, largest
from headway.verification.visibility import CUTS


@torch.no_grad()
def check_future(trial: Trial) -> Finding:
    """Of a decoder: what it computes up to a place stays when every token after that is another."""
    batch, width = trial.batch, trial.batch.labels.shape[1]
    whole = _hidden(trial, batch)
    places = torch.arange(width, device=batch.labels.device)
    found = {}
    for cut in evenly(0, width - 2, CUTS) if width > 1 else []:
        changed = _changed(trial, batch.inputs, (places > cut).expand_as(batch.labels))
        hidden = _hidden(trial, Batch(changed, batch.labels, batch.source))
        found[cut] = largest([hidden[:, : cut + 1] - whole[:, : cut + 1]])
    leaks = [cut for cut, difference in found.items() if not difference <= _tolerance(whole)]
    if not leaks:
        return Finding(check="future", level="ok", message="no later token is seen")
    return Finding(
        check="future",
        level="fault",
        message=f"what is computed up to token {leaks[0] + 1} changes, by {found[leaks[0]]:.2g}, when tokens "
        "after it do: the model reads what it is to predict",
        remedy="look at the attention mask, the kernel and the positions that were changed",
    )


@torch.no_grad()
def check_padding(trial: Trial) -> Finding:
    """Of an encoder: what it computes of real tokens stays when the padding beside them is another."""
    encoder = trial.recipe.model.architecture == "encoder"
    tokens = trial.batch.inputs if encoder else trial.batch.source
    assert tokens is not None, "an encoder reads something"
    tokens, padding = _padded(tokens, trial.pad)

    def read(tokens: Tokens) -> Float[Tensor, "B T D"]:
        if encoder:
            return _hidden(trial, Batch(tokens, trial.batch.labels))
        return _hidden(trial, Batch(trial.batch.inputs, trial.batch.labels, tokens))

    real = ~padding if encoder else trial.batch.labels != NO_LABEL
    whole = read(tokens)
    difference = largest([(read(_changed(trial, tokens, padding)) - whole)[real]])
    if difference <= _tolerance(whole):
        return Finding(check="padding", level="ok", message="padding is not read")
    return Finding(
        check="padding",
        level="fault",
        message=f"what is computed of real tokens changes, by {difference:.2g}, when padding does",
        remedy="look at the segments of the batch, which say what is padding, and at the mask and the kernel",
    )


def _hidden(trial: Trial, batch: Batch) -> Float[Tensor, "B T D"]:
    hidden: Tensor = trial.model.eval()(batch.inputs, batch.source)
    return hidden


def _tolerance(hidden: Float[Tensor, "B T D"]) -> float:
    """The largest difference that rounding accounts for."""
    return ACCEPTED[hidden.dtype] * float(hidden.max() - hidden.min())


def _changed(trial: Trial, tokens: Tokens, where: Bool[Tensor, "B T"]) -> Tokens:
    """Other tokens in some places; drawn, but always the same."""
    draw = torch.Generator().manual_seed(0)
    size = min(trial.recipe.model.vocab_size, trial.recipe.model.source_vocab_size or math.inf)
    others = torch.randint(1, int(size), tokens.ids.shape, generator=draw).to(tokens.ids.device)
    return Tokens(torch.where(where, (tokens.ids + others) % int(size), tokens.ids), tokens.segments)


def _padded(tokens: Tokens, pad: int) -> tuple[Tokens, Bool[Tensor, "B T"]]:
    """Rows with padding, and where it is; of rows that have none the last quarter is made padding."""
    ids, segments = tokens.ids, tokens.segments
    padding = ids == pad if segments is None else segments == 0
    if bool(padding.any()):
        return tokens, padding
    width = ids.shape[1]
    padding = (torch.arange(width, device=ids.device) >= max(1, width - width // 4)).expand_as(ids)
    segments = torch.ones_like(ids) if segments is None else segments
    return Tokens(ids, segments.masked_fill(padding, 0)), padding
