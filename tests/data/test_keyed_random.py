import numpy as np

from headway.data.keyed_random import Draw, keyed_bits, keyed_order, keyed_uniform

KEYS = np.arange(20_000)


def test_a_number_does_not_depend_on_what_is_asked_with_it() -> None:
    together = keyed_uniform(7, 3, Draw.MASK_CHOICE, KEYS, KEYS[::-1])
    alone = keyed_uniform(7, 3, Draw.MASK_CHOICE, KEYS[50:51], KEYS[::-1][50:51])
    assert alone[0] == together[50]


def test_every_part_of_the_key_counts() -> None:
    def bits(seed: int = 1, epoch: int = 2, draw: Draw = Draw.MASK_KIND, shift: int = 0) -> np.ndarray:
        return keyed_bits(seed, epoch, draw, KEYS, KEYS + shift)

    changed = [bits(seed=2), bits(seed=-1), bits(epoch=3), bits(draw=Draw.MASK_TOKEN), bits(shift=1)]
    assert all(not (other == bits()).any() for other in changed)
    assert not (bits(seed=1, epoch=2) == bits(seed=2, epoch=1)).any()


def test_the_type_of_a_key_does_not_count() -> None:
    small = keyed_bits(0, 0, Draw.MASK_KIND, KEYS.astype(np.uint16))
    assert (small == keyed_bits(0, 0, Draw.MASK_KIND, KEYS)).all()


def test_numbers_are_spread_evenly_and_neighbours_are_unrelated() -> None:
    numbers = keyed_uniform(0, 0, Draw.MASK_CHOICE, KEYS, np.zeros_like(KEYS))
    assert numbers.min() >= 0
    assert numbers.max() < 1
    # Standard errors: 0.009 of a tenth's share, 0.007 of a correlation.
    assert np.allclose(np.histogram(numbers, 10, (0, 1))[0] / len(KEYS), 0.1, atol=0.01)
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.035
    by_epoch = keyed_uniform(0, 1, Draw.MASK_CHOICE, KEYS, np.zeros_like(KEYS))
    assert abs(np.corrcoef(numbers, by_epoch)[0, 1]) < 0.035


def test_an_order_holds_each_place_once_and_moves_with_the_epoch() -> None:
    first, second = (keyed_order(5, epoch, Draw.EXAMPLE_ORDER, 1000) for epoch in (0, 1))
    assert (np.sort(first) == np.arange(1000)).all()
    assert (np.sort(second) == np.arange(1000)).all()
    assert (first == second).mean() < 0.02
