from headway.demos.division import divide, ranked_by_hash

NAMES = [f"name {index}" for index in range(100)]


def test_parts_have_the_sizes_asked_for_and_hold_every_name_once() -> None:
    parts = divide(NAMES, valid=7, test=11)
    assert list(parts) == NAMES
    counts = {part: list(parts.values()).count(part) for part in ("train", "valid", "test")}
    assert counts == {"train": 82, "valid": 7, "test": 11}


def test_the_division_hangs_on_the_names_and_not_on_their_order() -> None:
    parts = divide(NAMES, valid=7, test=11)
    assert parts == divide(reversed(NAMES), valid=7, test=11)
    assert parts == divide([*NAMES, *NAMES], valid=7, test=11)


def test_neighbours_are_not_held_out_together() -> None:
    held_out = [index for index, name in enumerate(NAMES) if divide(NAMES, valid=5, test=15)[name] != "train"]
    assert max(held_out) - min(held_out) > 50
    assert ranked_by_hash(NAMES) != NAMES
