"""The shapes in signatures and dataclass fields are no mere comments: under test a wrong one is an error."""

import pytest
import torch
from jaxtyping import TypeCheckError

from headway.batch import NO_LABEL, Batch, Tokens
from headway.model.positions import Rotation


def test_a_wrong_shape_is_caught_in_a_dataclass() -> None:
    ids = torch.zeros(2, 3, dtype=torch.long)
    with pytest.raises(TypeCheckError):
        Tokens(ids[0])
    with pytest.raises(TypeCheckError):
        Tokens(ids, ids[:, :2])
    with pytest.raises(TypeCheckError):
        Batch(Tokens(ids), labels=ids.float())


def test_a_wrong_shape_is_caught_in_a_function() -> None:
    turn = Rotation(cos=torch.ones(1, 1, 5, 4), sin=torch.zeros(1, 1, 5, 4))
    x = torch.ones(2, 3, 5, 8)
    assert turn(x).equal(x)
    with pytest.raises(TypeCheckError):
        turn(x[0])
    with pytest.raises(TypeCheckError):
        turn(x.long())


def test_right_shapes_pass() -> None:
    ids = torch.ones(2, 3, dtype=torch.long)
    batch = Batch(
        Tokens(ids, ids), torch.full((2, 3), NO_LABEL), source=Tokens(torch.ones(2, 5, dtype=torch.long))
    )
    assert batch.to(torch.device("cpu")).labels.eq(NO_LABEL).all()
