"""What coarser numbers cost: the change of the log-probability of text, with its interval."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from headway.batch import Tokens
from headway.bundle import Bundle
from headway.interop.proof import Opponent, Row

SAMPLES, SEED = 1000, 12345


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Nats per token of the text of a proof: a language model's own, or what an encoder-decoder wrote."""

    ours: float
    theirs: float
    low: float
    high: float
    """Bounds of the difference that hold with 95 % confidence, other texts of the kind given."""

    def line(self) -> str:
        return (
            f"loss: {self.theirs:.4f} nats per token where the original has {self.ours:.4f}: a change of "
            f"{self.theirs - self.ours:+.4f} (95 % interval {self.low:+.4f} to {self.high:+.4f})"
        )


@dataclass
class Watched:
    """An opponent whose measurements are kept, so that more can be said of them after the proof."""

    other: Opponent
    seen: list[tuple[Row, Tensor]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.other.name

    def measure(self, row: Row) -> Tensor:
        measured = self.other.measure(row)
        self.seen.append((row, measured))
        return measured

    def search(self, row: Row, beams: int, longest: int) -> list[int] | None:
        return self.other.search(row, beams, longest)

    def encode(self, text: str) -> list[int] | None:
        return self.other.encode(text)

    def cost(self, bundle: Bundle) -> Cost:
        """Of all that was measured. Resamples texts (Efron 1979)."""
        pairs = [(_loss(_logits(bundle, row), row), _loss(theirs, row)) for row, theirs in self.seen]
        ours, theirs = (np.array([float(pair[side].sum()) for pair in pairs]) for side in (0, 1))
        tokens = np.array([len(pair[0]) for pair in pairs], np.float64)
        draws = np.random.default_rng(SEED).integers(len(pairs), size=(SAMPLES, len(pairs)))
        changes = (theirs - ours)[draws].sum(axis=1) / tokens[draws].sum(axis=1)
        low, high = np.quantile(changes, [0.025, 0.975]).tolist()
        total = tokens.sum()
        return Cost(ours=ours.sum() / total, theirs=theirs.sum() / total, low=low, high=high)


def _logits(bundle: Bundle, row: Row) -> Tensor:
    device = bundle.model.output.weight.device
    source = None if row.source is None else Tokens(torch.tensor([row.source], device=device))
    with torch.no_grad():
        hidden = bundle.model(Tokens(torch.tensor([row.inputs], device=device)), source)
        return bundle.model.logits(hidden)[0].float().cpu()


def _loss(measured: Tensor, row: Row) -> Tensor:
    """Minus the log-probabilities of the row's labels; of logits [T, V] or of those themselves [T]."""
    labels = torch.tensor(row.labels)
    if measured.dim() == 2:
        chosen = labels.clamp(min=0)[:, None]
        measured = measured.float().log_softmax(dim=-1).gather(1, chosen)[:, 0]
    return -measured[labels >= 0]
