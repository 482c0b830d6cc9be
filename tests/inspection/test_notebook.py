"""What a notebook shows: HTML that is whole, stands alone, and says nothing that a text slipped in."""

import re
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO

import pytest
import torch

from headway.api import Pipeline
from headway.inspection import notebook
from headway.inspection.notebook import folded, heat_map, picture, side_by_side
from headway.inspection.reading import Row
from headway.inspection.record import AttentionRecord
from headway.model.config import PositionConfig

from .bundles import HEADS, SOURCE, TEXT, bundle_of

HOSTILE = '<script>alert("1")</script>&\x00\x1b\u202e\'"><img src=x onerror=alert(1)>'
VOID = {"img", "br", "hr"}
HARMLESS = {
    *("div", "figure", "figcaption", "details", "summary", "img"),
    *("svg", "title", "text", "image", "rect"),
}


class Reader(HTMLParser):
    """Checks that every element is closed and harmless, and keeps the addresses and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in HARMLESS, tag
        for name, value in attrs:
            assert not name.startswith("on"), name
            if name in ("src", "href"):
                self.addresses.append(str(value))
            assert "url(" not in str(value)
        if tag not in VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not (self.open and self.open[-1] == tag):
            assert (self.get_starttag_text() or "").endswith("/>"), tag
            return
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    assert all(each.startswith("data:image/png;base64,") for each in reader.addresses)
    assert "\n" not in html, "a page in Markdown would end it at a blank line"
    return reader


def pixels(address: str) -> torch.Tensor:
    """The picture inside an address, as matplotlib reads it; numbers from 0 to 1."""
    images = pytest.importorskip("matplotlib.image")
    return torch.tensor(images.imread(BytesIO(b64decode(address.partition(",")[2])), format="png"))


@pytest.mark.parametrize("kind", ["pairs", "causal", "masked"])
def test_attention_masks_and_positions_show_themselves(kind: str) -> None:
    pipeline = Pipeline(bundle_of(kind))
    recording = pipeline.attend(SOURCE, TEXT) if kind == "pairs" else pipeline.attend(TEXT)
    shown = read(recording._repr_html_())
    assert len(shown.addresses) == len(recording.records) * (1 + HEADS)
    assert {record.name for record in recording.records} <= set(shown.texts)
    for record in recording.records:
        assert len(read(record._repr_html_()).addresses) == HEADS
    for mask in pipeline.masks(SOURCE, TEXT) if kind == "pairs" else pipeline.masks(TEXT):
        [address] = read(mask._repr_html_()).addresses
        assert torch.equal(pixels(address)[..., 3] == 1, mask.visible)
    assert len(read(pipeline.positions(7)._repr_html_()).addresses) == 2


def test_positions_without_waves_show_what_there_is() -> None:
    nothing = Pipeline(bundle_of("causal", PositionConfig(kind="none"))).positions(5)
    assert len(read(nothing._repr_html_()).addresses) == 1


def test_a_picture_is_as_strong_as_its_numbers_are_large() -> None:
    values = torch.tensor([[0.0, 0.5, 1.0], [-0.5, -2.0, float("nan")]])
    [address] = read(picture(values, "x")).addresses
    found = pixels(address)
    expected = torch.tensor([[0, 128, 255], [128, 255, 0]]) / 255
    assert torch.allclose(found[..., 3], expected)
    for cell, colour in (((0, 2), notebook.POSITIVE), ((1, 1), notebook.NEGATIVE)):
        assert torch.allclose(found[cell][:3] * 255, torch.tensor(colour, dtype=torch.float32))
    weaker = pixels(read(picture(values, "x", largest=4.0)).addresses[0])
    assert torch.allclose(weaker[1, 1, 3] * 255, torch.tensor(128.0))


def test_nothing_in_a_text_becomes_markup() -> None:
    row = Row([1], [HOSTILE], [0])
    record = AttentionRecord("encoder", 1, "self", torch.ones(1, 1, 1), row, row)
    shown = read(record._repr_html_())
    assert "<scri" in "".join(shown.texts)
    for html in (picture(torch.ones(1, 1), HOSTILE), side_by_side([], HOSTILE), folded(HOSTILE, "")):
        assert HOSTILE.partition("\x00")[0] in "".join(read(html).texts)


def test_many_tokens_have_a_picture_without_labels() -> None:
    tokens = [f"t{i}" for i in range(notebook.LONGEST + 1)]
    shown = read(heat_map(torch.zeros(len(tokens), 2), tokens, ["a", "b"], "head 1"))
    assert shown.texts == [f"head 1, {len(tokens)} × 2"]
    labelled = read(heat_map(torch.zeros(2, 2), ["▁a", "b" * 99], ["c", ""], "head 1"))
    assert {"a", "c", "b" * (notebook.MOST_LETTERS - 1) + "…"} <= set(labelled.texts)


def test_colours_lie_over_any_ground() -> None:
    html = Pipeline(bundle_of("causal")).attend(TEXT)._repr_html_()
    assert not re.search(r"background|#[0-9a-f]{3,6}\b|(?<!current)color:", html)
    assert 'fill="currentColor"' in html
