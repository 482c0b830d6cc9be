"""Stretches of tokens are known wherever they stand."""

import numpy as np

from headway.preflight.token_hashes import Sought, TokenHashes


def test_equal_stretches_have_equal_hashes_and_others_do_not() -> None:
    draw = np.random.default_rng(1)
    ids = draw.integers(3, size=300).astype(np.uint16)
    starts = draw.integers(290, size=2000)
    stops = starts + draw.integers(1, 10, size=2000)
    found = TokenHashes(3, 300).of(ids, starts, stops)
    stretches = [tuple(ids[a:b].tolist()) for a, b in zip(starts, stops, strict=True)]
    by_hash = {}
    for stretch, value in zip(stretches, found.tolist(), strict=True):
        assert by_hash.setdefault(value, stretch) == stretch
    assert len(by_hash) == len(set(stretches))


def test_what_is_sought_is_found_with_its_first_place() -> None:
    draw = np.random.default_rng(1)
    keys, others = draw.integers(1 << 64, size=(2, 50), dtype=np.uint64)
    sought = Sought(np.concatenate([keys, keys[:3]]))
    sought.look(others)
    assert sought.first is None
    sought.look(np.array([others[0], keys[2], keys[7]], dtype=np.uint64))
    assert sought.first == (2, 51)
    assert np.flatnonzero(sought.found).tolist() == [2, 7, 52]
