"""A decoder's steps in one call of C each, where the machine has a compiler.

Axes: R rows, D d_model. `compiled_steps.c` says the same structures in C.
"""

import copy
from collections.abc import Callable, Sequence
from ctypes import CDLL, POINTER, Structure, byref, c_float, c_int64, c_void_p
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from headway.decoding.compiler import library
from headway.model.architectures import Decoder
from headway.model.attention import Attention, KeyValues
from headway.model.backends import sdpa
from headway.model.cache import Cache
from headway.model.feed_forward import gelu_tanh
from headway.model.layer import Layer
from headway.model.mask import AttentionMask
from headway.model.positions import Positions
from headway.model.stack import Stack

MOST_ROWS = 1024
"""More of them are not worth the room that their outputs take."""
MOST_THREADS = 4
"""Between sub-layers threads wait for each other, which costs more than many of them bring."""
ACTIVATIONS: Sequence[Callable[[Tensor], Tensor]] = (F.relu, F.gelu, gelu_tanh, F.silu)


class CLinear(Structure):
    _fields_ = [("weight", c_void_p), ("bias", c_void_p), ("inputs", c_int64), ("outputs", c_int64)]


class CNorm(Structure):
    _fields_ = [("weight", c_void_p), ("bias", c_void_p)]


class CAttention(Structure):
    _fields_ = [(name, CLinear) for name in ("query", "key", "value", "output")] + [
        (name, CNorm) for name in ("query_norm", "key_norm")
    ]


class CLayer(Structure):
    _fields_ = [
        *((name, CAttention) for name in ("own", "memory")),
        *((name, CLinear) for name in ("inner", "gate", "result")),
        *((name, CNorm) for name in ("own_norm", "memory_norm", "forward_norm")),
    ]


class CStack(Structure):
    _fields_ = [
        ("layers", POINTER(CLayer)),
        ("last", CNorm),
        *((name, c_int64) for name in ("num_layers", "d_model", "d_ff", "heads", "kv_heads")),
        *((name, c_int64) for name in ("d_key", "d_value", "activation", "norm_first", "centred")),
        ("epsilon", c_float),
    ]


class CStore(Structure):
    _fields_ = [("start", c_void_p), *((name, c_int64) for name in ("row", "head", "position"))]


class CSeen(Structure):
    _fields_ = [
        *((name, CStore) for name in ("keys", "values", "memory_keys", "memory_values")),
        *((name, c_void_p) for name in ("cos", "sin")),
        ("window", c_int64),
    ]


class CRows(Structure):
    _fields_ = [
        *((name, c_int64) for name in ("rows", "threads", "copies", "memory_length")),
        *((name, c_void_p) for name in ("lengths", "memory_lengths")),
    ]


def hasten(model: nn.Module) -> bool:
    """Let a decoder on the CPU take its steps in C; whether that can be done here.

    All else is computed as before. Parameters are shared; those that replace others later are not seen.
    """
    if not isinstance(model, Decoder) or not can_hasten(model.decoder):
        return False
    code = library("compiled_steps")
    if code is None:
        return False
    model.decoder.forward = CompiledStack(model.decoder, code)  # type: ignore[method-assign]
    model.output.forward = CompiledLinear(model.output, code)  # type: ignore[method-assign, assignment]
    return True


def can_hasten(stack: Stack) -> bool:
    """Whether the C code knows this kind of stack: all kinds but those with a bias on scores."""
    like = next(stack.parameters())
    return stack.relative is None and like.dtype == torch.float32 and like.device.type == "cpu"


class CompiledStack:
    """`Stack.forward` that goes through C where it can."""

    def __init__(self, stack: Stack, code: CDLL) -> None:
        self.stack, self.code = stack, code
        self.places: list[int] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> "CompiledStack":
        return CompiledStack(copy.deepcopy(self.stack, memo), self.code)

    @cached_property
    def parameters(self) -> list[Tensor]:
        return list(self.stack.parameters())

    def told(self) -> CStack:
        """The stack as C sees it, told anew where parameters have moved."""
        places = [parameter.data_ptr() for parameter in self.parameters]
        if places != self.places:
            self.last_told = _stack(self.stack)
            self.places = places  # last, for other threads look at it first
        return self.last_told

    def __call__(
        self,
        x: Float[Tensor, "R T D"],
        positions: Positions,
        mask: AttentionMask,
        memory: list[KeyValues] | None = None,
        memory_mask: AttentionMask | None = None,
        cache: Cache | None = None,
    ) -> Float[Tensor, "R T D"]:
        rows, length, _ = x.shape
        if cache is None or length > 1 or not _fits(x) or self.stack.backend is not sdpa:
            return Stack.forward(self.stack, x, positions, mask, memory, memory_mask, cache)
        windows = self.stack.windows
        turns = {window: self._turns(window, positions, rows) for window in set(windows)}
        seen = (CSeen * len(windows))(
            *(
                _seen(cache.own[i], memory[i] if memory else None, turns[window], window)
                for i, window in enumerate(windows)
            )
        )
        counts = None if cache.memory_segments is None else cache.memory_segments.count_nonzero(dim=1)
        sizes = CRows(
            rows=rows,
            threads=_threads(),
            copies=cache.copies,
            memory_length=memory[0].k.shape[2] if memory else 0,
            lengths=cache.lengths.data_ptr(),
            memory_lengths=None if counts is None else counts.data_ptr(),
        )
        result = x.clone(memory_format=torch.contiguous_format)
        if self.code.step(byref(self.told()), seen, byref(sizes), c_void_p(result.data_ptr())):
            raise MemoryError("a step of decoding")
        return result

    def _turns(self, window: int | None, positions: Positions, rows: int) -> tuple[Tensor, Tensor] | None:
        """Cosine and sine by which each row's newest token is turned."""
        rotation = self.stack.rotation(window, positions)
        if rotation is None:
            return None
        cos, sin = (each.expand(rows, -1, -1, -1).contiguous() for each in (rotation.cos, rotation.sin))
        return cos, sin


