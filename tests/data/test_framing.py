from itertools import chain

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headway.data.framing import frame, place
from headway.text.tokenizer import BEGIN, END

PIECES = st.lists(
    st.tuples(st.lists(st.integers(5, 99), max_size=6), st.booleans(), st.booleans()), min_size=1
)


@given(PIECES)
def test_pieces_are_framed_where_it_is_asked(drawn: list[tuple[list[int], bool, bool]]) -> None:
    pieces = [np.array(ids, dtype=np.uint16) for ids, _, _ in drawn]
    begins, ends = (np.array([piece[side] for piece in drawn]) for side in (1, 2))
    framed = frame(pieces, begins, ends, (BEGIN, END))
    expected = [[BEGIN] * begin + ids + [END] * end for ids, begin, end in drawn]
    assert framed.ids.tolist() == list(chain.from_iterable(expected))
    assert framed.widths.tolist() == [len(piece) for piece in expected]
    assert framed.ids[framed.text].tolist() == list(chain.from_iterable(ids for ids, _, _ in drawn))


@given(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4), min_size=1, max_size=6))
def test_pieces_stand_side_by_side_from_the_left(rows: list[list[int]]) -> None:
    widths = np.array(list(chain.from_iterable(rows)))
    places = place(widths, np.array([len(row) for row in rows]))
    length = max(sum(row) for row in rows)
    assert places.shape == (len(rows), length)
    segments = [list(chain.from_iterable([n + 1] * width for n, width in enumerate(row))) for row in rows]
    expected = [row + [0] * (length - len(row)) for row in segments]
    assert places.rows(places.segments, 0).tolist() == expected
    numbers = np.arange(1, widths.sum() + 1)
    table = places.rows(numbers, 0)
    assert table[table > 0].tolist() == numbers.tolist()
    assert places.packed == any(len(row) > 1 for row in rows)
    assert places.padded == any(sum(row) < length for row in rows)
