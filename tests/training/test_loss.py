"""The loss is its formula, computed where there are labels and nowhere else."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from headway.batch import NO_LABEL, Batch
from headway.model.architectures import Transformer
from headway.training import loss as loss_module
from headway.training.loss import token_loss
from headway.training.settings import LossConfig

from .toys import VOCABULARY, random_batch, tiny_model


def by_hand(model: Transformer, batch: Batch, smoothing: float) -> tuple[float, int, int]:
    """-Σ_v target(v) · log p(v), label by label (Paper §5.4: 1 - ε to the label, ε spread over all)."""
    total, labels, correct = 0.0, 0, 0
    log_probs = model.logits(model(batch.inputs, batch.source)).double().log_softmax(-1)
    for row, column in (batch.labels != NO_LABEL).nonzero().tolist():
        here, right = log_probs[row, column], int(batch.labels[row, column])
        target = torch.full((VOCABULARY,), smoothing / VOCABULARY, dtype=torch.float64)
        target[right] += 1 - smoothing
        total -= float((target * here).sum().detach())
        labels += 1
        correct += int(here.argmax() == right)
    return total, labels, correct


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_loss_is_its_formula(smoothing: float) -> None:
    model, batch = tiny_model(), random_batch(0, rows=8)
    total, labels, correct = by_hand(model, batch, smoothing)
    loss = token_loss(model, batch, LossConfig(smoothing))
    assert float(loss.total.detach()) == pytest.approx(total, rel=1e-5)
    assert int(loss.labels) == labels < batch.labels.numel()
    assert int(loss.correct) == correct


def test_a_sure_prediction_is_counted_as_right() -> None:
    model, batch = tiny_model(), random_batch(0)
    best = model.logits(model(batch.inputs)).argmax(-1)
    right = Batch(batch.inputs, best.masked_fill(batch.labels == NO_LABEL, NO_LABEL))
    loss = token_loss(model, right)
    assert int(loss.correct) == int(loss.labels)


def test_r_drop_is_its_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of both predictions' losses and α/4 of both divergences: half of Liang et al. 2021, eq. 3."""
    batch = random_batch(0, rows=8)
    model, config = tiny_model(dropout=0.3).train(), LossConfig(0.1, r_drop=3.0)
    torch.manual_seed(7)
    found = token_loss(model, batch, config)
    torch.manual_seed(7)
    labelled = batch.labels != NO_LABEL
    hidden = model(batch.twice().inputs).chunk(2)
    one, other = (model.logits(each[labelled]).double().log_softmax(-1) for each in hidden)
    right = batch.labels[labelled]
    losses = sum(F.cross_entropy(each, right, reduction="sum", label_smoothing=0.1) for each in (one, other))
    differences = F.kl_div(one, other, reduction="sum", log_target=True)
    differences = differences + F.kl_div(other, one, reduction="sum", log_target=True)
    assert float(differences.detach()) > 0.01, "dropout differs"
    expected = losses / 2 + 3.0 / 4 * differences
    torch.testing.assert_close(found.total.double(), expected, rtol=1e-5, atol=0)
    assert int(found.labels) == int(labelled.sum())
    wanted = torch.autograd.grad(expected, model.output.weight, retain_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(found.total, model.output.weight)[0], wanted)
    monkeypatch.setattr(loss_module, "LOGITS_AT_ONCE", dict.fromkeys(loss_module.LOGITS_AT_ONCE, 1))
    torch.manual_seed(7)
    torch.testing.assert_close(token_loss(model, batch, config).total, found.total)


def gradients(model: Transformer, batch: Batch) -> tuple[Tensor, Tensor]:
    model.zero_grad()
    total = token_loss(model, batch, LossConfig(0.1)).total
    total.backward()
    return total.detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = tiny_model(), random_batch(0, rows=8)
    total, gradient = gradients(model, batch)
    projected: list[int] = []
    project = model.logits
    monkeypatch.setattr(model, "logits", lambda some: projected.append(len(some)) or project(some))
    monkeypatch.setattr(loss_module, "LOGITS_AT_ONCE", {"cpu": 7 * VOCABULARY})
    in_chunks, gradient_in_chunks = gradients(model, batch)
    labels = int((batch.labels != NO_LABEL).sum())
    assert max(projected) == 7
    assert sum(projected) == labels, "no logits but those of labels are computed"
    torch.testing.assert_close(in_chunks, total, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient_in_chunks, gradient, rtol=1e-4, atol=1e-6)


def test_the_gradient_is_that_of_the_formula() -> None:
    model, batch = tiny_model(), random_batch(0, rows=8)
    _, gradient = gradients(model, batch)
    model.zero_grad()
    wanted = batch.labels != NO_LABEL
    logits = model.logits(model(batch.inputs, batch.source))[wanted]
    F.cross_entropy(logits, batch.labels[wanted], reduction="sum", label_smoothing=0.1).backward()
    plain = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    torch.testing.assert_close(gradient, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("learns", ["trunk", "head", "both"])
def test_what_is_frozen_gets_no_gradient(learns: str) -> None:
    model, batch = tiny_model(tie=False), random_batch(0)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(learns == "both" or (learns == "head") == name.startswith("output"))
    token_loss(model, batch, LossConfig(0.1)).total.backward()
    for parameter in model.parameters():
        assert (parameter.grad is not None) == parameter.requires_grad


def test_no_gradient_is_made_where_none_is_wanted() -> None:
    model, batch = tiny_model(), random_batch(0)
    with torch.no_grad():
        loss = token_loss(model, batch, LossConfig(0.1))
    assert not loss.total.requires_grad
    torch.testing.assert_close(loss.total, token_loss(model, batch, LossConfig(0.1)).total.detach())


def test_nothing_to_predict_costs_nothing() -> None:
    batch = random_batch(0)
    loss = token_loss(
        tiny_model(), Batch(batch.inputs, torch.full_like(batch.labels, NO_LABEL)), LossConfig(0.1)
    )
    assert (float(loss.total.detach()), int(loss.labels), int(loss.correct)) == (0.0, 0, 0)
