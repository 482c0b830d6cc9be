"""Faults put into real runs, and what became of them: python benchmarks/faults.py [--times N] [--seed S].

Tiny runs of the three objectives, with dropout, masks, accumulation and averaged weights, are hurt, gone on
with until they end, and compared with the run that was never hurt: model folder, metrics.jsonl but for
times, samples.jsonl. Each kind of fault is tried N times, those that take long a tenth of that. Figures go to
benchmarks/results/faults.json, faults.md and docs/reliability.md, each row as it ends, in place of an older
one of its kind; `--only WORD` tries kinds with that word.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from machine import machine
from marks import markdown, put
from trials import (
    OBJECTIVES,
    WITHIN,
    Ground,
    LostError,
    compare,
    lost_unless,
    mount,
    refused,
    small_disk,
    stopped,
    trial_log_outside,
)
from victims import Nursery, Wound

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"


def killed_at_random(ground: Ground, objective: str) -> None:
    trial = ground.trial(objective)
    trial.after(ground.moment(objective), signal.SIGKILL)
    trial.finish()


def killed_twice(ground: Ground, objective: str) -> None:
    trial = ground.trial(objective)
    for _ in range(2):
        trial.after(ground.moment(objective), signal.SIGKILL)
    trial.finish()


def killed_at_an_operation(ground: Ground, objective: str) -> None:
    trial = ground.trial(objective)
    end = trial.start(Wound("kill", str(trial.run), ground.chance.randint(1, ground.operations[objective])))
    lost_unless(end.status == -signal.SIGKILL, "it was not killed", end)
    trial.finish()


PLACES = {
    "while text is encoded": ("headway.data.token_file:TokenWriter.add", 60),
    "in a step": ("headway.training.step:token_loss", 30),
    "in validation": ("headway.trainer:token_loss", 4),
    "while samples are made": ("headway.trainer:held_out_samples", 2),
    "while a save is flushed": ("os:fsync", 40),
    "while the model is judged and written": ("headway.trainer:save_bundle", 1),
}
"""Where a signal arrives: at which call of which function, at most."""


def killed_in_places(ground: Ground, objective: str) -> None:
    trial = ground.trial(objective)
    at, most = ground.chance.choice(list(PLACES.values()))
    end = trial.start(Wound("kill", at, ground.chance.randint(1, most)))
    lost_unless(end.status == -signal.SIGKILL, f"it was not killed at {at}", end)
    trial.finish()


def asked_to_stop(number: int, status: int) -> Callable[[Ground, str], None]:
    def at_random(ground: Ground, objective: str) -> None:
        trial = ground.trial(objective)
        end, seconds = trial.after(ground.moment(objective), number)
        stopped(trial, end, status)
        lost_unless(seconds < WITHIN, f"it took {seconds:.1f} s to stop", end)
        trial.finish()

    return at_random


def asked_in_places(how: str, status: int) -> Callable[[Ground, str], None]:
    def in_a_place(ground: Ground, objective: str) -> None:
        trial = ground.trial(objective)
        at, most = ground.chance.choice(list(PLACES.values()))
        stopped(trial, trial.start(Wound(how, at, ground.chance.randint(1, most))), status)
        trial.finish()

    return in_a_place


def failing_writes(how: str) -> Callable[[Ground, str], None]:
    def fails(ground: Ground, objective: str) -> None:
        trial = ground.trial(objective)
        wound = Wound(how, str(trial.run), ground.chance.randint(1, ground.operations[objective]))
        refused(trial.start(wound))
        trial.finish()

    return fails


def really_full(ground: Ground, objective: str) -> None:
    """A disk that is full sooner or later, made larger afterwards."""
    size = ground.chance.randint(30, 400)
    with small_disk(ground.folder / f"disk-{ground.count}", f"{size}k") as disk:
        trial = ground.trial(objective, disk)
        trial_log_outside(trial)
        refused(trial.start())
        mount("-o", "remount,size=64m", str(disk))
        trial.finish()


def really_read_only(ground: Ground, objective: str) -> None:
    """A run that was killed is gone on with where nothing can be written, and once more when it can."""
    with small_disk(ground.folder / f"disk-{ground.count}", "64m") as disk:
        trial = ground.trial(objective, disk)
        trial_log_outside(trial)
        number = ground.chance.randint(1, ground.operations[objective])
        trial.start(Wound("kill", str(trial.run), number))
        mount("-o", "remount,ro", str(disk))
        end = trial.start()
        lost_unless(end.status == 0 or not (trial.run / "model").exists(), "it was finished", end)
        if end.status:
            refused(end)
        mount("-o", "remount,rw", str(disk))
        trial.finish()


def removed(ground: Ground, objective: str) -> None:
    """The folder is moved away while the run goes on: it ends with an error, and puts nothing there."""
    trial = ground.trial(objective)
    victim = ground.nursery.begin(trial.command, trial.place / "log")
    time.sleep(ground.moment(objective))
    aside = trial.place / "aside"
    there = trial.run.exists()
    if there:
        trial.run.rename(aside)
    if there and not any(aside.iterdir()):  # nothing had begun, so nothing was taken
        aside.rmdir()
        there = False
    end = victim.end()
    if there and not (aside / "model").exists():
        refused(end)
        shutil.rmtree(trial.run, ignore_errors=not (trial.run / "model").exists())
    if there:
        aside.rename(trial.run)
    trial.finish()


def second_run(ground: Ground, objective: str) -> None:
    """Another process in the folder is refused and does not disturb the first."""
    trial = ground.trial(objective)
    victim = ground.nursery.begin(trial.command, trial.place / "log")
    while not (trial.run / "recipe.toml").exists():
        time.sleep(0.002)
    second = ground.nursery.run(trial.command, trial.place / "second")
    running = ground.nursery.ended(victim.pid) is None
    if running:
        refused(second)
        lost_unless("another process works here" in second.log, "it does not say why", second)
        end = victim.end()
        lost_unless(end.status == 0, "the first one was disturbed", end)
    trial.finish()


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "gone": lambda content: None,
    "empty": lambda content: b"",
    "short": lambda content: content[: len(content) // 2],
    "changed": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
}
CHECKPOINT = (
    "model.safetensors",
    "optimizer.safetensors",
    "average.safetensors",
    "state.json",
    "manifest.json",
)


def damaged(ground: Ground, objective: str) -> None:
    """A file of the newest checkpoint; the run is told of it and goes on from the one before."""
    trial = ground.trial(objective)
    trial.start(Wound("kill", "headway.training.step:token_loss", 2 * ground.chance.randint(7, 15)))
    newest = max((trial.run / "checkpoints").glob("step-*"))
    path = newest / ground.chance.choice(CHECKPOINT)
    content = DAMAGES[ground.chance.choice(list(DAMAGES))](path.read_bytes())
    path.unlink() if content is None else path.write_bytes(content)
    end = trial.start()
    told = "a checkpoint is passed over" in end.log and newest.name in end.log
    lost_unless(end.status == 0 and told, f"{path} was not told", end)
    compare(trial.run, ground.whole[objective].run)


def a_rank_killed(ground: Ground, objective: str) -> None:
    """Of two processes under torchrun one is killed; they start again, and end as two that nobody hurt."""
    ends = []
    for hurt in (False, True):
        trial = ground.trial(objective)
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        command = [*torchrun, "--max-restarts=2", "-m", "headway", *trial.first, LONGER]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with (trial.place / "log").open("wb") as log:
            parent = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
            if hurt:
                wait_for_a_save(trial.run, ground.chance.randint(1, 3))
                os.kill(ground.chance.choice(children_of(parent.pid)), signal.SIGKILL)
            status = waited_for(parent)
        said = (trial.place / "log").read_text("utf-8", errors="replace")
        lost_unless(status == 0, f"torchrun ended with {status}: {said[-2000:]}")
        lost_unless(not hurt or "going on from step" in said, f"it was not started again: {said[-2000:]}")
        ends.append(trial.run)
    compare(ends[1], ends[0])


PATIENCE_OF_RANKS = 300
LONGER = "stop.steps=100"
"""So that there is time to kill one."""


def waited_for(parent: "subprocess.Popen[bytes]") -> int:
    try:
        return parent.wait(timeout=PATIENCE_OF_RANKS)
    except subprocess.TimeoutExpired:
        parent.terminate()  # it ends those that it started
        parent.wait()
        raise


def wait_for_a_save(run: Path, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_OF_RANKS
    while len(list(run.glob("checkpoints/step-*"))) < count and time.monotonic() < deadline:
        time.sleep(0.002)


def children_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()]


KINDS: dict[str, Callable[[Ground, str], None]] = {
    "kill -9 at a random moment": killed_at_random,
    "kill -9 twice in a row": killed_twice,
    "kill -9 at a file operation": killed_at_an_operation,
    "kill -9 while encoding, stepping, validating, flushing, finishing": killed_in_places,
    "SIGTERM at a random moment": asked_to_stop(signal.SIGTERM, 143),
    "SIGINT at a random moment": asked_to_stop(signal.SIGINT, 130),
    "SIGTERM while encoding, stepping, validating, flushing, finishing": asked_in_places("terminate", 143),
    "SIGINT while encoding, stepping, validating, flushing, finishing": asked_in_places("interrupt", 130),
    "no space from a file operation on": failing_writes("full"),
    "no permission to write from a file operation on": failing_writes("read-only"),
    "a full disk": really_full,
    "a disk that is read-only when the run goes on": really_read_only,
    "the folder taken away": removed,
    "a second run in the folder": second_run,
    "a file of the newest checkpoint damaged": damaged,
    "one of two processes killed under torchrun": a_rank_killed,
}
NEEDS_ROOT = ("a full disk", "a disk that is read-only when the run goes on")
SLOW = ("one of two processes killed under torchrun",)


def attempt(ground: Ground, kind: str, objective: str) -> str:
    """What was lost; empty if the run survived. What survived is removed."""
    before = ground.count
    try:
        KINDS[kind](ground, objective)
    except (LostError, OSError, subprocess.SubprocessError) as error:
        return f"{objective}: {type(error).__name__}: {error}"
    for number in range(before + 1, ground.count + 1):
        shutil.rmtree(ground.folder / f"{objective}-{number}", ignore_errors=True)
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background job ignores it, and so would runs
    survived = True
    place = Path(tempfile.mkdtemp(prefix="headway-faults-"))
    with Nursery() as nursery:
        ground = Ground(place, nursery, random.Random(arguments.seed))
        ground.prepare(OBJECTIVES)
        print(f"unhurt: {ground.seconds}, {ground.operations} file operations", file=sys.stderr)
        for kind in (each for each in KINDS if arguments.only in each):
            if kind in NEEDS_ROOT and os.geteuid():
                continue
            times = max(1, arguments.times // 10) if kind in SLOW else arguments.times
            start = time.monotonic()
            found = [attempt(ground, kind, OBJECTIVES[i % 3]) for i in range(times)]
            lost = [each for each in found if each]
            print(f"{kind}: {len(lost)} of {times} lost, {time.monotonic() - start:.0f} s", file=sys.stderr)
            for each in lost:
                print(f"    {each}", file=sys.stderr)
            row = {"tried": times, "survived": times - len(lost), "lost": len(lost), "seed": arguments.seed}
            write(kind, row)
            survived = survived and not lost
    if not survived:
        sys.exit(f"what was lost lies in {place}")
    shutil.rmtree(place)


def write(kind: str, row: dict[str, int]) -> None:
    """Put a row in place of an older one, and make the table anew."""
    file = RESULTS / "faults.json"
    before = json.loads(file.read_text("utf-8"))["rows"] if file.exists() else {}
    rows = {each: {**before, kind: row}[each] for each in KINDS if each in {**before, kind: row}}
    where = machine()
    header = ("fault", "tried", "survived", "lost", "seed")
    table = markdown(header, [(each, *found.values()) for each, found in rows.items()], right=(1, 2, 3, 4))
    lines = ["# Faults put into runs", "", "Made by `python benchmarks/faults.py --times N --seed S`.", ""]
    machine_line = f"Machine: {where['processor']}, {where['cores']} cores, torch {where['torch']}."
    lines += [table, "", machine_line, ""]
    RESULTS.mkdir(exist_ok=True)
    file.write_text(json.dumps({"rows": rows, "machine": where}, indent=1) + "\n", "utf-8")
    (RESULTS / "faults.md").write_text("\n".join(lines), "utf-8")
    put(PAGE, "faults", table)


if __name__ == "__main__":
    main()
