"""Whether a model begins where one that knows nothing does. Axes: B rows, N labels, V vocabulary."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from headway.batch import NO_LABEL
from headway.preflight.finding import Finding
from headway.preflight.trial import Trial

CHECK = "first loss"

ABOVE = 3.0
"""Nats above ln V. Logits of deviation σ cost σ²/2: 0.5 at the σ = 1 of tied embeddings whose deviation is
d_model^-0.5, 1.1 at the widest of any preset; 3 would be a σ of 2.4."""

BELOW = 0.5
"""Share of ln V under which something is known that nothing was learned from."""

LOGITS = 1 << 22
"""How many are looked at."""


@torch.no_grad()
def check_first_loss(trial: Trial) -> Finding:
    """The loss without smoothing, compared with ln V, that of a uniform guess."""
    model, batch = trial.model.eval(), trial.batch
    labelled = batch.labels != NO_LABEL
    vocabulary = trial.recipe.model.vocab_size
    some = slice(max(1, LOGITS // vocabulary))
    hidden = model(batch.inputs, batch.source)[labelled][some]
    logits = model.logits(hidden).float()
    labels, read = batch.labels[labelled][some], batch.inputs.ids[labelled][some]
    loss, unread = float(F.cross_entropy(logits, labels)), _of_unread(logits, labels, read)
    uniform = math.log(vocabulary)
    message = f"the first loss is {loss:.2f} (ln V = {uniform:.2f})"
    if not math.isfinite(loss):
        remedy = "weights or shape make numbers too large, or none: look at start_from and the table model"
        return Finding(check=CHECK, level="fault", message=message, remedy=remedy)
    if unread > uniform + ABOVE:
        remedy = "the weights begin too large: look at how they are initialised"
        if trial.recipe.start_from is not None:
            remedy = "the model to start from knows less of this text than nothing: is it one of such text?"
        return Finding(check=CHECK, level="warning", message=f"{message}, far above it", remedy=remedy)
    if loss < BELOW * uniform and trial.recipe.start_from is None:
        remedy = "what is to be predicted seems to stand in what is read: look at the text and the objective"
        return Finding(check=CHECK, level="warning", message=f"{message}, far below it", remedy=remedy)
    return Finding(check=CHECK, level="ok", message=message)


def _of_unread(logits: Float[Tensor, "N V"], labels: Int[Tensor, "N"], read: Int[Tensor, "N"]) -> float:
    """The loss among all tokens but the one read there: tied embeddings alone give that up to √d_model."""
    others = labels != read
    if not bool(others.any()):
        return 0.0
    hidden = logits.scatter(-1, read[:, None], -math.inf)
    return float(F.cross_entropy(hidden[others], labels[others]))
