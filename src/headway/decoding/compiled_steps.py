"""An encoder's pass and a decoder's steps in one call of C each, where the machine has a compiler.

Axes: R rows, T new tokens, D d_model. `compiled_steps.c` says the same structures in C.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from ctypes import CDLL, POINTER, Structure, byref, c_float, c_int64, c_void_p
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from headway.decoding.compiler import library
from headway.model.architectures import EncoderDecoder, Transformer
from headway.model.attention import Attention, KeyValues
from headway.model.backends import sdpa
from headway.model.cache import Cache
from headway.model.feed_forward import gelu_tanh
from headway.model.layer import Layer
from headway.model.mask import AttentionMask
from headway.model.positions import Positions
from headway.model.stack import Stack

LONGEST = 256
"""Tokens of a row: the C code compares each with each, which PyTorch does faster where they are many."""
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
        *((name, c_int64) for name in ("rows", "length", "threads", "copies", "memory_length")),
        *((name, c_void_p) for name in ("before", "real", "memory_lengths")),
    ]


def hasten(model: nn.Module) -> bool:
    """Let a model on the CPU encode and take its steps in C; whether that can be done here.

    All else is computed as before. Parameters are shared; those that replace others later are not seen.
    """
    stacks = [each for each in model.modules() if isinstance(each, Stack)]
    code = library("compiled_steps") if stacks and all(map(can_hasten, stacks)) else None
    if code is None:
        return False
    for stack in stacks:
        stack.forward = CompiledStack(stack, code)  # type: ignore[method-assign]
    for linear in _linears_between(model):
        linear.forward = CompiledLinear(linear, code)  # type: ignore[method-assign, assignment]
    return True


def _linears_between(model: nn.Module) -> Iterator[nn.Linear]:
    """What lies behind or between stacks: to the vocabulary, and to what a decoder sees of a source."""
    if isinstance(model, Transformer):
        yield model.output
    if isinstance(model, EncoderDecoder):
        for layer in model.decoder.layers:
            yield from (layer.memory_attention.key, layer.memory_attention.value)


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
        if not self._is_known(x, mask, cache):
            return Stack.forward(self.stack, x, positions, mask, memory, memory_mask, cache)
        rows, length, _ = x.shape
        windows, own = self.stack.windows, cache.own if cache else [None] * len(self.stack.windows)
        turns = {window: self._turns(window, positions, rows) for window in set(windows)}
        seen = (CSeen * len(windows))(
            *(
                _seen(own[i], memory[i] if memory else None, turns[window], window)
                for i, window in enumerate(windows)
            )
        )
        real = _real(None if cache else mask.key_segments)
        of_memory = _real(cache.memory_segments if cache else None)
        sizes = CRows(
            rows=rows,
            length=length,
            threads=_threads(),
            copies=cache.copies if cache else 1,
            memory_length=memory[0].k.shape[2] if memory else 0,
            before=cache.lengths.data_ptr() if cache else None,
            real=None if real is None else real.data_ptr(),
            memory_lengths=None if of_memory is None else of_memory.data_ptr(),
        )
        result = x.clone(memory_format=torch.contiguous_format)
        if self.code.go(byref(self.told()), seen, byref(sizes), c_void_p(result.data_ptr())):
            raise MemoryError("a pass of decoding")
        return result

    def _is_known(self, x: Float[Tensor, "R T D"], mask: AttentionMask, cache: Cache | None) -> bool:
        """Whether the C code sees what is to be seen: one text a row, all of it or what stands before."""
        if not _fits(x) or x.shape[1] > LONGEST or self.stack.backend is not sdpa:
            return False
        if any(layer._forward_hooks for layer in self.stack.layers):  # who watches layers is to see them
            return False
        if cache is not None:
            return True
        return not mask.causal and _is_one_text(mask.key_segments)

    def _turns(self, window: int | None, positions: Positions, rows: int) -> tuple[Tensor, Tensor] | None:
        """Cosine and sine by which each token is turned."""
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
    """Whether the numbers are of an ordinary kind, and nobody wants gradients of them."""
    return (
        x.numel() > 0 and x.dtype == torch.float32 and x.device.type == "cpu" and not torch.is_grad_enabled()
    )


def _is_one_text(segments: Int[Tensor, "R S"] | None) -> bool:
    """Whether each row holds one text, and then padding."""
    if segments is None:
        return True
    return int(segments.amax()) <= 1 and bool((segments[:, 1:] <= segments[:, :-1]).all())


def _real(segments: Int[Tensor, "R S"] | None) -> Int[Tensor, "R"] | None:
    """How many tokens of each row are no padding, which stands behind them."""
    return None if segments is None else segments.count_nonzero(dim=1)


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
    own: KeyValues | None, memory: KeyValues | None, turns: tuple[Tensor, Tensor] | None, window: int | None
) -> CSeen:
    return CSeen(
        *_stores(own),
        *_stores(memory),
        *((None, None) if turns is None else (each.data_ptr() for each in turns)),
        -1 if window is None else window,
    )


def _stores(held: KeyValues | None) -> tuple[CStore, CStore]:
    return (CStore(), CStore()) if held is None else (_store(held.k), _store(held.v))


def _store(held: Float[Tensor, "B K S E"]) -> CStore:
    row, head, position, number = held.stride()
    assert number == 1 or held.shape[3] == 1, "a head's numbers lie together"
    return CStore(held.data_ptr(), row, head, position)
