"""Name maps: which tensors of theirs hold which of ours, strictly and in both directions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headway.errors import FolderError
from headway.model.config import TransformerConfig

Weights = dict[str, Tensor]
Shapes = Mapping[str, torch.Size]

ToTheirs = Callable[[list[Tensor]], list[Tensor]]
"""Our tensors of an entry to theirs; works on the meta device too, which is how shapes are checked."""
ToOurs = Callable[[list[Tensor], list[torch.Size]], list[Tensor]]
"""Their tensors of an entry, and the shapes of ours, to ours. Raises ValueError for what ours cannot be."""


@dataclass(frozen=True)
class Entry:
    """Some tensors of theirs that together hold some of ours."""

    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    to_theirs: ToTheirs
    to_ours: ToOurs
    also: tuple[str, ...] = ()
    """Other names under which theirs[0], a tied tensor, may stand; it is written once, as theirs[0]."""
    optional: bool = False
    """Theirs may lack it."""
    written: bool = True


def same(theirs: str, ours: str, also: tuple[str, ...] = ()) -> Entry:
    """One tensor under two names."""
    return Entry((theirs,), (ours,), lambda tensors: tensors, lambda tensors, _: tensors, also)


def transposed(theirs: str, ours: str) -> Entry:
    """One matrix; theirs maps rows to columns, as x W."""
    return Entry((theirs,), (ours,), lambda tensors: [tensors[0].T], lambda tensors, _: [tensors[0].T])


def fused(theirs: str, ours: tuple[str, ...], *, transpose: bool = False) -> Entry:
    """One tensor in which ours stand below each other; `transpose`: beside each other."""

    def to_theirs(tensors: list[Tensor]) -> list[Tensor]:
        stacked = torch.cat(tensors)
        return [stacked.T if transpose else stacked]

    def to_ours(tensors: list[Tensor], shapes: list[torch.Size]) -> list[Tensor]:
        stacked = tensors[0].T if transpose else tensors[0]
        return list(stacked.split([shape[0] for shape in shapes]))

    return Entry((theirs,), ours, to_theirs, to_ours)


def constant(theirs: str, make: Callable[[], Tensor], *, written: bool = True) -> Entry:
    """What theirs has and ours computes, or does without: it must be just this. `make` is called late.

    What is not written, theirs may lack.
    """

    def to_ours(tensors: list[Tensor], _: list[torch.Size]) -> list[Tensor]:
        if not torch.allclose(tensors[0].float(), make(), rtol=0, atol=1e-5):
            raise ValueError("holds other values than those that this model computes in its place")
        return []

    return Entry((theirs,), (), lambda _: [make()], to_ours, optional=not written, written=written)


def filled(theirs: str, shape: Sequence[int], value: float) -> Entry:
    """What theirs has and ours not: written as a constant; a folder with other values is refused."""

    def to_ours(tensors: list[Tensor], _: list[torch.Size]) -> list[Tensor]:
        if not bool((tensors[0] == value).all()):
            raise ValueError(f"is not {value:g} throughout, and there is no place for it in this model")
        return []

    return Entry((theirs,), (), lambda _: [torch.full(tuple(shape), value)], to_ours)


def ignored(theirs: str) -> Entry:
    """What theirs may hold though its outputs do not depend on it."""
    return Entry((theirs,), (), lambda _: [], lambda _tensors, _shapes: [], optional=True, written=False)


def unread(theirs: str, shape: Sequence[int]) -> Entry:
    """What theirs looks for though its states do not depend on it: written as zeros, never read."""
    return Entry(
        (theirs,), (), lambda _: [torch.zeros(tuple(shape))], lambda _tensors, _shapes: [], optional=True
    )


def weights_of(model: nn.Module) -> Weights:
    """The parameters by name; tied ones once, under the name that comes first."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def load_weights(model: nn.Module, weights: Weights) -> None:
    """Puts in the model what `weights_of` gives."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])


def refuse_larger(config: TransformerConfig, held: int) -> None:
    """Raises FolderError for a model that needs more numbers than a file holds, before anything is made."""
    if held < config.fewest_parameters:
        raise FolderError(
            f"the weights are {held:,} numbers, fewer than the configuration asks for "
            f"({config.fewest_parameters:,} or more)"
        )


def to_theirs(entries: Sequence[Entry], weights: Weights) -> Weights:
    """Our weights under their names and in their shapes; every tensor of ours is used once."""
    used = [name for entry in entries for name in entry.ours]
    assert sorted(used) == sorted(weights), sorted(set(used) ^ weights.keys())
    result: Weights = {}
    for entry in entries:
        if entry.written:
            tensors = entry.to_theirs([weights[name] for name in entry.ours])
            result |= {name: tensor.contiguous() for name, tensor in zip(entry.theirs, tensors, strict=True)}
    return result


def to_ours(entries: Sequence[Entry], weights: Weights, shapes: Shapes) -> Weights:
    """Their weights under our names, in float32; `shapes` are those of our model, by name.

    Raises FolderError naming the tensor that is missing, left over, of another shape, or that holds what our
    model has no place for.
    """
    named = _one_name_each(entries, weights)
    _refuse_missing_and_extra(entries, named)
    result: Weights = {}
    for entry in entries:
        if entry.optional and entry.theirs[0] not in named:
            continue
        tensors = [named[name].float() for name in entry.theirs]
        _refuse_other_shapes(entry, tensors, shapes)
        try:
            ours = entry.to_ours(tensors, [shapes[name] for name in entry.ours])
        except ValueError as error:
            raise FolderError(f"the tensor {entry.theirs[0]!r} {error}") from error
        result |= {name: tensor.contiguous() for name, tensor in zip(entry.ours, ours, strict=True)}
    return result


def _one_name_each(entries: Sequence[Entry], weights: Weights) -> Weights:
    """The weights with each tied tensor under its first name only."""
    named = dict(weights)
    for entry in entries:
        first = entry.theirs[0]
        for other in entry.also:
            if other not in named:
                continue
            tensor = named.pop(other)
            kept = named.setdefault(first, tensor)
            if kept.shape != tensor.shape or not torch.equal(kept, tensor):
                raise FolderError(
                    f"the tensors {first!r} and {other!r} differ, though the configuration ties them"
                )
    return named


def _refuse_missing_and_extra(entries: Sequence[Entry], weights: Weights) -> None:
    needed = {name for entry in entries if not entry.optional for name in entry.theirs}
    known = needed | {name for entry in entries for name in entry.theirs}
    for what, names in (("is missing", needed - weights.keys()), ("is left over", weights.keys() - known)):
        if names:
            first, *more = sorted(names)
            also = f", and so {'is' if len(more) == 1 else 'are'} {len(more)} more" if more else ""
            hint = "" if what == "is missing" else ": the configuration describes a model without it"
            raise FolderError(f"the tensor {first!r} {what}{also}{hint}")


def _refuse_other_shapes(entry: Entry, tensors: list[Tensor], shapes: Shapes) -> None:
    expected = entry.to_theirs([torch.empty(shapes[name], device="meta") for name in entry.ours])
    for name, tensor, right in zip(entry.theirs, tensors, expected, strict=False):  # an ignored one has none
        if tensor.shape != right.shape:
            raise FolderError(
                f"the tensor {name!r} has the shape {list(tensor.shape)} "
                f"where the configuration asks for {list(right.shape)}"
            )
