"""The shapes in signatures and dataclass fields are no mere comments: under test a wrong one is an error."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from jaxtyping import TypeCheckError

from headway.batch import NO_LABEL, Batch, Tokens
from headway.model.positions import Rotation
from tests.shape_checks import begin_test


def refused(function: Callable[..., Any], *some: Any, **named: Any) -> None:
    begin_test()
    with pytest.raises(TypeCheckError):
        function(*some, **named)


def test_a_wrong_shape_is_caught_in_a_dataclass() -> None:
    ids = torch.zeros(2, 3, dtype=torch.long)
    refused(Tokens, ids[0])
    refused(Tokens, ids, ids[:, :2])
    refused(Batch, Tokens(ids), labels=ids.float())


def test_a_wrong_shape_is_caught_in_a_function() -> None:
    turn = Rotation(cos=torch.ones(1, 1, 5, 4), sin=torch.zeros(1, 1, 5, 4))
    x = torch.ones(2, 3, 5, 8)
    assert turn(x).equal(x)
    refused(turn, x[0])
    refused(turn, x.long())


def test_of_many_calls_some_are_checked() -> None:
    turn = Rotation(cos=torch.ones(1, 1, 5, 4), sin=torch.zeros(1, 1, 5, 4))
    wrong = torch.ones(3, 5, 8)
    begin_test()
    caught = 0
    for _ in range(16):
        try:
            turn(wrong)
        except TypeCheckError:
            caught += 1
    assert caught == 3, "the first, the fourth and the sixteenth"


def test_right_shapes_pass() -> None:
    ids = torch.ones(2, 3, dtype=torch.long)
    batch = Batch(
        Tokens(ids, ids), torch.full((2, 3), NO_LABEL), source=Tokens(torch.ones(2, 5, dtype=torch.long))
    )
    assert batch.to(torch.device("cpu")).labels.eq(NO_LABEL).all()
