"""Adam and AdamW (Paper §5.3), and Muon."""

import torch
from torch import nn

from headway.training.muon import Muon
from headway.training.settings import OptimizerConfig

KINDS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "muon": Muon}


def build_optimizer(model: nn.Module, config: OptimizerConfig, rate: float) -> torch.optim.Optimizer:
    """The optimizer, fused where torch has it for the device; matrices alone decay. Frozen parameters stay.

    Each group remembers the names of its parameters, in order, so that its state can be kept by name.
    """
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    matrices = [name for name, p in named.items() if p.ndim > 1 and id(p) not in embeddings]
    orthogonal = [name for name in matrices if config.kind == "muon" and ".layers." in name]
    decayed = [name for name in matrices if name not in set(orthogonal)]
    spared = [name for name in named if name not in set(matrices)]
    groups = [
        {"params": [named[name] for name in names], "names": names, **settings}
        for names, settings in (
            (orthogonal, {"weight_decay": config.weight_decay, "orthogonal": True}),
            (decayed, {"weight_decay": config.weight_decay}),
            (spared, {"weight_decay": 0.0}),
        )
        if names
    ]
    fused = next(iter(named.values())).device.type in ("cpu", "cuda", "mps")
    betas = (config.beta1, config.beta2)
    return KINDS[config.kind](groups, lr=rate, betas=betas, eps=config.epsilon, fused=fused)
