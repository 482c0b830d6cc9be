"""Batches decoded at once are the batches decoded one after the other."""

import threading
from collections.abc import Iterator

import pytest
import torch

from headway.decoding import generator
from headway.decoding.generator import Generator
from headway.decoding.settings import SearchConfig
from headway.decoding.threads import in_threads, workers
from headway.errors import UserError

from .toys import tiny


@pytest.fixture
def cores() -> Iterator[None]:
    """Four of them, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_each_has_its_share_of_the_cores_and_all_are_there_afterwards(cores: None) -> None:
    both = threading.Barrier(2, timeout=10)

    def work(batch: list[int]) -> tuple[list[int], int]:
        both.wait()  # they are at work at the same time
        return batch, torch.get_num_threads()

    assert in_threads(work, [[1], [2], [3], [4]], 2) == [([number], 2) for number in (1, 2, 3, 4)]
    assert torch.get_num_threads() == 4
    seen = []
    later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert seen == [4], "threads to come have what this one has"


def test_a_mistake_is_raised_as_it_is(cores: None) -> None:
    def work(batch: list[int]) -> None:
        raise UserError(f"batch {batch[0]}")

    with pytest.raises(UserError, match="batch 1"):
        in_threads(work, [[1], [2]], 2)
    assert torch.get_num_threads() == 4


def test_one_batch_needs_no_thread(cores: None) -> None:
    assert in_threads(lambda batch: threading.current_thread(), [[1]], 4) == [threading.main_thread()]
    assert workers(torch.device("cpu")) == 4
    assert workers(torch.device("cuda")) == 1, "a GPU has enough to do with one"


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_outputs_are_the_same_in_the_same_order(
    method: str, cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = SearchConfig(method=method, max_length=8, batch_tokens=60)  # type: ignore[arg-type]
    texts = [" ".join("abc"[i % 3] for i in range(1 + number % 7)) for number in range(23)]
    found = {}
    for count in (1, 3):
        monkeypatch.setattr(generator, "workers", lambda device, count=count: count)
        found[count] = [
            [each.ids for each in of_text] for of_text in Generator(tiny(1, 1), search).generate(texts)
        ]
    assert found[1] == found[3]
