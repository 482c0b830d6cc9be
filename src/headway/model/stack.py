"""N equal layers (Paper §3.1). Axes: B rows, T positions, S memory positions, D d_model."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from headway.model.attention import KeyValues
from headway.model.backends import Backend, sdpa
from headway.model.bias import score_bias
from headway.model.cache import Cache, SharedAttend, empty_key_values
from headway.model.config import TransformerConfig
from headway.model.layer import Layer
from headway.model.mask import AttentionMask
from headway.model.norm import build_norm
from headway.model.positions import Positions, RotaryPositions, Rotation


class Stack(nn.Module):
    """An encoder or a decoder. The masks meet the kernel here, once per pass; layers never see a mask."""

    def __init__(self, config: TransformerConfig, num_layers: int, *, sees_memory: bool = False) -> None:
        super().__init__()
        self.config = config
        layers = [Layer(config, sees_memory=sees_memory) for _ in range(num_layers)]
        self.layers: Sequence[Layer] = nn.ModuleList(layers)  # type: ignore[assignment]
        if not config.norm.first:
            layers[0].self_residual.norm = nn.Identity()
        self.norm = build_norm(config) if config.norm.position == "pre" else nn.Identity()
        self.windows = [config.window_of(layer) for layer in range(num_layers)]
        self.relative = score_bias(config)
        positions, rotary = config.positions, config.positions.kind == "rotary"
        self.rotary = RotaryPositions(config.d_key, positions.base) if rotary else None
        local = positions.local_base
        self.local_rotary = self.rotary if local is None else RotaryPositions(config.d_key, local)
        self.backend: Backend = sdpa

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        positions: Positions,
        mask: AttentionMask,
        memory: list[KeyValues] | None = None,
        memory_mask: AttentionMask | None = None,
        cache: Cache | None = None,
    ) -> Float[Tensor, "B T D"]:
        length = x.shape[1]
        keys = length + (cache.bound if cache else 0)
        bias = None if self.relative is None else self.relative(mask, length, keys, x.device)
        attend = {
            window: self.backend(replace(mask, window=window), bias, length, keys, x.device)
            for window in set(self.windows)
        }
        rotation = {window: self.rotation(window, positions) for window in attend}
        attend_memory = None
        if memory:
            assert memory_mask is not None
            copies = cache.copies if cache else 1
            attend_memory = self.backend(memory_mask, None, copies * length, memory[0].k.shape[2], x.device)
            if copies > 1:
                attend_memory = SharedAttend(attend_memory, copies)
        for i, (layer, window) in enumerate(zip(self.layers, self.windows, strict=True)):
            remember = partial(cache.remember, i) if cache else None
            seen = memory[i] if memory else None
            x = layer(x, attend[window], rotation[window], remember, seen, attend_memory)
        return self.norm(x)

    def rotation(self, window: int | None, positions: Positions) -> Rotation | None:
        """How layers of this window turn queries and keys, if they do."""
        rotary = self.rotary if window is None else self.local_rotary
        return None if rotary is None else rotary.rotation(positions)

    def memory(self, encoded: Float[Tensor, "B S D"]) -> list[KeyValues]:
        """What each layer sees of the encoder's output; computed once for a whole decoding."""
        return [layer.memory_attention.keys_values(encoded) for layer in self.layers]

    def new_cache(
        self, rows: int, memory: list[KeyValues], memory_segments: Int[Tensor, "B S"] | None
    ) -> Cache:
        """A cache that remembers nothing but the encoder's memory, if there is one."""
        config, weight = self.config, next(self.parameters())
        own = [
            empty_key_values(weight, rows, config.num_kv_heads, config.d_key, config.d_value)
            for _ in self.layers
        ]
        lengths = torch.zeros(rows, dtype=torch.long, device=weight.device)
        return Cache(own, memory, memory_segments, lengths)
