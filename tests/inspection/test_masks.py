"""Masks are shown as the passes bind them."""

import torch
from torch import Tensor

from headway.inspection.masks import MaskView, mask_views
from headway.inspection.record import record_attention
from headway.model.config import AttentionConfig

from .bundles import SOURCE, TEXT, bundle_of, source_of


def views_of(kind: str, text: str = TEXT, attention: AttentionConfig | None = None) -> dict[str, MaskView]:
    bundle = bundle_of(kind, attention=attention)
    return {view.name: view for view in mask_views(bundle, source_of(kind), text)}


def lower(size: int) -> Tensor:
    return torch.ones(size, size, dtype=torch.bool).tril()


def test_each_kind_shows_its_masks() -> None:
    pairs = views_of("pairs")
    assert list(pairs) == ["encoder to itself", "decoder to itself", "decoder to memory"]
    own, memory = pairs["decoder to itself"], pairs["decoder to memory"]
    assert torch.equal(own.visible, lower(len(own.queries.ids)))
    assert memory.visible.all()
    assert memory.visible.shape == (len(own.queries.ids), len(SOURCE) + 1)
    assert pairs["encoder to itself"].visible.all()
    assert list(views_of("causal")) == ["decoder to itself"]
    assert list(views_of("masked")) == ["encoder to itself"]


def test_what_is_shown_is_what_has_weight() -> None:
    for kind in ("pairs", "causal", "masked"):
        views = views_of(kind)
        for record in record_attention(bundle_of(kind), source_of(kind), TEXT).records:
            name = "decoder to memory" if record.sees == "memory" else f"{record.stack} to itself"
            assert torch.equal(views[name].visible, record.weights[0] > 0)


def test_local_layers_have_a_view_of_their_own() -> None:
    views = views_of("causal", attention=AttentionConfig(window=2, global_every=2))
    assert set(views) == {"decoder to itself", "decoder to itself, at most 2 away"}
    local, whole = views["decoder to itself, at most 2 away"].visible, views["decoder to itself"].visible
    assert torch.equal(local, whole.triu(-2))


def test_lines_are_also_shown_as_packed_documents() -> None:
    for kind, stack in (("causal", "decoder"), ("masked", "encoder")):
        views = views_of(kind, "the cat\n\nsat on a mat")
        packed = views[f"{stack} to itself, each line a document"]
        assert packed.queries.tokens.count("<s>") == 2
        second = packed.queries.tokens.index("<s>", 1)
        assert not packed.visible[second:, :second].any()
        assert not packed.visible[:second, second:].any()
        for block in (packed.visible[:second, :second], packed.visible[second:, second:]):
            assert torch.equal(block, lower(len(block)) if kind == "causal" else torch.ones_like(block))
