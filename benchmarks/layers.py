"""The kinds of layers in the paper's Table 1, to be timed and counted: one text of n positions of width d."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headway.model.attention import Attention
from headway.model.backends import sdpa
from headway.model.config import AttentionConfig, TransformerConfig
from headway.model.mask import AttentionMask

HEADS = 8
WINDOW = 8
"""Places to both sides that restricted self-attention sees: r, counted on one side."""
KERNEL = 3

Layer = Callable[[Tensor], Tensor]
"""From [1, n, d] to the same shape."""


@dataclass(frozen=True)
class Kind:
    """A kind of layer: what the paper says of it, and how it is built.

    `build` gives a layer for n positions of width d. `step` gives the same as one operation after another,
    number i from 0 on: what one of them does to all positions at once. `products` counts multiplications.
    """

    paper: str
    sequential: str
    path: str
    build: Callable[[int, int], Layer]
    step: Callable[[int, int, int], Layer]
    products: Callable[[int, int], float]


class Looking(nn.Module):
    """Headway's attention of a text to itself, all of it or a window."""

    def __init__(self, n: int, d: int, window: int | None = None) -> None:
        super().__init__()
        config = TransformerConfig(vocab_size=1, d_model=d, attention=AttentionConfig(num_heads=HEADS))
        self.attention = Attention(config)
        self.attend = sdpa(AttentionMask(window=window), None, n, n, torch.device("cpu"))

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, self.attention.keys_values(x), self.attend)


class Kernel(nn.Module):
    """Equation 1 alone, by the fused kernel: the text is its own queries, keys and values."""

    def __init__(self, n: int, d: int) -> None:
        super().__init__()
        self.attend = sdpa(AttentionMask(), None, n, n, torch.device("cpu"))

    def forward(self, x: Tensor) -> Tensor:
        heads = x.unflatten(-1, (HEADS, -1)).transpose(1, 2)
        return self.attend(heads, heads, heads).transpose(1, 2).flatten(-2)


class Recurrent(nn.Module):
    """A long short-term memory."""

    def __init__(self, n: int, d: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(d, d, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x)[0]


class Unrolled(nn.Module):
    """The same memory written out, position after position."""

    def __init__(self, n: int, d: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(d, d)

    def forward(self, x: Tensor) -> Tensor:
        found, state = [], None
        for position in x.unbind(dim=1):
            state = self.cell(position, state)
            found.append(state[0])
        return torch.stack(found, dim=1)


class Passing(nn.Module):
    """One step of a recurrence at every position: from itself and what its left neighbour says."""

    def __init__(self, n: int, d: int) -> None:
        super().__init__()
        self.cell = nn.RNNCell(d, d)

    def forward(self, x: Tensor) -> Tensor:
        before = F.pad(x, (0, 0, 1, 0))[:, :-1]
        return self.cell(x.flatten(0, 1), before.flatten(0, 1)).unflatten(0, x.shape[:2])


class Convolving(nn.Module):
    """A convolution over a position and those before it, or over positions so many places apart."""

    def __init__(self, n: int, d: int, apart: int = 1) -> None:
        super().__init__()
        self.before = apart * (KERNEL - 1)
        self.convolution = nn.Conv1d(d, d, KERNEL, dilation=apart)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(F.pad(x.mT, (self.before, 0))).mT


def looking_near(n: int, d: int) -> Layer:
    return Looking(n, d, WINDOW)


def products_of_attention(n: int, d: int) -> float:
    """Four projections, scores, and sums of values. A window hides scores that are computed all the same."""
    return 4 * n * d * d + 2 * n * n * d


KINDS: dict[str, Kind] = {
    "self-attention": Kind("n² · d", "1", "1", Looking, lambda n, d, i: Looking(n, d), products_of_attention),
    "its kernel alone": Kind(
        "n² · d", "1", "1", Kernel, lambda n, d, i: Kernel(n, d), lambda n, d: 2 * n * n * d
    ),
    "in a window": Kind(
        "r · n · d", "1", "n / r", looking_near, lambda n, d, i: looking_near(n, d), products_of_attention
    ),
    "recurrent": Kind(
        "n · d²", "n", "n", Recurrent, lambda n, d, i: Passing(n, d), lambda n, d: 8 * n * d * d
    ),
    "convolutional": Kind(
        "k · n · d²",
        "1",
        "n / k",
        Convolving,
        lambda n, d, i: Convolving(n, d),
        lambda n, d: KERNEL * n * d * d,
    ),
    "convolutional, dilated": Kind(
        "k · n · d²",
        "1",
        "log_k(n)",
        lambda n, d: Convolving(n, d, KERNEL),
        lambda n, d, i: Convolving(n, d, KERNEL**i),
        lambda n, d: KERNEL * n * d * d,
    ),
}
"""The rows of the paper's Table 1; convolutions with kernels side by side and dilated ones (Paper §4)."""

COUNTED_WIDTH = 8


def longest_chain(kind: Kind, n: int) -> int:
    """Operations of one layer that must follow one another: the longest chain in autograd's graph.

    The recurrent layer is counted written out, since its fused form shows as a single operation.
    """
    build = Unrolled if kind.build is Recurrent else kind.build
    x = torch.randn(1, n, COUNTED_WIDTH, requires_grad=True)
    return depth(build(n, COUNTED_WIDTH)(x).grad_fn)


def depth(node: Any) -> int:
    """The longest way from a node of autograd's graph to where the graph begins, the ends not counted."""
    depths: dict[Any, int] = {}
    todo = [node]
    while todo:
        current = todo[-1]
        below = [each for each in parents(current) if each not in depths]
        if below:
            todo += below
            continue
        todo.pop()
        depths[current] = 1 + max((depths[each] for each in parents(current)), default=0)
    return depths[node]


def parents(node: Any) -> Iterator[Any]:
    """What computed a node's inputs; leaves are no computation."""
    return (each for each, _ in node.next_functions if each is not None and not hasattr(each, "variable"))


def steps_between(kind: Kind, n: int) -> int:
    """How many steps until the last position depends on the first, by the gradient of one in the other."""
    torch.manual_seed(0)
    x = torch.randn(1, n, COUNTED_WIDTH, dtype=torch.float64, requires_grad=True)
    reached, count = x, 0
    while True:
        step: Any = kind.step(n, COUNTED_WIDTH, count)
        reached, count = step.double()(reached), count + 1
        [slope] = torch.autograd.grad(reached[0, -1].sum(), x, retain_graph=True)
        if slope[0, 0].abs().max() > 0:
            return count
        assert count <= 2 * n, "the last position never depends on the first"
