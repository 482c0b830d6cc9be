"""Several processes are one: the same global batches give the same run, whoever computes which part."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, multiprocessing, nn

from headway.batch import NO_LABEL
from headway.data.in_memory import InMemory
from headway.data.loader import BatchConfig, Loader
from headway.data.objectives import CausalObjective, PairsObjective
from headway.runtime import Parallel
from headway.text.special import SpecialIds
from headway.training.checkpoint import Checkpoints
from headway.training.distributed import ALONE, Ranks, is_launched, joined
from headway.training.optimizer import build_optimizer
from headway.training.parallel import spread, whole
from headway.training.settings import LossConfig
from headway.training.state import TrainState
from headway.training.step import train_step

from .toys import VOCABULARY, plan_of, tiny_model


def whole_state(model: nn.Module) -> dict[str, Tensor]:
    """All parameters by name, put together from all processes, which must all ask for them."""
    return {name: whole(parameter.detach()).contiguous() for name, parameter in model.named_parameters()}


class Training:
    """A tiny model in float64 that every process starts alike, and the batches that all share."""

    def __init__(self, ranks: Ranks, how: Parallel, accumulate: int = 1, *, pairs: bool = False) -> None:
        torch.manual_seed(0)
        model = tiny_model(encoder_layers=int(pairs)).double()
        trainee = spread(model, ranks, how)
        plan = plan_of(optimizer={"kind": "adamw", "weight_decay": 0.1, "clip": 0.5})
        optimizer = build_optimizer(model, plan.optimizer, 0.01)
        self.state = TrainState(model, optimizer, ranks=ranks, spread=trainee)
        lengths = np.random.default_rng(0).integers(1, 9, 37)
        texts = [np.random.default_rng(n).integers(5, VOCABULARY, n) for n in lengths]
        special = SpecialIds()
        self.loader = Loader(
            InMemory(texts, texts[::-1] if pairs else None),
            PairsObjective(special, special) if pairs else CausalObjective(special),
            BatchConfig(tokens=24, context=12, accumulate=accumulate),
            seed=1,
            rank=ranks.rank,
            world=ranks.world,
        )
        self.losses: list[float] = []

    def go(self, steps: int) -> None:
        """Up to so many steps in all."""
        counters = self.state.counters
        while True:
            for batches in self.loader.epoch(counters.epoch, counters.batch):
                report = train_step(
                    self.state, batches, 0.01, loss=LossConfig(0.1), clip=0.5, precision="float32"
                )
                self.losses.append(report.loss)
                counters.step, counters.batch = counters.step + 1, counters.batch + 1
                if counters.step == steps:
                    return
            counters.epoch, counters.batch = counters.epoch + 1, 0

    def found(self) -> dict[str, Tensor]:
        """Weights and losses."""
        return {**whole_state(self.state.model), "losses": torch.tensor(self.losses, dtype=torch.float64)}


def work(rank: int, world: int, port: int, job: Callable[..., None], *details: Any) -> None:
    """One of the processes, as torchrun would have started it."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    assert is_launched()
    with joined() as ranks:
        assert (ranks.rank, ranks.world, ranks.is_first) == (rank, world, rank == 0)
        job(ranks, *details)


def train_both_ways(ranks: Ranks, steps: int, accumulate: int, pairs: bool, out: Path) -> None:
    assert ranks.sum([1, ranks.rank]) == [ranks.world, sum(range(ranks.world))]
    assert ranks.first_says(f"from {ranks.rank}") == "from 0"
    for how in get_args(Parallel):
        training = Training(ranks, how, accumulate, pairs=pairs)
        training.go(steps)
        found = training.found()
        if ranks.is_first:
            save_file(found, out / how)


def go_on_and_save(ranks: Ranks, how: Parallel, steps: int, folder: Path) -> None:
    """From the newest checkpoint, if there is one, up to so many steps."""
    training, checkpoints = Training(ranks, how), Checkpoints(folder, 9, print)
    newest = checkpoints.newest_whole()
    if newest is not None:
        checkpoints.restore(training.state, newest)
    training.go(steps)
    checkpoints.save(training.state)


def free_port() -> int:
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return int(each.getsockname()[1])


def together(world: int, job: Callable[..., None], *details: Any) -> None:
    multiprocessing.spawn(work, (world, free_port(), job, *details), nprocs=world)


def compare(tmp_path: Path, world: int, steps: int, accumulate: int, *, pairs: bool) -> None:
    alone = Training(ALONE, "ddp", pairs=pairs)
    alone.go(steps)
    together(world, train_both_ways, steps, accumulate, pairs, tmp_path)
    for how in get_args(Parallel):
        assert_close(load_file(tmp_path / how), alone.found(), how)


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], what: str) -> None:
    """But for biases of keys: no output depends on them, so their gradient is rounding alone."""
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        if name.endswith(".key.bias"):
            continue
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-9, msg=f"{what} {name}")


def test_two_processes_are_one(tmp_path: Path) -> None:
    compare(tmp_path, world=2, steps=15, accumulate=2, pairs=True)


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [False, True], ids=["causal", "pairs"])
@pytest.mark.parametrize(("world", "accumulate"), [(2, 1), (2, 3), (4, 2)])
def test_any_number_of_processes_is_one_over_many_steps(
    tmp_path: Path, world: int, accumulate: int, pairs: bool
) -> None:
    compare(tmp_path, world, steps=200, accumulate=accumulate, pairs=pairs)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param((2, "fsdp"), (1, "ddp"), marks=pytest.mark.slow),
        pytest.param((2, "fsdp"), (4, "fsdp"), marks=pytest.mark.slow),
        pytest.param((2, "ddp"), (4, "fsdp"), marks=pytest.mark.slow),
        pytest.param((2, "ddp"), (1, "ddp"), marks=pytest.mark.slow),
        pytest.param((1, "ddp"), (2, "fsdp"), marks=pytest.mark.slow),
    ],
)
def test_a_checkpoint_goes_on_with_any_number_of_processes(
    tmp_path: Path, first: tuple[int, Parallel], second: tuple[int, Parallel]
) -> None:
    for (world, how), steps in ((first, 7), (second, 14)):
        if world == 1:
            go_on_and_save(ALONE, how, steps, tmp_path)
        else:
            together(world, go_on_and_save, how, steps, tmp_path)
    checkpoints = Checkpoints(tmp_path, 9, print)
    assert checkpoints.steps() == [7, 14]
    for step in (7, 14):
        alone = Training(ALONE, "ddp")
        alone.go(step)
        assert_close(checkpoints.weights(step), whole_state(alone.state.model), f"step {step}")


def test_alone_nothing_is_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined() as ranks:
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
