"""Pictures for a notebook: HTML that stands alone, without scripts, on light ground and on dark.

What is drawn is a colour over whatever lies below, as strong as its number is large. Axes: T rows, S columns.
"""

import struct
import zlib
from base64 import b64encode
from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt
from jaxtyping import Float
from torch import Tensor

from headway.inspection.reading import legible

LONGEST = 48
"""Rows and columns that still get a label each."""
CELL, LETTER, FONT = 16, 7, 12
"""Width of a labelled cell, of a letter, and size of it, in pixels."""
MOST_LETTERS = 16
"""Of a label."""
SMALL = 96
"""Width of a picture without labels, at most, in pixels."""
POSITIVE, NEGATIVE = (59, 130, 246), (217, 119, 6)
"""Blue and amber, which are told apart by eyes that see no red or green, too."""


def heat_map(
    values: Float[Tensor, "T S"],
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    largest: float = 1.0,
) -> str:
    """A figure with a label for each row and column; `largest` is what the full colour stands for."""
    height, width = len(rows) * CELL, len(columns) * CELL
    if max(len(rows), len(columns)) > LONGEST:
        return picture(values, f"{title}, {len(rows)} × {len(columns)}", largest)
    left = LETTER * max((len(_label(each)) for each in rows), default=0) + 6
    top = LETTER * max((len(_label(each)) for each in columns), default=0) + 6
    texts = [
        f'<text x="{left - 4}" y="{top + (i + 0.75) * CELL:g}" text-anchor="end">'
        f"{escape(_label(each))}</text>"
        for i, each in enumerate(rows)
    ]
    texts += [
        f'<text transform="translate({left + (i + 0.75) * CELL:g} {top - 4}) rotate(-90)">'
        f"{escape(_label(each))}</text>"
        for i, each in enumerate(columns)
    ]
    return _figure(
        f'<svg width="{left + width + 1}" height="{top + height + 1}" role="img" '
        f'font-family="monospace" font-size="{FONT}" fill="currentColor">'
        f"<title>{escape(title)}</title>{''.join(texts)}"
        f'<image x="{left}" y="{top}" width="{width}" height="{height}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="{_address(values, largest)}"/>'
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="currentColor" '
        f'stroke-opacity="0.4"/></svg>',
        title,
    )


def picture(values: Float[Tensor, "T S"], title: str, largest: float = 1.0, width: int = SMALL) -> str:
    """A figure without labels."""
    rows, columns = values.shape
    height = max(1, min(2 * width, round(width * rows / max(1, columns))))
    return _figure(
        f'<img alt="{escape(title)}" width="{width}" height="{height}" src="{_address(values, largest)}" '
        f'style="image-rendering:pixelated;border:1px solid rgba(128,128,128,0.5)">',
        title,
    )


def side_by_side(figures: Sequence[str], title: str) -> str:
    """Figures under one title, as many in a line as there is room for."""
    return (
        f'<div style="font-family:sans-serif;font-size:13px"><div style="margin:4px 0">{escape(title)}</div>'
        f'<div style="display:flex;flex-wrap:wrap;gap:12px;align-items:flex-end">'
        f"{''.join(figures)}</div></div>"
    )


def folded(title: str, content: str, *, is_open: bool = False) -> str:
    """Content that a click on its title shows or hides."""
    return (
        f'<details{" open" if is_open else ""} style="margin:4px 0">'
        f'<summary style="cursor:pointer;font-family:sans-serif;font-size:13px">{escape(title)}</summary>'
        f"{content}</details>"
    )


def _figure(drawn: str, title: str) -> str:
    return (
        f'<figure style="margin:0;display:inline-block;font-family:sans-serif">{drawn}'
        f'<figcaption style="font-size:12px;opacity:0.8">{escape(title)}</figcaption></figure>'
    )


def _label(token: str) -> str:
    shown = legible(token)
    return shown if len(shown) <= MOST_LETTERS else shown[: MOST_LETTERS - 1] + "…"


def _address(values: Float[Tensor, "T S"], largest: float) -> str:
    """A PNG inside an address: colour by the sign of a number, opacity by its size."""
    numbers = values.detach().float().cpu().numpy()
    share = np.clip(np.abs(numbers) / (largest or 1.0), 0, 1)
    pixels = np.where((numbers < 0)[..., None], NEGATIVE, POSITIVE)
    opacity = np.nan_to_num(share * 255).round()[..., None]
    return f"data:image/png;base64,{b64encode(_png(np.concatenate((pixels, opacity), axis=2))).decode()}"


def _png(pixels: npt.NDArray[np.float64]) -> bytes:
    """The file of a picture [height, width, red green blue opacity] (ISO/IEC 15948)."""
    height, width, _ = pixels.shape
    lines = pixels.astype(np.uint8).reshape(height, -1)
    unfiltered = np.concatenate((np.zeros((height, 1), np.uint8), lines), axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(unfiltered.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )
