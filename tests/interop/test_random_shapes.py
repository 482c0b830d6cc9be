"""Models of any shape: exported exactly and back, or refused with the table's own reason and remedy."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from headway.batch import Tokens
from headway.bundle import Bundle
from headway.config import apply_overrides, from_table, table_of
from headway.errors import UserError
from headway.interop.compatibility import FAMILIES, family_of, verdict
from headway.interop.family import Family
from headway.interop.huggingface import read_transformers, write_transformers
from headway.interop.proof import Row
from headway.interop.transformers_model import TransformersModel
from headway.interop.weights import Weights, weights_of
from headway.model.config import Architecture, TransformerConfig
from tests.interop.random_models import bundle_of, config_of, shapes

pytest.importorskip("transformers")

LAYERS: dict[Architecture, list[tuple[int, int]]] = {
    "encoder-decoder": [(1, 1), (2, 1)],
    "encoder": [(2, 0)],
    "decoder": [(0, 2)],
}


def row_of(bundle: Bundle) -> Row:
    source, target = bundle.tokenizers
    framed = None if source is None else source.special.source(source.encode("abmnqr"))
    return Row(framed, [], target.special.start(target.encode("abcdabcdl")), [])


@torch.no_grad()
def logits_of(bundle: Bundle) -> torch.Tensor:
    row = row_of(bundle)
    source = None if row.source is None else Tokens(torch.tensor([row.source]))
    return bundle.model.logits(bundle.model(Tokens(torch.tensor([row.inputs])), source))[0]


@dataclass(frozen=True)
class Whole:
    """What overrides speak of."""

    model: TransformerConfig


def advised(config: TransformerConfig, family: Family) -> TransformerConfig:
    """The model with what the family's broken rules say is to be changed."""
    changes = " ".join(rule.change for rule in family.broken(config)).split()
    table = {"model": table_of(config)}
    if "text.source," in changes:
        table["model"].pop("source_vocab_size")
    overrides = [each for each in changes if each.startswith("model.")]
    return from_table(TransformerConfig, apply_overrides(Whole, table, overrides)["model"])


def close(ours: Weights, theirs: Weights) -> bool:
    return ours.keys() == theirs.keys() and all(
        torch.allclose(tensor, theirs[name], rtol=1e-5, atol=1e-7) for name, tensor in ours.items()
    )


def check_exact(bundle: Bundle, family: Family) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        assert write_transformers(bundle, folder).name == family.name
        ours = logits_of(bundle)
        theirs = TransformersModel(folder, family.architecture).measure(row_of(bundle))
        spread = ours.max() - ours.min()
        assert float((ours - theirs).abs().max() / spread) <= 1e-5
        back = read_transformers(folder)
        assert float((logits_of(back) - ours).abs().max() / spread) <= 1e-5
        written = family.export_weights(bundle.config, weights_of(bundle.model))
        again = family.export_weights(back.config, weights_of(back.model))
        assert close(again, written)


def check(shape: dict[str, Any], family: Family) -> None:
    """The shape as drawn, and as the family's own advice changes it."""
    drawn = config_of(shape)
    found = verdict("transformers", drawn)
    if found.possible:
        check_exact(bundle_of(drawn), family_of(drawn))
    else:
        with tempfile.TemporaryDirectory() as name:
            with pytest.raises(UserError) as caught:
                write_transformers(bundle_of(drawn), Path(name))
            assert not list(Path(name).iterdir())
        assert all(rule.reason in str(caught.value) for rule in found.broken)
    held = advised(drawn, family)
    assert family.broken(held) == []
    check_exact(bundle_of(held), family_of(held))


FAMILY_IDS = [family.name for family in FAMILIES]


@pytest.mark.parametrize("family", FAMILIES, ids=FAMILY_IDS)
def test_any_shape_is_exact_or_refused(family: Family) -> None:
    @seed(0)
    @settings(max_examples=2, phases=[Phase.generate])
    @given(shapes(LAYERS[family.architecture]))
    def drawn(shape: dict[str, Any]) -> None:
        check(shape, family)

    drawn()


@pytest.mark.slow
@settings(max_examples=200, phases=[Phase.generate])
@given(st.sampled_from(FAMILIES), st.data())
def test_two_hundred_shapes_are_exact_or_refused(family: Family, data: st.DataObject) -> None:
    check(data.draw(shapes(LAYERS[family.architecture])), family)
