"""Untrained models to verify, and ways to break them."""

from collections.abc import Callable

import torch

from headway.api import Pipeline
from headway.bundle import Bundle
from headway.interop.proof import Texts
from headway.model.backends import Attend, Backend, sdpa
from headway.model.config import AttentionConfig, NormConfig, PositionConfig
from headway.model.mask import AttentionMask
from headway.model.stack import Stack
from headway.verification.law import Law
from headway.verification.subject import Subject
from tests.inspection.bundles import bundle_of

LINES = ["the cat sat on a mat", "a fat cat", "it is a mat and that cat is fat and it sat on that mat", "cat"]


def subject_of(kind: str, *shape: PositionConfig | NormConfig | AttentionConfig) -> Subject:
    """An untrained model of the kind, with a few lines of text."""
    named = {type(each): each for each in shape}
    bundle = bundle_of(
        kind,
        named.get(PositionConfig),  # type: ignore[arg-type]
        named.get(NormConfig),  # type: ignore[arg-type]
        named.get(AttentionConfig),  # type: ignore[arg-type]
    )
    return Subject(Pipeline(bundle), Texts(LINES, "given lines"))


def broken(law: Law) -> str:
    """The line of a law that is broken."""
    assert law.holds is False, law
    assert repr(law).startswith(f"BROKEN  {law.name}: ")
    return repr(law)


def backend_that(change: Callable[[AttentionMask], AttentionMask]) -> Backend:
    """A kernel that is given another mask."""

    def bind(
        mask: AttentionMask, bias: torch.Tensor | None, queries: int, keys: int, device: torch.device
    ) -> Attend:
        return sdpa(change(mask), bias, queries, keys, device)

    return bind


def stack_of(bundle: Bundle, name: str) -> Stack:
    stack = bundle.model.get_submodule(name)
    assert isinstance(stack, Stack)
    return stack
