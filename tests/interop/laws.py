"""What an exported model is held to: our own numbers and our own search."""

import torch

from headway.batch import Tokens
from headway.bundle import Bundle
from headway.decoding.beam import beam_search
from headway.decoding.ensemble import ensemble_of
from headway.decoding.logits import forbid
from headway.decoding.sample import Room
from headway.decoding.settings import SearchConfig
from headway.decoding.steps import CachedSteps
from headway.interop.proof import Opponent, Row
from tests.interop.random_models import UNUSED


def random_ids(count: int, most: int) -> list[int]:
    return torch.randint(5, most, (count,)).tolist()


def random_row(bundle: Bundle) -> Row:
    special = bundle.tokenizers.target.special
    inputs = [*special.start([]), *random_ids(7, bundle.config.vocab_size - UNUSED)]
    source = None
    if bundle.tokenizers.source is not None:
        source = bundle.tokenizers.source.special.source(random_ids(5, 15))
    return Row(source, inputs[:2] if source is None else inputs[:1], inputs, inputs)


def our_logits(bundle: Bundle, row: Row) -> torch.Tensor:
    source = None if row.source is None else Tokens(torch.tensor([row.source]))
    with torch.no_grad():
        return bundle.model.logits(bundle.model(Tokens(torch.tensor([row.inputs])), source))[0]


def difference(bundle: Bundle, other: Opponent, row: Row) -> float:
    """The largest of a logit, relative to the spread of ours."""
    ours = our_logits(bundle, row)
    spread = float(ours.max() - ours.min())
    return float((other.measure(row)[: len(ours)] - ours).abs().max()) / spread


class WithoutForbidden:
    """Our steps with the probabilities of that engine: those of tokens no output holds are shared out."""

    def __init__(self, steps: CachedSteps, bundle: Bundle) -> None:
        self.steps, self.special = steps, bundle.tokenizers.target.special

    def shared_out(self, log_probs: torch.Tensor) -> torch.Tensor:
        return forbid(log_probs, self.special).log_softmax(dim=-1)

    def step(self, ids: torch.Tensor) -> torch.Tensor:
        return self.shared_out(self.steps.step(ids))

    def reorder(self, rows: torch.Tensor) -> None:
        self.steps.reorder(rows)

    def keep(self, rows: torch.Tensor) -> None:
        self.steps.keep(rows)


def our_best(bundle: Bundle, row: Row, beams: int, longest: int, *, shared_out: bool = False) -> list[int]:
    """The best output that our search finds; `shared_out`: with the probabilities of that engine."""
    special = bundle.tokenizers.target.special
    sources = None if row.source is None else [row.source[:-1]]
    steps, first = ensemble_of([bundle]).begin(sources, [row.prompt[1:]], beams)
    first = first[::beams]
    if shared_out:
        first = (steps := WithoutForbidden(steps, bundle)).shared_out(first)  # type: ignore[assignment]
    config = SearchConfig(beams=beams, length_penalty=0.0)
    ids = beam_search(steps, first, Room([0], [longest]), config, special, cut_competes=True)[0][0].ids
    return ids[:-1] if ids[-1] == special.end else list(ids)
