"""How much memory a training will take: measured on a model without numbers, before there is one."""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from headway.batch import Tokens
from headway.model.architectures import EncoderDecoder, Transformer, build
from headway.model.config import TransformerConfig
from headway.training.loss import LOGITS_AT_ONCE

PROGRAM = 370 * 2**20
"""Bytes of the interpreter with torch and what else a run imports, on the CPU."""
COPIES = 4
"""Of each weight: itself, its gradient, and two moments of Adam."""
WORKING_SHARE = 2.0
"""What a step takes at its peak for each byte that it keeps for the backward pass: temporaries, gradients of
activations, and what the allocator leaves between them; measured by `benchmarks/memory.py`."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes at the peak of training in float32, without the text, which is read from disk as it is needed."""

    weights: int
    """With gradients and the optimizer's memory."""
    activations: int

    @property
    def total(self) -> int:
        return PROGRAM + self.weights + self.activations


def estimate_memory(
    config: TransformerConfig, tokens: int, width: int, labelled: float = 1.0, *, recompute: bool = False
) -> MemoryEstimate:
    """Of a batch of so many tokens on the longer side in rows of `width`, of which a share is predicted."""
    some = replace(config, dropout=0.1 if config.dropout else 0.0)  # how much is dropped takes no memory
    return _estimate(some, max(1, tokens // width), width, labelled, recompute)


@lru_cache  # plans ask for the same several times, and it takes half a second
def _estimate(
    config: TransformerConfig, rows: int, width: int, labelled: float, recompute: bool
) -> MemoryEstimate:
    with torch.device("meta"):
        model = build(config)
        ids = torch.zeros(rows, width, dtype=torch.long)
        if recompute:  # what goes into each layer is kept, and what one layer keeps at a time
            layers = config.encoder_layers + config.decoder_layers
            shallow = {name: min(1, getattr(config, name)) for name in ("encoder_layers", "decoder_layers")}
            kept = _kept_for_backward(build(replace(config, **shallow)), Tokens(ids))
            kept += layers * rows * width * config.d_model * 4
        else:
            kept = _kept_for_backward(model, Tokens(ids))
    kept += _logits(rows * width * labelled, config)
    weights = sum(p.numel() for p in model.parameters()) * 4
    return MemoryEstimate(COPIES * weights, round(WORKING_SHARE * kept))


def _logits(predicted: float, config: TransformerConfig) -> int:
    """Bytes of the logits that are computed at once."""
    return round(min(predicted * config.vocab_size, LOGITS_AT_ONCE["cpu"])) * 4


def _kept_for_backward(model: Transformer, tokens: Tokens) -> int:
    """Bytes of all tensors that a pass keeps for its gradient, weights left out."""
    storages: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(tokens, tokens if isinstance(model, EncoderDecoder) else None)
    own = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    return sum(t.untyped_storage().nbytes() for key, t in storages.items() if key not in own)
