"""One step: exact over micro-batches, clipped as told, left out where the gradient is not finite."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from headway.batch import NO_LABEL, Batch, Tokens
from headway.model.architectures import Transformer
from headway.training import step as step_module
from headway.training.loss import TokenLoss
from headway.training.optimizer import build_optimizer
from headway.training.settings import LossConfig, OptimizerConfig
from headway.training.state import TrainState
from headway.training.step import StepReport, train_step

from .toys import assert_same, everything, new_state, plan_of, random_batch, tiny_model


def plain_state() -> TrainState:
    """Plain gradient descent at rate 1: the update is the gradient."""
    torch.manual_seed(0)
    model = tiny_model()
    return TrainState(model, torch.optim.SGD(model.parameters(), lr=0.0))


def step(state: TrainState, batches: list[Batch], clip: float = 0.0, rate: float = 1.0) -> StepReport:
    return train_step(state, batches, rate, loss=LossConfig(0.1), clip=clip, precision="float32")


def rows(batch: Batch, first: int, last: int) -> Batch:
    return Batch(Tokens(batch.inputs.ids[first:last]), batch.labels[first:last])


def test_micro_batches_are_one_batch() -> None:
    """Although their numbers of labels differ, which a mean of means would get wrong."""
    batch = random_batch(0, rows=9)
    batch.labels[5:, 1:] = NO_LABEL
    whole, parts = plain_state(), plain_state()
    one = step(whole, [batch])
    several = step(parts, [rows(batch, 0, 5), rows(batch, 5, 8), rows(batch, 8, 9)])
    assert several.labels == one.labels
    assert several.accuracy == one.accuracy
    assert several.loss == pytest.approx(one.loss, rel=1e-5)
    assert several.norm == pytest.approx(one.norm, rel=1e-5)
    for (name, p), q in zip(whole.model.named_parameters(), parts.model.parameters(), strict=True):
        assert p.grad is not None
        assert q.grad is not None
        torch.testing.assert_close(q.grad, p.grad, rtol=1e-4, atol=1e-7, msg=name)


def test_the_gradient_is_that_of_the_mean_loss() -> None:
    state, batch = plain_state(), random_batch(1)
    before = everything_of(state.model)
    report = step(state, [batch], rate=0.5)
    fresh = plain_state().model
    logits = fresh.logits(fresh(batch.inputs))
    loss = nn.functional.cross_entropy(
        logits.flatten(0, 1), batch.labels.flatten(), ignore_index=NO_LABEL, label_smoothing=0.1
    )
    loss.backward()
    assert report.loss == pytest.approx(float(loss.detach()), rel=1e-5)
    for name, parameter in fresh.named_parameters():
        assert parameter.grad is not None
        moved = (before[name] - state.model.get_parameter(name).detach()) / 0.5
        torch.testing.assert_close(moved, parameter.grad, rtol=1e-3, atol=1e-6)


def everything_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def test_a_large_gradient_is_clipped_and_said() -> None:
    batch, free = random_batch(2), plain_state()
    norm = step(free, [batch]).norm
    total = math.sqrt(
        sum(float(p.grad.square().sum()) for p in free.model.parameters() if p.grad is not None)
    )
    assert norm == pytest.approx(total, rel=1e-4)

    clipped, before = plain_state(), everything_of(plain_state().model)
    report = step(clipped, [batch], clip=norm / 4)
    assert report.clipped
    assert report.norm == pytest.approx(norm, rel=1e-5), "the norm is told as it was"
    after = everything_of(clipped.model)
    length = math.sqrt(sum(float((before[name] - after[name]).square().sum()) for name in before))
    assert length == pytest.approx(norm / 4, rel=1e-3)


@pytest.mark.parametrize("clip", [0.0, 1e6])
def test_a_small_gradient_is_left_alone(clip: float) -> None:
    free, other, batch = plain_state(), plain_state(), random_batch(2)
    step(free, [batch])
    report = step(other, [batch], clip=clip)
    assert not report.clipped
    assert_same(everything_of(free.model), everything_of(other.model))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_gradient_that_is_not_finite_changes_nothing(value: float, clip: float) -> None:
    state = new_state(plan_of())
    step(state, [random_batch(0)], rate=0.01)
    before = everything(state)
    weight = state.model.get_parameter("embedding.tokens.weight")
    hook = weight.register_hook(lambda gradient: gradient.clone().index_fill_(0, torch.tensor([3]), value))
    report = step(state, [random_batch(1)], clip, rate=0.01)
    assert not report.updated
    assert_same(everything(state), before)
    hook.remove()
    assert step(state, [random_batch(1)], clip, rate=0.01).updated, "the next step is as any other"
    assert not torch.equal(weight.detach(), before["embedding.tokens.weight"])


def test_a_batch_without_memory_is_computed_in_parts_and_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here there is memory for two rows and no more."""
    batch = random_batch(0, rows=7)
    expected, state = plain_state(), plain_state()
    whole = step(expected, [batch])
    real = step_module.token_loss

    def small(model: Transformer, batch: Batch, *more: Any) -> TokenLoss:
        if len(batch.labels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(model, batch, *more)

    monkeypatch.setattr(step_module, "token_loss", small)
    found = step(state, [batch])
    assert found.parts == 4
    assert found.labels == whole.labels
    assert found.loss == pytest.approx(whole.loss, rel=1e-6)
    for ours, theirs in zip(state.model.parameters(), expected.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_what_is_no_want_of_memory_and_a_row_too_large_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (RuntimeError("shapes differ"), torch.OutOfMemoryError("CUDA out of memory")):

        def fail(*_: Any, error: RuntimeError = error) -> TokenLoss:
            raise error

        monkeypatch.setattr(step_module, "token_loss", fail)
        with pytest.raises(RuntimeError, match=str(error)):
            step(plain_state(), [random_batch(0, rows=3)])


def test_the_rate_is_the_one_given() -> None:
    torch.manual_seed(0)
    model = tiny_model()
    config = OptimizerConfig(kind="adamw", weight_decay=0.1)
    state = TrainState(model, build_optimizer(model, config, 1.0))
    step(state, [random_batch(0)], rate=0.125)
    assert [group["lr"] for group in state.optimizer.param_groups] == [0.125, 0.125]


def test_dropout_is_on() -> None:
    plan = plan_of()
    one, other = new_state(plan, dropout=0.5), new_state(plan, dropout=0.5)
    one.model.eval()
    torch.manual_seed(1)
    first = step(one, [random_batch(0)]).loss
    torch.manual_seed(2)
    assert step(other, [random_batch(0)]).loss != first


def test_bfloat16_learns_the_same_roughly() -> None:
    exact, rough = plain_state(), plain_state()
    expected = step(exact, [random_batch(3)])
    found = train_step(rough, [random_batch(3)], 1.0, loss=LossConfig(0.1), clip=0.0, precision="bfloat16")
    assert found.updated
    assert found.loss == pytest.approx(expected.loss, rel=0.02)
    assert found.norm == pytest.approx(expected.norm, rel=0.1)
    assert all(parameter.dtype == torch.float32 for parameter in rough.model.parameters())
