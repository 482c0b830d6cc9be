"""Every kernel computes equation 1; the fast path is taken where it may be."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from headway.model import backends
from headway.model.backends import Attend, RecordingBackend, SdpaAttend, matmul, sdpa
from headway.model.mask import AttentionMask

from .shapes import assert_near

CPU = torch.device("cpu")
H, E, U = 4, 6, 10

BIAS = torch.arange(2.0 * H * 5 * 7).reshape(2, H, 5, 7).sin()
BIASES = {"no bias": None, "one bias": BIAS[:1], "a bias each": BIAS}

MASKS = {
    "nothing": AttentionMask(),
    "causal": AttentionMask(causal=True),
    "later": AttentionMask(causal=True, offset=2),
    "ragged": AttentionMask(causal=True, offset=torch.tensor([2, 0])),
    "padding": AttentionMask(key_segments=torch.tensor([[1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 0]])),
    "packed": AttentionMask(
        causal=True,
        offset=2,
        query_segments=torch.tensor([[1, 1, 2, 2, 0], [0, 1, 1, 1, 1]]),
        key_segments=torch.tensor([[0, 1, 1, 1, 2, 2, 0], [1, 0, 0, 1, 1, 1, 1]]),
    ),
    "near": AttentionMask(offset=1, window=2),
    "near and before": AttentionMask(causal=True, offset=torch.tensor([2, 0]), window=1),
}


def heads(kv_heads: int, queries: int, keys: int) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(2, H, queries, E), torch.randn(2, kv_heads, keys, E), torch.randn(2, kv_heads, keys, U)


def by_hand(mask: AttentionMask, bias: Tensor | None, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Equation 1 query by query, over the keys that are visible alone."""
    dense = mask.dense(q.shape[2], k.shape[2], CPU)
    every = torch.ones(2, 1, q.shape[2], k.shape[2], dtype=torch.bool)
    visible = every if dense is None else dense.expand_as(every)
    added = torch.zeros(2, H, q.shape[2], k.shape[2]) if bias is None else bias.expand(2, -1, -1, -1)
    result = torch.empty(*q.shape[:3], v.shape[-1])
    for row, head, t in torch.cartesian_prod(*(torch.arange(n) for n in q.shape[:3])).tolist():
        seen = visible[row, 0, t]
        shared = head * k.shape[1] // q.shape[1]
        scores = k[row, shared, seen] @ q[row, head, t] / math.sqrt(E) + added[row, head, t, seen]
        weights = scores.exp()
        result[row, head, t] = (weights / weights.sum()) @ v[row, shared, seen]
    return result


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("bias", BIASES.values(), ids=BIASES)
def test_a_backend_computes_equation_1(bias: Tensor | None, mask: AttentionMask) -> None:
    for kv_heads in (1, 2, 4):
        q, k, v = heads(kv_heads, 5, 7)
        expected = by_hand(mask, bias, q, k, v)
        for backend in (sdpa, matmul, RecordingBackend()):
            assert_near(backend(mask, bias, 5, 7, CPU)(q, k, v), expected)


@pytest.mark.parametrize("backend", [sdpa, matmul, RecordingBackend()], ids=["sdpa", "matmul", "recording"])
def test_a_bias_learns_where_keys_are_visible(backend: RecordingBackend) -> None:
    bias = torch.zeros(1, H, 5, 5, requires_grad=True)
    attend = backend(AttentionMask(causal=True), bias, 5, 5, CPU)
    attend(*heads(2, 5, 5)).square().sum().backward()
    assert bias.grad is not None
    assert bias.grad.isfinite().all()
    assert bias.grad.triu(1).eq(0).all()
    assert torch.equal(bias.grad[0, 0, 1:].ne(0), torch.ones(4, 5).tril(1).bool())


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_blocks_of_queries_compute_the_same(monkeypatch: pytest.MonkeyPatch, mask: AttentionMask) -> None:
    q, k, v = heads(2, 5, 7)
    whole = sdpa(mask, None, 5, 7, CPU)(q, k, v)
    monkeypatch.setattr(backends, "MOST_VISIBLE", 0)
    monkeypatch.setattr(backends, "BLOCK", 2)
    attend = sdpa(mask, None, 5, 7, CPU)
    blocked = isinstance(mask.offset, int) and (mask.causal or mask.window is not None)
    assert isinstance(attend, backends.BlockedAttend) == blocked
    assert_near(attend(q, k, v), whole)


