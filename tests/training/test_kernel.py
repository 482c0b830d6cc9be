"""Training computes layers as was asked for, else as is faster here; the gradient is the same."""

from dataclasses import replace

import pytest
import torch

from headway.batch import Tokens
from headway.model.architectures import build
from headway.model.backends import matmul, sdpa
from headway.model.config import AttentionConfig, TransformerConfig
from headway.model.stack import Stack
from headway.training import kernel
from headway.training.kernel import choose_kernel, recompute_layers, use_kernel
from headway.training.loss import token_loss
from headway.training.settings import LossConfig

from .toys import VOCABULARY, random_batch, tiny_model

CPU = torch.device("cpu")
CONFIG = TransformerConfig(
    vocab_size=VOCABULARY, d_model=16, d_ff=32, dropout=0.3, attention=AttentionConfig(num_heads=2)
)


def test_what_is_asked_for_is_used() -> None:
    assert choose_kernel("matmul", CPU, "float32") == "matmul"
    assert choose_kernel("sdpa", CPU, "bfloat16") == "sdpa"
    assert choose_kernel("auto", torch.device("cuda"), "bfloat16") == "sdpa"


def test_the_faster_one_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for speedup, chosen in ((1.6, "matmul"), (1.1, "sdpa"), (0.5, "sdpa")):
        monkeypatch.setattr(kernel, "measured_once", lambda *_, speedup=speedup: speedup)
        assert choose_kernel("auto", CPU, "bfloat16") == chosen


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_both_are_measured_forward_and_backward(precision: kernel.Precision) -> None:
    assert kernel._speedup_of_matmul(precision) > 0


def test_every_stack_uses_it() -> None:
    model = tiny_model()
    for name, backend in (("matmul", matmul), ("sdpa", sdpa)):
        use_kernel(model, name)
        stacks = [module for module in model.modules() if isinstance(module, Stack)]
        assert stacks
        assert all(stack.backend is backend for stack in stacks)


@pytest.mark.parametrize("layers", [(3, 0), (0, 3), (2, 2)])
def test_recomputing_changes_no_gradient_and_keeps_less(layers: tuple[int, int]) -> None:
    """With dropout, whose draws must be the same the second time."""
    plain = random_batch(0, rows=8)
    batch = replace(plain, source=Tokens(plain.inputs.ids.flip(0)) if all(layers) else None)
    found = []
    for recompute in (False, True):
        torch.manual_seed(0)
        model = build(replace(CONFIG, encoder_layers=layers[0], decoder_layers=layers[1])).train()
        if recompute:
            recompute_layers(model)
        kept: list[int] = []

        def pack(tensor: torch.Tensor, kept: list[int] = kept) -> torch.Tensor:
            kept.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            total = token_loss(model, batch, LossConfig(0.1)).total
        total.backward()
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        found.append((sum(kept), torch.cat([each.flatten() for each in gradients])))
    (whole, expected), (less, gradient) = found
    assert torch.equal(gradient, expected)
    assert less < whole / 3
