"""Adam and AdamW (Paper §5.3), and Muon."""

from collections import defaultdict

import torch
from torch import nn

from headway.model.attention import Attention
from headway.training.muon import Muon
from headway.training.settings import OptimizerConfig

KINDS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "muon": Muon}


def build_optimizer(model: nn.Module, config: OptimizerConfig, rate: float) -> torch.optim.Optimizer:
    """The optimizer, fused where torch has it for the device; matrices alone decay. Frozen parameters stay.

    Each group remembers the names of its parameters, in order, so that its state can be kept by name.
    """
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    heads = _heads(model)
    of_settings: dict[tuple[float, tuple[int, int] | None], list[str]] = defaultdict(list)
    for name, parameter in named.items():
        is_matrix = parameter.ndim > 1 and id(parameter) not in embeddings
        orthogonal = is_matrix and config.kind == "muon" and ".layers." in name
        decay = config.weight_decay if is_matrix else 0.0
        of_settings[decay, heads.get(name, (1, 1)) if orthogonal else None].append(name)
    groups = [
        {"params": [named[name] for name in names], "names": names, "weight_decay": decay, "blocks": blocks}
        for (decay, blocks), names in of_settings.items()
    ]
    fused = next(iter(named.values())).device.type in ("cpu", "cuda", "mps")
    betas = (config.beta1, config.beta2)
    return KINDS[config.kind](groups, lr=rate, betas=betas, eps=config.epsilon, fused=fused)


def _heads(model: nn.Module) -> dict[str, tuple[int, int]]:
    """The weights of attention that hold a matrix for each head: how many one below the other, and side by
    side.
    """
    found: dict[str, tuple[int, int]] = {}
    for name, module in model.named_modules():
        if isinstance(module, Attention):
            found[f"{name}.query.weight"] = (module.num_heads, 1)
            found[f"{name}.key.weight"] = found[f"{name}.value.weight"] = (module.num_kv_heads, 1)
            found[f"{name}.output.weight"] = (1, module.num_heads)
    return found
