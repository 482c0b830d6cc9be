"""Name maps: both directions are inverses, and what does not fit is named."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from headway.errors import FolderError
from headway.interop.weights import (
    Entry,
    Weights,
    constant,
    filled,
    fused,
    ignored,
    load_weights,
    same,
    to_ours,
    to_theirs,
    transposed,
    unread,
    weights_of,
)

ENTRIES = [
    same("a", "x", also=("a2",)),
    transposed("b", "y"),
    fused("c", ("q", "k")),
    fused("d", ("r", "s"), transpose=True),
    filled("e", (3,), 0.0),
    constant("f", lambda: torch.arange(4.0)),
    constant("g", lambda: torch.ones(2), written=False),
    ignored("h"),
    unread("i", (2, 3)),
]
OURS: Weights = {
    "x": torch.randn(2, 3),
    "y": torch.randn(4, 5),
    "q": torch.randn(6, 3),
    "k": torch.randn(2, 3),
    "r": torch.randn(2, 3),
    "s": torch.randn(1, 3),
}
SHAPES = {name: tensor.shape for name, tensor in OURS.items()}


def theirs() -> Weights:
    return to_theirs(ENTRIES, OURS)


def test_there_and_back_is_the_same() -> None:
    written = theirs()
    assert {name: list(tensor.shape) for name, tensor in written.items()} == {
        "a": [2, 3],
        "b": [5, 4],
        "c": [8, 3],
        "d": [3, 3],
        "e": [3],
        "f": [4],
        "i": [2, 3],
    }
    back = to_ours(ENTRIES, written, SHAPES)
    assert back.keys() == OURS.keys()
    assert all(torch.equal(back[name], OURS[name]) for name in OURS)


def test_what_is_never_read_may_be_there_or_not() -> None:
    given = theirs()
    assert not given["i"].any()
    for there in ({"i": torch.randn(2, 3)}, {}):
        held = {name: tensor for name, tensor in given.items() if name != "i"} | there
        assert to_ours(ENTRIES, held, SHAPES).keys() == OURS.keys()


def test_what_is_not_written_may_be_there() -> None:
    given = theirs() | {"g": torch.ones(2), "h": torch.randn(9)}
    assert to_ours(ENTRIES, given, SHAPES).keys() == OURS.keys()


def test_a_tied_tensor_is_found_under_each_of_its_names() -> None:
    given = theirs()
    given["a2"] = given["a"].clone()
    assert torch.equal(to_ours(ENTRIES, given, SHAPES)["x"], OURS["x"])
    del given["a"]
    assert torch.equal(to_ours(ENTRIES, given, SHAPES)["x"], OURS["x"])


def test_half_precision_becomes_float32() -> None:
    given = {name: tensor.half() for name, tensor in theirs().items()}
    back = to_ours(ENTRIES, given, SHAPES)
    assert all(tensor.dtype == torch.float32 for tensor in back.values())
    assert torch.equal(back["x"], OURS["x"].half().float())


def remove(name: str) -> Callable[[Weights], None]:
    return lambda weights: weights.__delitem__(name)


def put(name: str, tensor: torch.Tensor) -> Callable[[Weights], None]:
    return lambda weights: weights.__setitem__(name, tensor)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("b"), "the tensor 'b' is missing"),
        (put("z", torch.ones(1)), "the tensor 'z' is left over"),
        (put("b", torch.ones(4, 5)), r"'b' has the shape \[4, 5\] where the configuration asks for \[5, 4\]"),
        (put("c", torch.ones(9, 3)), r"'c' has the shape \[9, 3\] where .* asks for \[8, 3\]"),
        (put("e", torch.tensor([0.0, 1, 0])), "'e' is not 0 throughout"),
        (put("f", torch.ones(4)), "'f' holds other values"),
        (put("g", torch.zeros(2)), "'g' holds other values"),
        (put("a2", torch.ones(2, 3)), "'a' and 'a2' differ, though the configuration ties them"),
    ],
)
def test_what_does_not_fit_is_named(change: Callable[[Weights], None], message: str) -> None:
    given = theirs()
    change(given)
    with pytest.raises(FolderError, match=message):
        to_ours(ENTRIES, given, SHAPES)


def test_several_missing_tensors_are_counted() -> None:
    given = theirs()
    del given["b"], given["c"], given["d"]
    with pytest.raises(FolderError, match="the tensor 'b' is missing, and so are 2 more"):
        to_ours(ENTRIES, given, SHAPES)


def test_every_tensor_of_ours_must_be_used() -> None:
    with pytest.raises(AssertionError, match="extra"):
        to_theirs(ENTRIES, OURS | {"extra": torch.ones(1)})
    with pytest.raises(AssertionError):
        to_theirs([*ENTRIES, Entry(("j",), ("x",), lambda w: w, lambda w, _: w)], OURS)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 3, bias=False), nn.Linear(2, 3, bias=False)
        self.second.weight = self.first.weight


def test_tied_parameters_appear_once_and_are_loaded_together() -> None:
    model = Tied()
    assert list(weights_of(model)) == ["first.weight"]
    load_weights(model, {"first.weight": torch.ones(3, 2)})
    assert bool((model.second.weight == 1).all())
