"""What is measured inside a model: heads that do nothing, and how far a step goes."""

import statistics
from typing import Any

import numpy as np
import pytest
import torch

from headway.config import from_table
from headway.data.in_memory import InMemory
from headway.data.objectives import CausalObjective, PairsObjective
from headway.diagnosis.heads import Heads, judge_heads, look_at_heads
from headway.diagnosis.update_size import update_size
from headway.model.architectures import build
from headway.model.attention import Attention
from headway.model.config import AttentionConfig, TransformerConfig
from headway.text.special import SpecialIds
from headway.training.loss import token_loss
from headway.training.optimizer import build_optimizer
from headway.training.settings import OptimizerConfig
from tests.training.toys import VOCABULARY, random_batch, tiny_model

TEXT = InMemory([np.arange(5, 5 + n) for n in (6, 5, 4, 1)], [np.arange(5, 5 + n) for n in (5, 6, 1, 2)])
EIGHT = AttentionConfig(num_heads=2)


def pairs_model(encoder_layers: int = 1) -> Any:
    return build(
        TransformerConfig(
            vocab_size=VOCABULARY,
            encoder_layers=encoder_layers,
            decoder_layers=2,
            d_model=8,
            d_ff=8,
            dropout=0.5,
            attention=EIGHT,
        )
    )


def test_heads_without_queries_look_at_all_alike() -> None:
    model = pairs_model()
    objective = PairsObjective(SpecialIds(), SpecialIds())
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, Attention):
                module.query.weight *= 10
        memory = model.decoder.layers[1].memory_attention
        memory.query.weight[:4] = 0.0
    assert look_at_heads(model, objective, TEXT) == Heads(10, ["decoder.1.memory.0"], [])
    assert look_at_heads(model, objective, TEXT) == look_at_heads(model, objective, TEXT), "no dropout"


def test_causal_heads_are_judged_by_what_they_may_see() -> None:
    model = tiny_model()
    torch.nn.init.zeros_(model.decoder.layers[0].self_attention.query.weight)  # type: ignore[union-attr]
    heads = look_at_heads(model, CausalObjective(SpecialIds()), TEXT)
    assert heads == Heads(2, ["decoder.0.self.0", "decoder.0.self.1"], [])
    assert heads.dead == heads.count


def test_a_head_that_always_looks_at_the_first_or_the_last_token_is_fixed() -> None:
    def looking(at: int, keys: int) -> torch.Tensor:
        weights = torch.full((5, keys), 1e-4)
        weights[:, at] = 1 - 1e-4 * (keys - 1)
        return weights

    texts = [
        torch.stack([looking(0, keys), looking(-1, keys), looking(at, keys), torch.eye(5, keys) + 1e-9])
        for keys, at in ((6, 1), (8, 5))
    ]
    found = judge_heads({"encoder.0.self": texts})
    assert found == Heads(4, [], ["encoder.0.self.0", "encoder.0.self.1"]), "the others look elsewhere"
    assert judge_heads({}) is None


@pytest.mark.parametrize("kind", ["adam", "adamw", "muon"])
def test_the_size_of_an_update_is_what_a_step_changes(kind: str) -> None:
    """Muon's directions have singular values between 0.72 and 1.28."""
    model, rate = tiny_model(), 0.01
    optimizer = build_optimizer(model, from_table(OptimizerConfig, {"kind": kind}), rate)
    assert update_size(optimizer, rate) is None, "before the first step"
    for seed in range(3):
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        optimizer.zero_grad()
        token_loss(model, random_batch(seed)).total.backward()
        optimizer.step()
    matrices = {name: p.detach() for name, p in model.named_parameters() if p.ndim > 1}
    sizes = [float((p - before[name]).norm() / p.norm()) for name, p in matrices.items()]
    exactness = 0.35 if kind == "muon" else 1e-3
    assert update_size(optimizer, rate) == pytest.approx(statistics.median(sizes), rel=exactness)
    assert update_size(optimizer, 2 * rate) == pytest.approx(2 * statistics.median(sizes), rel=exactness)
