"""The tour trains by Headway's loop, and tells what it did."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tour.learn import Training, endless, fresh, learn, parameters_of, score

from headway.batch import NO_LABEL, Batch, Tokens
from headway.data.in_memory import InMemory
from headway.data.loader import BatchConfig, Loader
from headway.data.objectives import CausalObjective, MaskedObjective
from headway.errors import RecipeError
from headway.model.config import AttentionConfig, TransformerConfig
from headway.text.special import OURS
from headway.training.settings import OptimizerConfig, ScheduleConfig, StopConfig

pytestmark = pytest.mark.slow

CONFIG = TransformerConfig(
    vocab_size=7,
    encoder_layers=0,
    decoder_layers=1,
    d_model=8,
    d_ff=8,
    dropout=0.1,
    attention=AttentionConfig(num_heads=2),
)


def batch_at(step: int, progress: float) -> Batch:
    """Each token predicts the next one in a circle."""
    ids = torch.randint(0, 7, (4, 5), generator=torch.Generator().manual_seed(step))
    return Batch(Tokens(ids), (ids + 1) % 7)


def training(steps: int, **changes: object) -> Training:
    rate = OptimizerConfig(kind="adamw", rate=1e-2)
    plain = Training(
        stop=StopConfig(steps=steps), optimizer=rate, schedule=ScheduleConfig(kind="linear", warmup=5)
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_a_seed_decides_a_model_and_its_training() -> None:
    weights = [fresh(CONFIG, seed).embedding.tokens.weight for seed in (1, 1, 2)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    losses = [learn(fresh(CONFIG, 1), batch_at, training(4, seed=seed)).losses for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2], "dropout has a seed of its own"


def test_it_learns_and_tells_of_every_step() -> None:
    model = fresh(CONFIG, 1)
    asked: list[tuple[int, float]] = []

    def noted(step: int, progress: float) -> Batch:
        asked.append((step, progress))
        return batch_at(step, progress)

    curve = learn(model, noted, training(40))
    assert [step for step, _ in asked] == list(range(1, 41))
    assert [progress for _, progress in asked] == pytest.approx([step / 40 for step in range(40)])
    assert len(curve.losses) == len(curve.norms) == curve.steps == 40
    assert curve.losses[-1] < curve.losses[0]
    assert curve.diverged == "" and curve.seconds > 0
    assert not model.training
    assert (
        score(model, [batch_at(1000, 0.0)]).accuracy
        > 0.5
        > score(fresh(CONFIG, 1), [batch_at(1000, 0.0)]).accuracy
    )


def test_looks_are_taken_when_due_and_change_nothing() -> None:
    model, seen = fresh(CONFIG, 1), []

    def look() -> dict[str, float]:
        seen.append((model.training, torch.is_grad_enabled()))
        return {"found": float(len(seen))}

    curve = learn(model, batch_at, training(7, look_every=3), look)
    assert [(each.step, each.found) for each in curve.looks] == [
        (3, {"found": 1.0}),
        (6, {"found": 2.0}),
        (7, {"found": 3.0}),
    ]
    assert set(seen) == {(False, False)}
    assert curve.losses == learn(fresh(CONFIG, 1), batch_at, training(7)).losses
    times = [each.seconds for each in curve.looks]
    assert times == sorted(times) and times[-1] == curve.seconds


def test_a_run_that_diverges_says_so_and_keeps_its_last_good_weights() -> None:
    model, kept = fresh(CONFIG, 1), []

    def poisoned(step: int, progress: float) -> Batch:
        if step == 4:
            kept.append(step)
            model.output.bias = torch.nn.Parameter(torch.full((7,), math.nan))
        return batch_at(step, progress)

    curve = learn(model, poisoned, training(50, most_skipped=3))
    assert kept == [4] and curve.steps == 6, "three good steps, then three that are left out"
    assert "3 steps in a row were left out" in curve.diverged
    assert len(curve.warnings) == 3 and "The batch of step 6" in curve.warnings[-1]
    assert all(math.isfinite(loss) for loss in curve.losses[:3])
    assert all(math.isnan(loss) for loss in curve.losses[3:])
    assert model.embedding.tokens.weight.isfinite().all()


def test_time_ends_a_run_where_no_steps_do() -> None:
    curve = learn(fresh(CONFIG, 1), batch_at, training(1, stop=StopConfig(minutes=0.2 / 60)))
    assert curve.steps > 1 and curve.moments[-1].progress == 1.0


def test_a_rate_that_falls_needs_an_end() -> None:
    with pytest.raises(RecipeError, match=r"schedule\.kind = 'linear' comes down to the stop"):
        Training(stop=StopConfig(patience=3))


def test_a_score_is_that_of_all_labels_not_of_batches() -> None:
    model = fresh(CONFIG, 1)
    one, other = batch_at(1, 0.0), batch_at(2, 0.0)
    few = Batch(other.inputs, other.labels.masked_fill(torch.arange(5) > 0, NO_LABEL))
    found = score(model, [one, few])
    model.eval()
    with torch.no_grad():
        chances = torch.cat(
            [model.logits(model(each.inputs)).log_softmax(-1)[each.labels != NO_LABEL] for each in (one, few)]
        )
    labels = torch.cat([each.labels[each.labels != NO_LABEL] for each in (one, few)])
    assert found.labels == 24
    assert found.loss == pytest.approx(float(-chances[torch.arange(24), labels].mean()))
    assert found.accuracy == pytest.approx(float((chances.argmax(-1) == labels).float().mean()))


def test_a_loader_goes_round_epoch_after_epoch() -> None:
    text = InMemory([np.array([5 + i, 6 + i]) for i in range(6)])
    loader = Loader(text, CausalObjective(OURS), BatchConfig(tokens=9, context=4), seed=1)
    batch_of = endless(loader)
    count = loader.batches(0)
    flow = [batch_of(step, 0.0) for step in range(1, 2 * count + 1)]
    for epoch in (flow[:count], flow[count:]):
        labels = torch.cat([each.labels[each.labels != NO_LABEL] for each in epoch])
        assert sorted(labels[labels > 4].tolist()) == sorted(i for ids in text.targets for i in ids.tolist())


def test_a_share_of_masks_follows_the_progress() -> None:
    text = InMemory([np.arange(5, 45)] * 4)
    objective = MaskedObjective(OURS, 50, rate=0.05, rate_end=1.0)
    batch_of = endless(Loader(text, objective, BatchConfig(tokens=42, context=42), seed=1))
    few, all_ = (int((batch_of(1, progress).labels != NO_LABEL).sum()) for progress in (0.0, 1.0))
    assert few < all_ == 40


def test_shared_parameters_count_once() -> None:
    tied, untied = (parameters_of(fresh(replace(CONFIG, tie_output=tie), 1)) for tie in (True, False))
    assert untied - tied == 7 * 8
