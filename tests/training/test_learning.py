"""Each model learns a small task that needs what it is for, and fails without it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import jaxtyping
import pytest
import torch
from torch import Tensor

from headway.batch import NO_LABEL, Batch, Tokens
from headway.config import from_table
from headway.model.architectures import Transformer, build
from headway.model.config import TransformerConfig
from headway.training.interrupt import Interruption
from headway.training.loop import Plan, Validation, train
from headway.training.loss import token_loss
from headway.training.optimizer import build_optimizer
from headway.training.settings import OptimizerConfig, ScheduleConfig, StopConfig, TrainingConfig
from headway.training.state import TrainState

from .toys import Recorder

SYMBOLS = 8
BEGIN, BLANK = SYMBOLS, SYMBOLS + 1
VOCABULARY = SYMBOLS + 2
CHANCE = 1 / SYMBOLS


def config_of(**fields: object) -> TransformerConfig:
    tables = {"attention": {"num_heads": 4}, "norm": {"position": "pre"}, **fields}
    base = {"vocab_size": VOCABULARY, "d_model": 32, "d_ff": 64, "dropout": 0.0}
    return from_table(TransformerConfig, {**base, **tables})


@pytest.fixture(autouse=True)
def shapes_unchecked() -> Iterator[None]:
    """Thousands of passes of shapes that the laws of the models check."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@dataclass(frozen=True)
class Fresh:
    """A new batch for every step."""

    make: Callable[[torch.Generator], Batch]
    steps: int

    def batches(self, epoch: int) -> int:
        return self.steps

    def epoch(
        self, number: int, start: int = 0, progress: Callable[[int], float] | None = None
    ) -> Iterator[list[Batch]]:
        for index in range(start, self.steps):
            yield [self.make(torch.Generator().manual_seed(1 + index))]


def accuracy_after(steps: int, model: Transformer, make: Callable[[torch.Generator], Batch]) -> float:
    """The share of labels predicted right in texts never seen, after so many steps."""
    plan = Plan(
        training=TrainingConfig(label_smoothing=0.0, validate_every=10**6, save_every=10**6),
        optimizer=OptimizerConfig(),
        schedule=ScheduleConfig(kind="linear", warmup=20),
        stop=StopConfig(steps=steps),
        peak_rate=5e-3,
        precision="float32",
    )
    state = TrainState(model, build_optimizer(model, plan.optimizer, plan.peak_rate))
    found: dict[str, float] = {}

    @torch.no_grad()
    def validate(state: TrainState) -> Validation:
        loss = token_loss(state.model.eval(), make(torch.Generator().manual_seed(0)))
        found["accuracy"] = int(loss.correct) / int(loss.labels)
        return Validation({"loss": float(loss.total)})

    train(state, Fresh(make, steps), plan, validate, lambda state: None, Recorder(), Interruption())
    return found["accuracy"]


def symbols(generator: torch.Generator, rows: int, length: int) -> Tensor:
    return torch.randint(0, SYMBOLS, (rows, length), generator=generator)


def reversed_pairs(generator: torch.Generator) -> Batch:
    """y is x from its end to its start."""
    x = symbols(generator, 32, 5)
    y = x.flip(1)
    begin = torch.full((32, 1), BEGIN)
    return Batch(Tokens(torch.cat((begin, y[:, :-1]), dim=1)), y, Tokens(x))


def test_an_encoder_decoder_learns_to_reverse() -> None:
    config = config_of(encoder_layers=1, decoder_layers=1)

    def blindfolded(generator: torch.Generator) -> Batch:
        """The same with a source that says nothing."""
        batch = reversed_pairs(generator)
        assert batch.source is not None
        return replace(batch, source=Tokens(torch.full_like(batch.source.ids, BLANK)))

    assert accuracy_after(230, build(config), reversed_pairs) > 0.95
    assert accuracy_after(230, build(config), blindfolded) < CHANCE + 0.1


FAR = 10
"""Tokens between the one that decides and the blank."""


def far_blanks(generator: torch.Generator) -> Batch:
    """The blank at the end holds what the first token is; all between is noise of the same symbols."""
    ids = symbols(generator, 64, FAR + 2)
    labels = torch.full_like(ids, NO_LABEL)
    labels[:, -1] = ids[:, 0]
    ids[:, -1] = BLANK
    return Batch(Tokens(ids, torch.ones_like(ids)), labels)


def test_a_masked_model_fills_a_blank_that_far_context_decides() -> None:
    config = config_of(encoder_layers=1, decoder_layers=0)

    def near_context_alone(generator: torch.Generator) -> Batch:
        """The same with attention that ends halfway: the first half is another document."""
        batch = far_blanks(generator)
        segments = torch.ones_like(batch.inputs.ids)
        segments[:, FAR // 2 :] = 2
        return replace(batch, inputs=Tokens(batch.inputs.ids, segments))

    assert accuracy_after(130, build(config), far_blanks) > 0.95
    assert accuracy_after(130, build(config), near_context_alone) < CHANCE + 0.15

    without_places = build(config)
    without_places.embedding.positions = None
    assert accuracy_after(130, without_places, far_blanks) < 0.4, "which token is the first, no one can tell"


PERIOD = 5


def periodic(generator: torch.Generator) -> Batch:
    """A pattern of five random symbols again and again; labels from where it is known on."""
    ids = symbols(generator, 32, PERIOD).repeat(1, 4)
    inputs, labels = ids[:, :-1].clone(), ids[:, 1:].clone()
    labels[:, : PERIOD - 1] = NO_LABEL
    return Batch(Tokens(inputs, torch.ones_like(inputs)), labels)


def test_a_causal_model_continues_a_pattern() -> None:
    config = config_of(
        encoder_layers=0,
        decoder_layers=1,
        norm={"kind": "rms", "position": "pre"},
        positions={"kind": "rotary"},
    )

    def in_pieces(generator: torch.Generator) -> Batch:
        """The same in documents of three tokens, which never reach back a period."""
        batch = periodic(generator)
        pieces = 1 + torch.arange(batch.inputs.ids.shape[1]) // 3
        return replace(
            batch, inputs=Tokens(batch.inputs.ids, pieces.expand_as(batch.inputs.ids).contiguous())
        )

    assert accuracy_after(160, build(config), periodic) > 0.95
    assert accuracy_after(160, build(config), in_pieces) < CHANCE + 0.15
