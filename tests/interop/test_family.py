"""Reading settings strictly, and what a family says of a model."""

import pytest

from headway.errors import FolderError
from headway.interop.families.marian import MARIAN
from headway.interop.family import Reader, Rule, our_activation, refused
from headway.model.config import NormConfig, TransformerConfig

PAPER = TransformerConfig(vocab_size=50)


def test_settings_that_nobody_asked_for_are_refused() -> None:
    read = Reader({"d_model": 4, "use_cache": True, "novel": 1, "old": 2})
    assert read.take("d_model", int) == 4
    read.ignore("old")
    with pytest.raises(FolderError, match=r"config\.json: novel = 1 is not known for this family"):
        read.finish()


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({}, int, "x is missing"),
        ({"x": None}, int, "x is missing"),
        ({"x": "4"}, int, "x = '4' is of the wrong type"),
        ({"x": True}, int, "x = True is of the wrong type"),
        ({"x": 1}, bool, "x = 1 is of the wrong type"),
        ({"x": True}, float, "x = True is of the wrong type"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], kind: type, message: str) -> None:
    with pytest.raises(FolderError, match=message):
        Reader(settings).take("x", kind)


def test_defaults_stand_for_what_is_missing_or_null() -> None:
    read = Reader({"x": None, "y": 2})
    assert read.take("x", float, 0.5) == 0.5
    value = read.take("y", float, 0.5)
    assert value == 2 and isinstance(value, float)
    assert not read.has("x") and read.has("y") and not read.has("z")


def test_what_must_be_so_is_said_with_the_reason() -> None:
    read = Reader({"x": 3})
    assert read.need("x", [2, 3], 2, "why") == 3
    assert read.need("z", [2, 3], 2, "why") == 2
    with pytest.raises(FolderError, match=r"config\.json: x = 3: because"):
        read.need("x", [2], 2, "because")


def test_an_unknown_activation_is_named_with_the_known() -> None:
    assert our_activation("gelu_new") == our_activation("gelu_pytorch_tanh") == "gelu_tanh"
    with pytest.raises(FolderError, match=r"'mish' is not known here; known are .*relu"):
        our_activation("mish")


def test_the_rules_that_a_model_breaks() -> None:
    assert MARIAN.broken(PAPER) == []
    pre = TransformerConfig(vocab_size=50, norm=NormConfig(position="pre", epsilon=1e-6))
    assert refused(MARIAN.broken(pre)) == (
        "it normalizes after each sub-layer (change: model.norm.position=post); "
        "its norms have an epsilon of 1e-5 (change: model.norm.epsilon=1e-5)"
    )
    decoder = TransformerConfig(vocab_size=50, encoder_layers=0)
    assert refused(MARIAN.broken(decoder)) == "it is an encoder-decoder"


def test_a_reason_without_a_remedy_stands_alone() -> None:
    assert refused([Rule(lambda _: False, "it is so", "")]) == "it is so"
