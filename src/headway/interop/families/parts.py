"""What several families of encoders and decoders have in common: tensors, rotary settings, gates."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from headway.errors import FolderError
from headway.interop.family import Reader, Rule, our_activation
from headway.interop.weights import Entry, constant, filled, same
from headway.model.config import Activation, TransformerConfig
from headway.model.positions import SinusoidalPositions

GATES = {"swiglu": "silu", "geglu": "gelu", "geglu_tanh": "gelu_pytorch_tanh"}
"""Our gated activations, by the name there of the function on the gate."""

GATED = Rule(
    lambda config: config.activation in GATES,
    "its feed-forward networks are gated",
    "model.activation=swiglu",
)
POSITION_TABLE = Rule(
    lambda config: config.positions.kind in ("learned", "sinusoidal"),
    "its positions are a table of vectors",
    "model.positions.kind=learned",
)
WHOLE_HEADS = Rule(
    lambda config: config.d_model % config.attention.num_heads == 0,
    "its width is a multiple of its number of heads",
    "",
)


def affine(theirs: str, ours: str, size: int, bias: bool) -> Iterable[Entry]:
    """A weight, and a bias that theirs always has; where ours has none it is zero there."""
    yield same(f"{theirs}.weight", f"{ours}.weight")
    yield same(f"{theirs}.bias", f"{ours}.bias") if bias else filled(f"{theirs}.bias", (size,), 0.0)


def where_biased(theirs: str, ours: str, bias: bool) -> Iterable[Entry]:
    """A weight, and a bias if both have one."""
    yield same(f"{theirs}.weight", f"{ours}.weight")
    if bias:
        yield same(f"{theirs}.bias", f"{ours}.bias")


def embeddings(
    theirs: str, output: str, config: TransformerConfig, also: tuple[str, ...] = ()
) -> Iterable[Entry]:
    """The token embeddings, and the output projection where it is not the same matrix.

    `also`: other names of the output projection.
    """
    ours = "embedding.tokens.weight"
    if config.tie_output:
        yield same(theirs, ours, also=(output, *also))
    else:
        yield same(theirs, ours)
        yield same(output, "output.weight", also)


def without_prefix(entries: Iterable[Entry], prefix: str) -> list[Entry]:
    """The same, found by the names that they have where the model is saved without its head, too."""
    return [
        replace(entry, also=(*entry.also, entry.theirs[0].removeprefix(prefix)))
        if len(entry.theirs) == 1 and entry.theirs[0].startswith(prefix)
        else entry
        for entry in entries
    ]


def stripped(entries: Iterable[Entry], prefix: str) -> list[Entry]:
    """The same under the names that they have where the model is saved without its head."""
    return [
        replace(entry, theirs=tuple(name.removeprefix(prefix) for name in entry.theirs)) for entry in entries
    ]


def position_table(
    theirs: str,
    config: TransformerConfig,
    offset: int = 0,
    ours: str = "embedding.positions.table.weight",
) -> Entry:
    """The table of positions, after some rows that no token uses; waves are written out as a table."""
    if config.positions.kind == "sinusoidal":
        return constant(theirs, lambda: _after(offset, waves(config)))
    return Entry(
        (theirs,),
        (ours,),
        lambda tensors: [_after(offset, tensors[0])],
        lambda tensors, _: [tensors[0][offset:]],
    )


def waves(config: TransformerConfig) -> Tensor:
    """The sinusoids that are added to embeddings (Paper §3.5), as many as a learned table has rows."""
    return SinusoidalPositions(config.d_model, config.positions.base).rows(config.positions.max_length)


def _after(offset: int, table: Tensor) -> Tensor:
    return torch.cat((table.new_zeros(offset, table.shape[1]), table)) if offset else table


def rope_parameters(base: float) -> dict[str, Any]:
    """Rotary positions as their settings describe them."""
    return {"rope_type": "default", "rope_theta": base}


def read_rope(read: Reader, settings: Mapping[str, Any]) -> float:
    """The base of rotary positions. Raises FolderError for those that are scaled or turn part of a head."""
    read.ignore("rope_parameters", "rope_scaling", "rope_theta", "partial_rotary_factor")
    given = {key: settings[key] for key in ("rope_theta", "partial_rotary_factor") if key in settings}
    for key in ("rope_parameters", "rope_scaling"):
        held = settings.get(key) or {}
        if not isinstance(held, Mapping):
            raise FolderError(f"config.json: {key} = {held!r} is of the wrong type")
        given |= held
    return rope_base(given, "rope_parameters")


def rope_base(parameters: Mapping[str, Any], place: str, default: float = 10000.0) -> float:
    """The base that rotary parameters name. Raises FolderError for what ours cannot hold, naming it."""
    allowed: dict[str, Callable[[Any], bool]] = {
        "rope_type": lambda value: value in ("default", None),
        "type": lambda value: value in ("default", None),
        "partial_rotary_factor": lambda value: value in (1, None),
        "rope_theta": lambda value: value is None or isinstance(value, int | float),
    }
    reasons = {"partial_rotary_factor": "here rotary positions turn whole heads"}
    for key, value in sorted(parameters.items(), key=lambda item: item[0] not in allowed):
        if key not in allowed or not allowed[key](value):
            reason = reasons.get(key, "here rotary positions are never scaled")
            raise FolderError(f"config.json: {place}.{key} = {value!r}: {reason}")
    return float(parameters.get("rope_theta") or default)


def our_gated_activation(theirs: str) -> Activation:
    """The name here of a feed-forward network whose gate goes through this function. Raises FolderError."""
    gates: dict[str, Activation] = {"silu": "swiglu", "gelu": "geglu", "gelu_tanh": "geglu_tanh"}
    name = our_activation(theirs)
    if name not in gates:
        raise FolderError(f"config.json: the activation {theirs!r} of a gate is not known here")
    return gates[name]
