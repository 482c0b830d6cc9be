import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headway.data.packing import best_fit, cut

WIDTHS = st.lists(st.integers(1, 25), min_size=1, max_size=60)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=10), st.integers(2, 20), st.data())
def test_pieces_join_to_the_whole(predictions: list[int], room: int, data: st.DataObject) -> None:
    n = len(predictions)
    first = np.array(data.draw(st.lists(st.integers(1, room), min_size=n, max_size=n)))
    pieces = cut(np.array(predictions), room, first)
    widths = pieces.stops - pieces.starts
    assert (widths > 0).all()
    assert (widths <= room).all()
    made = [(e, p) for e, a, b in zip(*pieces, strict=True) for p in range(a, b)]
    assert made == [(e, p) for e, count in enumerate(predictions) for p in range(count)]
    for example, count in enumerate(predictions):
        own = widths[pieces.examples == example]
        if count > room:
            assert own[0] == first[example]
            assert (own[1:-1] == room).all()
        else:
            assert len(own) == (count > 0)


def test_without_a_first_width_pieces_are_full_from_the_start() -> None:
    pieces = cut(np.array([7, 3]), 3)
    assert pieces.starts.tolist() == [0, 3, 6, 0]
    assert pieces.stops.tolist() == [3, 6, 7, 3]


@given(WIDTHS, st.integers(5, 20))
def test_rows_hold_what_fits(widths: list[int], capacity: int) -> None:
    rows = best_fit(np.array(widths), capacity)
    for row in range(rows.max() + 1):
        held = np.array(widths)[rows == row]
        assert len(held) > 0
        assert held.sum() <= capacity or len(held) == 1


@given(WIDTHS, st.integers(5, 20))
def test_classes_of_rows_are_filled_as_one_piece_at_a_time(widths: list[int], capacity: int) -> None:
    spaces: list[int] = []
    for width in sorted(widths, reverse=True):
        fitting = [space for space in spaces if space >= width]
        if fitting:
            spaces.remove(min(fitting))
            spaces.append(min(fitting) - width)
        else:
            spaces.append(max(capacity - width, 0))
    rows = best_fit(np.array(widths), capacity)
    held = np.bincount(rows, weights=widths).astype(int)
    assert sorted(np.maximum(capacity - held, 0)) == sorted(spaces)


def test_mixed_lengths_fill_more_than_95_percent() -> None:
    widths = np.minimum(np.random.default_rng(0).lognormal(4, 1, 20_000).astype(int) + 1, 256)
    rows = best_fit(widths, 256)
    assert widths.sum() / (256 * (rows.max() + 1)) > 0.95
