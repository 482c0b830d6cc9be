"""Adam and AdamW (Paper §5.3), and Muon."""

from collections import defaultdict

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
    of_settings: dict[tuple[float, bool], list[str]] = defaultdict(list)
    for name, parameter in named.items():
        is_matrix = parameter.ndim > 1 and id(parameter) not in embeddings
        orthogonal = is_matrix and config.kind == "muon" and ".layers." in name
        decay = config.weight_decay if is_matrix else 0.0
        of_settings[decay, orthogonal].append(name)
    groups = [
        {
            "params": [named[name] for name in names],
            "names": names,
            "weight_decay": decay,
            "orthogonal": orthogonal,
        }
        for (decay, orthogonal), names in of_settings.items()
    ]
    fused = next(iter(named.values())).device.type in ("cpu", "cuda", "mps")
    betas = (config.beta1, config.beta2)
    return KINDS[config.kind](groups, lr=rate, betas=betas, eps=config.epsilon, fused=fused)
