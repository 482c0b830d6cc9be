"""Attention as a figure for a paper, drawn by matplotlib (extra `plot`). Axes: H heads, T queries, S keys."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jaxtyping import Float
from torch import Tensor

from headway.errors import UserError
from headway.inspection.reading import legible
from headway.inspection.record import AttentionRecord
from headway.inspection.summaries import merge_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Style = Literal["map", "lines"]

SUFFIXES = (".png", ".svg", ".pdf")
MOST_ACROSS = 4
"""Heads side by side."""
INCH = 0.19
"""Room of a token."""
FAINTEST = 0.02
"""Weight below which no line is drawn."""
FONT_SIZE = 8


def draw(
    record: AttentionRecord, heads: Sequence[int] = (), *, style: Style = "map", words: bool = False
) -> "Figure":
    """A figure of some heads, counted from 1, or of all: a heat map each, or lines from queries to keys.

    Lines of several heads share one picture, a colour each. With `words` the tokens of a word are one. Raises
    UserError for a head that there is not, and where matplotlib is missing.
    """
    count = len(record.weights)
    for head in heads:
        if not 1 <= head <= count:
            raise UserError(f"there is no head {head}: this layer has heads 1 to {count}")
    weights, queries, keys = record.weights, record.queries.tokens, record.keys.tokens
    if words:
        weights = merge_words(weights, record.queries.words, record.keys.words)
        queries, keys = _joined(queries, record.queries.words), _joined(keys, record.keys.words)
    chosen = [head - 1 for head in heads] or list(range(count))
    queries, keys = [legible(token) for token in queries], [legible(token) for token in keys]
    if style == "lines":
        return _lines(weights[chosen], queries, keys, chosen)
    return _maps(weights[chosen], queries, keys, chosen)


def save_figure(figure: "Figure", path: Path) -> None:
    """Write the figure in the format that the suffix names; the same figure makes the same bytes.

    Raises UserError for another suffix or a place that cannot be written to.
    """
    import matplotlib

    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: a figure's name ends in {', '.join(SUFFIXES)}")
    dated = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}[path.suffix]
    plain = matplotlib.rc_context({"svg.hashsalt": "headway", "svg.fonttype": "none"})
    with plain, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a script that the font lacks
        try:
            figure.savefig(path, dpi=200, bbox_inches="tight", metadata=dated)
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error


def _maps(weights: Float[Tensor, "H T S"], queries: list[str], keys: list[str], heads: list[int]) -> "Figure":
    across = min(len(heads), MOST_ACROSS)
    down = math.ceil(len(heads) / across)
    size = (across * (len(keys) * INCH + 0.9), down * (len(queries) * INCH + 0.9))
    figure = _figure((size[0] + 0.8, size[1]))
    axes = list(figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).flat)
    largest = float(weights.max())
    image = None
    for place, axis in enumerate(axes):
        if place >= len(heads):
            axis.set_axis_off()
            continue
        image = axis.imshow(weights[place].numpy(), cmap="Blues", vmin=0, vmax=largest)
        axis.set_title(f"head {heads[place] + 1}", fontsize=FONT_SIZE + 1)
        _label(axis, "x", keys)
        _label(axis, "y", queries)
        axis.tick_params(length=0, labelbottom=True, labelleft=place % across == 0)
    if image is not None:
        bar = figure.colorbar(image, ax=axes, shrink=min(1.0, 3 / size[1]), aspect=25)
        bar.ax.tick_params(labelsize=FONT_SIZE)
    return figure


def _lines(
    weights: Float[Tensor, "H T S"], queries: list[str], keys: list[str], heads: list[int]
) -> "Figure":
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    rows = max(len(queries), len(keys))
    figure = _figure((4.2, rows * INCH + 0.8))
    axis = figure.subplots()
    axis.set(xlim=(0, 1), ylim=(rows - 0.5, -0.5))
    axis.set_axis_off()
    colours = [colormaps["tab10"](head % 10)[:3] for head in heads]
    lines, shades = [], []
    for head, colour in zip(weights, colours, strict=True):
        for query, key in (head >= FAINTEST).nonzero().tolist():
            lines.append([(0.32, query), (0.68, key)])
            shades.append((*colour, float(head[query, key])))
    axis.add_collection(LineCollection(lines, colors=shades, linewidths=1.6))
    for place, token in enumerate(queries):
        axis.text(0.3, place, token, ha="right", va="center", fontsize=FONT_SIZE, parse_math=False)
    for place, token in enumerate(keys):
        axis.text(0.7, place, token, ha="left", va="center", fontsize=FONT_SIZE, parse_math=False)
    if len(heads) > 1:
        handles = [
            Line2D([], [], color=colour, label=f"head {h + 1}")
            for h, colour in zip(heads, colours, strict=True)
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=FONT_SIZE, frameon=False)
    return figure


def _figure(size: tuple[float, float]) -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise UserError("a figure needs the package matplotlib: pip install 'headway[plot]'") from error
    return Figure(figsize=size, layout="constrained")  # no window and no global state


def _label(axis: "Axes", which: Literal["x", "y"], tokens: list[str]) -> None:
    """A tick for each token; what looks like a formula is no formula."""
    ticks = axis.set_xticks if which == "x" else axis.set_yticks
    ticks(
        range(len(tokens)), tokens, fontsize=FONT_SIZE, rotation=90 if which == "x" else 0, parse_math=False
    )


def _joined(tokens: Sequence[str], words: Sequence[int]) -> list[str]:
    found = [""] * (max(words, default=-1) + 1)
    for token, word in zip(tokens, words, strict=True):
        found[word] += token
    return found
