"""Roles of tokens: what they frame, and what is never written."""

import pytest

from headway.errors import FolderError
from headway.text.special import OURS, SpecialIds


def test_ours_frame_texts_and_sources_as_the_paper_does() -> None:
    assert OURS.start([7]) == [2, 7]
    assert OURS.whole([7, 8]) == [2, 7, 8, 3]
    assert OURS.source([7, 8]) == [7, 8, 3]
    assert OURS.never_chosen == [0, 1, 2, 4]
    assert OURS.all == {0, 1, 2, 3, 4}


def test_without_a_start_a_text_begins_by_itself() -> None:
    gpt2 = SpecialIds(pad=9, unknown=9, begin=None, end=9, mask=None)
    assert gpt2.start([]) == []
    assert gpt2.start([7]) == [7]
    assert gpt2.whole([7]) == [7, 9]
    assert gpt2.never_chosen == [], "what ends a text is never forbidden, whatever else it does"


def test_roles_that_share_a_token() -> None:
    bart = SpecialIds(pad=1, unknown=3, begin=2, end=2, mask=5, source_begin=0)
    assert bart.whole([7]) == [2, 7, 2]
    assert bart.source([7]) == [0, 7, 2]
    assert bart.never_chosen == [0, 1, 3, 5]
    marian = SpecialIds(pad=8, unknown=1, begin=8, end=0, mask=None)
    assert marian.start([7]) == [8, 7]
    assert marian.never_chosen == [1, 8]


def test_an_id_below_zero_is_refused() -> None:
    with pytest.raises(FolderError, match="0 or more"):
        SpecialIds(pad=-1)
