"""Several processes are one: the same global batches give the same run, whoever computes which part."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, multiprocessing

from headway.batch import NO_LABEL
from headway.data.in_memory import InMemory
from headway.data.loader import BatchConfig, Loader
from headway.data.objectives import CausalObjective
from headway.runtime import Parallel
from headway.text.special import SpecialIds
from headway.training.distributed import ALONE, Ranks, is_launched, joined
from headway.training.optimizer import build_optimizer
from headway.training.parallel import spread, whole_state
from headway.training.state import TrainState
from headway.training.step import train_step

from .toys import VOCABULARY, plan_of, tiny_model


def train_as(ranks: Ranks, how: Parallel, steps: int, accumulate: int) -> dict[str, Tensor]:
    """Weights after some steps in float64, of a model that every process starts alike; and the losses."""
    torch.manual_seed(0)
    model = tiny_model().double()
    trainee = spread(model, ranks, how)
    plan = plan_of(optimizer={"kind": "adamw", "weight_decay": 0.1, "clip": 0.5})
    optimizer = build_optimizer(model, plan.optimizer, 0.01)
    state = TrainState(model, optimizer, ranks=ranks, spread=trainee)
    lengths = np.random.default_rng(0).integers(1, 9, 37)
    texts = InMemory([np.random.default_rng(n).integers(5, VOCABULARY, n) for n in lengths])
    config = BatchConfig(tokens=24, context=12, accumulate=accumulate)
    loader = Loader(texts, CausalObjective(SpecialIds()), config, seed=1, rank=ranks.rank, world=ranks.world)
    losses: list[float] = []
    epoch = 0
    while len(losses) < steps:
        for batches in loader.epoch(epoch):
            report = train_step(state, batches, 0.01, smoothing=0.1, clip=0.5, precision="float32")
            losses.append(report.loss)
        epoch += 1
    return {**whole_state(model), "losses": torch.tensor(losses, dtype=torch.float64)}


def work(rank: int, world: int, port: int, steps: int, accumulate: int, out: str) -> None:
    """One of the processes, as torchrun would have started it."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    assert is_launched()
    with joined(torch.device("cpu")) as ranks:
        assert (ranks.rank, ranks.world, ranks.is_first) == (rank, world, rank == 0)
        assert ranks.sum([1, rank]) == [world, sum(range(world))]
        assert ranks.first_says(f"from {rank}") == "from 0"
        for how in ("ddp", "fsdp"):
            weights = train_as(ranks, how, steps, accumulate)
            if ranks.is_first:
                save_file(weights, f"{out}.{how}")


def free_port() -> int:
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return int(each.getsockname()[1])


def compare(tmp_path: Path, world: int, steps: int, accumulate: int) -> None:
    alone = train_as(ALONE, "ddp", steps, 1)
    out = str(tmp_path / "weights")
    multiprocessing.spawn(work, (world, free_port(), steps, accumulate, out), nprocs=world)
    for how in ("ddp", "fsdp"):
        together = load_file(f"{out}.{how}")
        assert together.keys() == alone.keys()
        for name, expected in alone.items():
            torch.testing.assert_close(together[name], expected, rtol=0, atol=1e-9, msg=f"{how} {name}")


def test_two_processes_are_one(tmp_path: Path) -> None:
    compare(tmp_path, world=2, steps=15, accumulate=2)


@pytest.mark.slow
@pytest.mark.parametrize(("world", "accumulate"), [(2, 1), (2, 3), (4, 2)])
def test_any_number_of_processes_is_one_over_many_steps(tmp_path: Path, world: int, accumulate: int) -> None:
    compare(tmp_path, world, steps=200, accumulate=accumulate)


def test_alone_nothing_is_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined(torch.device("cpu")) as ranks:
        assert ranks is ALONE
        assert ranks.sum([2.0, 3.0]) == [2.0, 3.0]
        assert ranks.first_says("word") == "word"
        ranks.wait()
    model = tiny_model()
    assert spread(model, ALONE, "fsdp") is model


def test_every_process_has_as_many_micro_batches_and_each_row_counts_once() -> None:
    """Where there are fewer rows than shares, some hold a row without labels."""
    texts = InMemory([np.arange(5, 5 + n) % VOCABULARY for n in (9, 8, 3, 3, 2)])
    config = BatchConfig(tokens=24, context=12, packing=False, accumulate=3)
    shares = [
        list(Loader(texts, CausalObjective(SpecialIds()), config, seed=0, rank=rank, world=4).epoch(0))
        for rank in range(4)
    ]
    whole = list(Loader(texts, CausalObjective(SpecialIds()), config, seed=0).epoch(0))
    for step, parts in enumerate(zip(*shares, strict=True)):
        assert len({len(part) for part in parts}) == 1
        labels = [int((batch.labels != NO_LABEL).sum()) for part in parts for batch in part]
        assert sum(labels) == sum(int((batch.labels != NO_LABEL).sum()) for batch in whole[step])
    assert any(not (batch.labels != NO_LABEL).any() for part in shares[-1] for batch in part)
