"""What a trainer keeps through interruptions and failures."""

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from headway import trainer
from headway.errors import FolderError
from headway.launch import train
from headway.run_folder import RunFolder
from headway.training import step
from headway.training.checkpoint import Checkpoints
from headway.training.guard import DivergedError
from headway.training.state import TrainState
from tests.tiny import train_tiny

SHORT = ["training.save_every=5", "training.validate_every=5", "training.samples=1", "model.dropout=0.1"]
KIND = "masked"


def go_on(folder: Path) -> list[str]:
    told: list[str] = []
    train(folder, say=told.append)
    return told


def lines_of(run: RunFolder, name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run.path / name).read_text("utf-8").splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "tokens_per_second")} for line in lines]


def assert_ended_alike(run: RunFolder, whole: RunFolder) -> None:
    for path in whole.model.iterdir():
        assert (run.model / path.name).read_bytes() == path.read_bytes() or path.name == "README.md"
    for name in ("metrics.jsonl", "samples.jsonl"):
        assert lines_of(run, name) == lines_of(whole, name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that nothing happened to."""
    return train_tiny(KIND, tmp_path_factory.mktemp("whole"), 15, *SHORT).folder


def held_out_loss_that(does: Callable[[], None], call: int) -> Callable[..., dict[str, float]]:
    """As it is, but that something happens at the beginning of one of its calls."""
    calls, really = iter(range(1, 99)), trainer.held_out_loss

    def wrapped(*some: Any, **named: Any) -> dict[str, float]:
        if next(calls) == call:
            does()
        return really(*some, **named)

    return wrapped


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_validation_that_was_stopped_is_done_when_the_run_goes_on(
    tmp_path: Path, whole: RunFolder, number: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = held_out_loss_that(lambda: signal.raise_signal(number), call=2)
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "held_out_loss", stop)
        outcome = train_tiny(KIND, tmp_path, 15, *SHORT)
    run = outcome.folder
    assert (outcome.exit_status, outcome.metrics, run.is_finished) == (status, {}, False)
    newest = max(run.checkpoints.glob("step-*"))
    assert newest.name == "step-00000010"
    assert json.loads((newest / "state.json").read_text("utf-8"))["look_due"]
    assert [line["step"] for line in lines_of(run, "metrics.jsonl") if "validation" in line] == [5]
    go_on(run.path)
    assert_ended_alike(run, whole)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("place", ["headway.data.prepare.encode_stream", "headway.trainer.save_bundle"])
def test_a_signal_while_text_is_encoded_or_the_model_is_written_loses_nothing(
    tmp_path: Path,
    whole: RunFolder,
    place: str,
    number: int,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(*_: Any) -> Iterator[Any]:
        signal.raise_signal(number)
        raise AssertionError("the signal was not heard")

    with monkeypatch.context() as patched:
        patched.setattr(place, stop)
        outcome = train_tiny(KIND, tmp_path, 15, *SHORT)
    assert (outcome.exit_status, outcome.metrics) == (status, {})
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    go_on(outcome.folder.path)
    assert_ended_alike(outcome.folder, whole)


def test_asked_while_the_last_step_is_saved_it_stops_before_the_model(
    tmp_path: Path, whole: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Checkpoints.save

    def and_stop(self: Checkpoints, state: TrainState) -> None:
        save(self, state)
        if state.counters.finished:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save", and_stop)
        outcome = train_tiny(KIND, tmp_path, 15, *SHORT)
    assert (outcome.exit_status, outcome.folder.is_finished) == (143, False)
    go_on(outcome.folder.path)
    assert_ended_alike(outcome.folder, whole)


def test_what_is_fast_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other load on the machine later would say otherwise."""
    monkeypatch.setattr(trainer, "choose_precision", lambda *_: "bfloat16")
    monkeypatch.setattr(trainer, "choose_kernel", lambda *_: "matmul")
    run = train_tiny(KIND, tmp_path, 10, *SHORT).folder
    weights = (run.model / "model.safetensors").read_bytes()
    shutil.rmtree(run.model)
    shutil.rmtree(max(run.checkpoints.iterdir()))

    def again(*_: Any) -> str:
        raise AssertionError("measured again")

    monkeypatch.setattr(trainer, "choose_precision", again)
    monkeypatch.setattr(trainer, "choose_kernel", again)
    told = go_on(run.path)
    assert [line for line in told if line.endswith("bfloat16")]
    assert (run.model / "model.safetensors").read_bytes() == weights, "bit for bit in bfloat16 too"


def test_layers_are_computed_as_the_recipe_says(
    tmp_path: Path, whole: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    really, use = trainer.recompute_layers, trainer.use_kernel
    monkeypatch.setattr(trainer, "recompute_layers", lambda m: asked.append("recompute") or really(m))
    monkeypatch.setattr(trainer, "use_kernel", lambda m, kernel: asked.append(kernel) or use(m, kernel))
    monkeypatch.setattr(trainer, "compile_layers", lambda m: asked.append("compile"))
    settings = ["runtime.recompute=true", "runtime.attention=sdpa", "runtime.compile=true"]
    run = train_tiny(KIND, tmp_path, 15, *SHORT, *settings).folder
    assert asked == ["recompute", "compile", "sdpa"]
    weights = "model.safetensors"
    assert (run.model / weights).read_bytes() == (whole.model / weights).read_bytes(), "to the last bit"
    matmul = train_tiny(KIND, tmp_path / "matmul", 15, *SHORT, "runtime.attention=matmul").folder
    assert asked[-1] == "matmul"
    ours, theirs = (load_file(each.model / weights) for each in (matmul, whole))
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=0.01, atol=1e-3)


def test_a_run_that_diverged_leaves_the_batch_and_the_last_good_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, really = iter(range(1, 99)), step.token_loss

    def no_number(*some: Any) -> Any:
        loss = really(*some)
        return replace(loss, total=loss.total * torch.nan) if next(steps) > 4 else loss

    monkeypatch.setattr(step, "token_loss", no_number)
    with pytest.raises(
        DivergedError, match=r"3 steps in a row were left out.*batch is in .*safetensors"
    ) as caught:
        train_tiny(KIND, tmp_path, 15, *SHORT, "training.most_skipped=3")
    run = RunFolder(tmp_path / KIND)
    kept = load_file(run.path / trainer.FAILED_BATCH)
    [batch] = caught.value.batches
    assert torch.equal(kept["0/labels"], batch.labels)
    assert torch.equal(kept["0/inputs"], batch.inputs.ids)
    assert ("0/inputs_segments" in kept) == (batch.inputs.segments is not None)
    checkpoints = Checkpoints(run.checkpoints, 9, print)
    newest = checkpoints.newest_whole()
    assert newest == 7
    assert all(tensor.isfinite().all() for tensor in checkpoints.weights(newest).values())


@pytest.mark.parametrize("replaced", [True, False])
def test_a_folder_that_was_removed_is_not_made_again(
    tmp_path: Path, whole: RunFolder, replaced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path / KIND)

    def move() -> None:
        run.path.rename(tmp_path / "aside")
        if replaced:
            run.path.mkdir()

    with monkeypatch.context() as patched:
        patched.setattr(trainer, "held_out_loss", held_out_loss_that(move, call=2))
        with pytest.raises(FolderError, match="was removed or replaced while the run was going on"):
            train_tiny(KIND, tmp_path, 15, *SHORT)
    assert not run.checkpoints.exists()
    assert not run.model.exists()
    shutil.rmtree(run.path, ignore_errors=True)
    (tmp_path / "aside").rename(run.path)
    go_on(run.path)
    assert_ended_alike(run, whole)


def test_tokenizers_are_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no process can be killed while it writes those that the weights know."""
    run = train_tiny(KIND, tmp_path, 10, *SHORT).folder
    shutil.rmtree(run.model)

    def again(*_: Any) -> None:
        raise AssertionError("written again")

    monkeypatch.setattr(trainer, "save_tokenizers", again)
    go_on(run.path)
    assert run.is_finished