def test_padding_around_one_long_document_hides_the_same_keys_from_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("headway.model.backends.MOST_VISIBLE", 24)
    segments = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    mask = AttentionMask(query_segments=segments, key_segments=segments)
    q, k, v = heads(H, 5, 5)
    attend = sdpa(mask, None, 5, 5, CPU)
    assert isinstance(attend, SdpaAttend)
    assert attend.visible is not None
    assert attend.visible.shape == (2, 1, 1, 5)
    real = segments.bool()[:, None, :, None]
    expected = RecordingBackend()(mask, None, 5, 5, CPU)(q, k, v)
    assert_near(attend(q, k, v) * real, expected * real)
    empty = torch.tensor([[1, 1, 1, 0, 0], [0, 0, 0, 0, 0]])
    nothing_real = AttentionMask(query_segments=empty, key_segments=empty)
    assert sdpa(nothing_real, None, 5, 5, CPU)(q, k, v).isfinite().all()


class Largest(TorchDispatchMode):
    """The most numbers in any tensor made inside."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for each in made if isinstance(made, tuple | list) else [made]:
            if isinstance(each, Tensor):
                self.numbers = max(self.numbers, each.untyped_storage().nbytes() // each.itemsize)
        return made


LONG = 4096
PADDED = (torch.arange(LONG) < 3000).long()[None]
PACKED = 1 + (torch.arange(LONG) >= 1500).long()[None]
LONG_MASKS = {
    "causal": AttentionMask(causal=True),
    "encoder": AttentionMask(),
    "encoder with padding": AttentionMask(query_segments=PADDED, key_segments=PADDED),
    "window before": AttentionMask(causal=True, window=100),
    "window around": AttentionMask(window=100, query_segments=PADDED, key_segments=PADDED),
    "packed": AttentionMask(causal=True, query_segments=PACKED, key_segments=PACKED),
}


@pytest.mark.parametrize("name", LONG_MASKS)
def test_nothing_of_the_size_of_all_pairs_is_made(name: str) -> None:
    q = torch.randn(1, 1, LONG, 4)
    with torch.inference_mode(), Largest() as largest:
        sdpa(LONG_MASKS[name], None, LONG, LONG, CPU)(q, q, q)
    blocks_of_all_keys = backends.BLOCK * LONG
    assert largest.numbers <= (blocks_of_all_keys if name == "packed" else blocks_of_all_keys // 4)


def test_long_rows_are_never_held() -> None:
    assert isinstance(matmul(AttentionMask(causal=True), None, 300, 300, CPU), SdpaAttend)
    assert not isinstance(matmul(AttentionMask(causal=True), None, 200, 200, CPU), SdpaAttend)


def bound(mask: AttentionMask, queries: int, keys: int) -> SdpaAttend:
    attend: Attend = sdpa(mask, None, queries, keys, CPU)
    assert isinstance(attend, SdpaAttend)
    return attend


def test_causality_alone_needs_no_matrix() -> None:
    """The flash kernel runs in training and prompts (square) and at each later step (one query)."""
    causal = AttentionMask(causal=True)
    assert bound(causal, 7, 7) == SdpaAttend(None, is_causal=True)
    assert bound(replace(causal, offset=6), 1, 7) == SdpaAttend(None, is_causal=False)
    assert bound(causal, 1, 1) == SdpaAttend(None, is_causal=False)
    assert bound(AttentionMask(), 5, 7) == SdpaAttend(None, is_causal=False)


@pytest.mark.parametrize(
    ("mask", "queries", "keys"),
    [
        (AttentionMask(causal=True, offset=2), 5, 7),
        (AttentionMask(causal=True, offset=0), 5, 7),
        (AttentionMask(causal=True, offset=5), 1, 7),
        (AttentionMask(causal=True, offset=torch.tensor([6, 4])), 1, 7),
        (AttentionMask(causal=True, key_segments=torch.tensor([[1, 1, 0]])), 3, 3),
        (AttentionMask(causal=True, window=2), 7, 7),
        (AttentionMask(causal=True, offset=6, window=2), 1, 7),
    ],
    ids=["chunk", "first-of-more", "one-inside", "ragged", "padding", "window", "window-later"],
)
def test_other_facts_make_a_matrix(mask: AttentionMask, queries: int, keys: int) -> None:
    attend = bound(mask, queries, keys)
    expected = mask.dense(queries, keys, CPU)
    assert attend.visible is not None
    assert expected is not None
    assert torch.equal(attend.visible, expected)
    assert not attend.is_causal


def test_the_fast_path_is_the_same_function() -> None:
    for queries in (1, 6):
        q, k, v = heads(2, queries, 6)
        mask = AttentionMask(causal=True, offset=6 - queries)
        dense = SdpaAttend(mask.dense(queries, 6, CPU), is_causal=False)
        assert bound(mask, queries, 6).visible is None
        assert_near(bound(mask, queries, 6)(q, k, v), dense(q, k, v))