class CompiledLinear:
    """`nn.Linear.forward` that goes through C where it can."""

    def __init__(self, linear: nn.Linear, code: CDLL) -> None:
        self.linear, self.code = linear, code

    def __deepcopy__(self, memo: dict[int, Any]) -> "CompiledLinear":
        return CompiledLinear(copy.deepcopy(self.linear, memo), self.code)

    def __call__(self, x: Float[Tensor, "*n D"]) -> Float[Tensor, "*n V"]:
        if not _fits(x):
            return nn.Linear.forward(self.linear, x)
        rows = x.numel() // x.shape[-1]
        read, result = x.contiguous(), x.new_empty(*x.shape[:-1], self.linear.out_features)
        matrix, places = _linear(self.linear), [c_void_p(each.data_ptr()) for each in (read, result)]
        if self.code.product(byref(matrix), *places, c_int64(rows), c_int64(_threads())):
            raise MemoryError("a product of decoding")
        return result


def _fits(x: Float[Tensor, "*n D"]) -> bool:
    """Whether these are some rows of an ordinary kind, of which nobody wants gradients."""
    some = 0 < x.numel() <= MOST_ROWS * x.shape[-1]
    return some and x.dtype == torch.float32 and x.device.type == "cpu" and not torch.is_grad_enabled()


def _threads() -> int:
    return min(torch.get_num_threads(), MOST_THREADS)


def _stack(stack: Stack) -> CStack:
    config, layers = stack.config, (CLayer * len(stack.layers))(*map(_layer, stack.layers))
    return CStack(
        layers=layers,
        last=_norm(stack.norm),
        num_layers=len(layers),
        d_model=config.d_model,
        d_ff=config.d_ff,
        heads=config.attention.num_heads,
        kv_heads=config.num_kv_heads,
        d_key=config.d_key,
        d_value=config.d_value,
        activation=ACTIVATIONS.index(stack.layers[0].feed_forward.activation),
        norm_first=config.norm.position == "pre",
        centred=config.norm.kind == "layer",
        epsilon=config.norm.epsilon,
    )


def _layer(layer: Layer) -> CLayer:
    sees_memory, forward = hasattr(layer, "memory_attention"), layer.feed_forward
    return CLayer(
        own=_attention(layer.self_attention),
        memory=_attention(layer.memory_attention) if sees_memory else CAttention(),
        inner=_linear(forward.inner),
        gate=CLinear() if forward.gate is None else _linear(forward.gate),
        result=_linear(forward.output),
        own_norm=_norm(layer.self_residual.norm),
        memory_norm=_norm(layer.memory_residual.norm) if sees_memory else CNorm(),
        forward_norm=_norm(layer.feed_forward_residual.norm),
    )


def _attention(attention: Attention) -> CAttention:
    matrices = (attention.query, attention.key, attention.value, attention.output)
    return CAttention(*map(_linear, matrices), _norm(attention.query_norm), _norm(attention.key_norm))


def _linear(linear: nn.Linear) -> CLinear:
    return CLinear(_place(linear.weight), _place(linear.bias), linear.in_features, linear.out_features)


def _norm(norm: nn.Module) -> CNorm:
    """Of nothing, where there is no norm."""
    return CNorm(_place(getattr(norm, "weight", None)), _place(getattr(norm, "bias", None)))


def _place(parameter: Tensor | None) -> int | None:
    """Where its numbers begin in memory."""
    assert parameter is None or parameter.is_contiguous(), "output by output"
    return None if parameter is None else parameter.data_ptr()


def _seen(
    own: KeyValues, memory: KeyValues | None, turns: tuple[Tensor, Tensor] | None, window: int | None
) -> CSeen:
    return CSeen(
        _store(own.k),
        _store(own.v),
        CStore() if memory is None else _store(memory.k),
        CStore() if memory is None else _store(memory.v),
        *((None, None) if turns is None else (each.data_ptr() for each in turns)),
        -1 if window is None else window,
    )


def _store(held: Float[Tensor, "B K S E"]) -> CStore:
    row, head, position, number = held.stride()
    assert number == 1 or held.shape[3] == 1, "a head's numbers lie together"
    return CStore(held.data_ptr(), row, head, position)
