"""The estimate counts what autograd really keeps, and grows as it must."""

import pytest
import torch

from headway.batch import Tokens
from headway.model.architectures import EncoderDecoder, build
from headway.model.config import TransformerConfig
from headway.training.memory import COPIES, WORKING_SHARE, estimate_memory

SIZES = {"vocab_size": 50, "d_model": 32, "d_ff": 64, "dropout": 0.1}


@pytest.mark.parametrize("layers", [(2, 0), (0, 2), (1, 1)])
def test_it_is_about_what_a_real_pass_keeps(layers: tuple[int, int]) -> None:
    config = TransformerConfig(encoder_layers=layers[0], decoder_layers=layers[1], **SIZES)
    model, ids = build(config), torch.zeros(6, 10, dtype=torch.long)
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(Tokens(ids), Tokens(ids) if isinstance(model, EncoderDecoder) else None)
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    real = sum(tensor.untyped_storage().nbytes() for key, tensor in kept.items() if key not in own)
    found = estimate_memory(config, tokens=60, width=10)
    assert found.weights == COPIES * 4 * sum(p.numel() for p in model.parameters())
    assert found.activations / WORKING_SHARE - 60 * 50 * 4 == pytest.approx(real, rel=0.25)


def test_it_grows_with_the_batch_and_the_model() -> None:
    config = TransformerConfig(**SIZES)
    small, large = (estimate_memory(config, tokens, 10) for tokens in (100, 1000))
    assert large.activations == pytest.approx(10 * small.activations, rel=0.05)
    assert large.weights == small.weights
    deeper = estimate_memory(TransformerConfig(**SIZES | {"d_ff": 128}), 100, 10)
    assert deeper.weights > small.weights
    assert deeper.total > small.total
