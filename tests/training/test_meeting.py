"""Processes meet those of their own start, in a store that remembers others."""

import threading

import pytest
from torch.distributed import HashStore

from headway.training import meeting
from headway.training.meeting import agreed_name


def met(store: HashStore, world: int) -> list[str]:
    """What each of so many processes takes for the name; here they are threads."""
    names = [""] * world

    def come(rank: int) -> None:
        names[rank] = agreed_name(store, rank, world)

    threads = [threading.Thread(target=come, args=(rank,)) for rank in reversed(range(world))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return names


@pytest.mark.parametrize("world", [1, 2, 4])
def test_all_agree_and_each_start_has_a_name_of_its_own(world: int) -> None:
    store = HashStore()
    starts = [met(store, world) for _ in range(3)]
    assert [len(set(names)) for names in starts] == [1, 1, 1]
    assert len({names[0] for names in starts}) == 3
    assert all(names[0] for names in starts)


def test_one_that_came_and_died_is_not_taken_for_one_that_lives() -> None:
    """It said that it was there, and nobody has answered it."""
    store = HashStore()
    store.set("headway/1", "the dead one")
    names = met(store, 2)
    assert names[0] == names[1] != ""


def test_who_never_comes_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "PATIENCE", meeting.PATIENCE / 6000)
    with pytest.raises(TimeoutError, match="1 of 2 processes have not come"):
        agreed_name(HashStore(), 0, 2)
