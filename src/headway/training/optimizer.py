"""Adam and AdamW (Paper §5.3)."""

import torch
from torch import nn

from headway.training.settings import OptimizerConfig


def build_optimizer(model: nn.Module, config: OptimizerConfig, rate: float) -> torch.optim.Optimizer:
    """The optimizer, fused where torch has it for the device; matrices alone decay.

    Each group remembers the names of its parameters, in order, so that its state can be kept by name.
    """
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    named = list(model.named_parameters())
    decayed = [name for name, p in named if p.ndim > 1 and id(p) not in embeddings]
    spared = [name for name, p in named if name not in set(decayed)]
    by_name = dict(named)
    groups = [
        {"params": [by_name[name] for name in names], "names": names, "weight_decay": weight_decay}
        for names, weight_decay in ((decayed, config.weight_decay), (spared, 0.0))
        if names
    ]
    fused = named[0][1].device.type in ("cpu", "cuda", "mps")
    kind = torch.optim.AdamW if config.kind == "adamw" else torch.optim.Adam
    return kind(groups, lr=rate, betas=(config.beta1, config.beta2), eps=config.epsilon, fused=fused)
