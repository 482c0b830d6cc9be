"""Figures show the weights; what a text holds is text."""

from pathlib import Path

import numpy as np
import pytest

from headway.errors import UserError
from headway.inspection.figure import draw, save_figure
from headway.inspection.record import AttentionRecord, record_attention
from headway.inspection.summaries import merge_words

from .bundles import HEADS, bundle_of

HOSTILE = "$a_b$ \\frac{<b>&\u2028日本\x07"


def record_of(text: str = "a mat is fat") -> AttentionRecord:
    return record_attention(bundle_of("pairs"), "the cat sat", text).record("decoder", 2, "memory")


def test_a_map_is_the_weights() -> None:
    record = record_of()
    figure = draw(record, [2, 4])
    images = [axis.images[0] for axis in figure.axes if axis.images]
    assert len(images) == 2
    for image, head in zip(images, (1, 3), strict=True):
        assert np.allclose(image.get_array(), record.weights[head].numpy())
    first = figure.axes[0]
    assert [label.get_text() for label in first.get_yticklabels()] == ["a", "mat", "is", "fat", "</s>"]
    assert first.get_title() == "head 2"
    assert len([axis for axis in draw(record).axes if axis.images]) == HEADS


def test_words_are_joined() -> None:
    record = record_of("a zebra is fat")
    image = draw(record, [1], words=True).axes[0].images[0]
    merged = merge_words(record.weights, record.queries.words, record.keys.words)
    assert np.allclose(image.get_array(), merged[0].numpy())
    labels = draw(record, [1], words=True).axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == ["a", "zebra", "is", "fat", "</s>"]


def test_lines_are_as_strong_as_the_weights() -> None:
    record = record_of()
    [axis] = draw(record, [3], style="lines").axes
    [lines] = axis.collections
    strong = record.weights[2][record.weights[2] >= 0.02]
    assert sorted(lines.get_colors()[:, 3].tolist()) == pytest.approx(sorted(strong.tolist()))


@pytest.mark.parametrize(
    "suffix", [".svg", *(pytest.param(each, marks=pytest.mark.slow) for each in (".png", ".pdf"))]
)
def test_files_are_the_same_each_time_whatever_a_text_holds(tmp_path: Path, suffix: str) -> None:
    held = []
    for style in ("map", "lines"):
        for turn in "ab":
            path = tmp_path / f"{style}{turn}{suffix}"
            save_figure(draw(record_of(HOSTILE), [1, 2], style=style), path)  # type: ignore[arg-type]
            held.append(path.read_bytes())
    assert held[0] == held[1]
    assert held[2] == held[3]
    assert held[0][:4] in (b"\x89PNG", b"<?xm", b"%PDF")


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no head 5: this layer has heads 1 to 4"):
        draw(record_of(), [5])
    figure = draw(record_of(), [1])
    with pytest.raises(UserError, match=r"ends in \.png, \.svg, \.pdf"):
        save_figure(figure, tmp_path / "x.gif")
    with pytest.raises(UserError, match="cannot be written"):
        save_figure(figure, tmp_path / "nowhere" / "x.png")
