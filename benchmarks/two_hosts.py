"""Training on two hosts, and what a cut between them does: python benchmarks/two_hosts.py [FOLDER].

Needs root and iproute2 (Linux). Two network namespaces, joined by a cable (a veth pair), stand for two hosts
that share a folder. A node of torchrun runs in each. Compared are the bytes of the models: of two processes
on one host, of two hosts, of two hosts whose cable was out for some seconds, and of two hosts that gave up
since it was out for too long, and went on later. Figures go to benchmarks/results/two_hosts.json and .md.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from machine import machine

RESULTS = Path(__file__).parent / "results"
HOSTS = ("headway-a", "headway-b")
ADDRESSES = ("10.77.0.1", "10.77.0.2")
SILENCE = 12.0
"""Seconds for which a host may be silent here; two minutes otherwise."""
PATIENCE = 300.0
"""Seconds in which each run has to end."""
STEPS = 160
SETTINGS = [
    "model.encoder_layers=1",
    "model.decoder_layers=1",
    "model.d_model=32",
    "model.d_ff=32",
    "model.attention.num_heads=2",
    "model.dropout=0.1",
    "text.target.kind=symbols",
    "text.source.kind=characters",
    "batch.tokens=200",
    "training.validate_every=20",
    "training.save_every=20",
    "training.samples=0",
    "runtime.precision=float32",
    "runtime.device=cpu",
    "stop.minutes=0",
    f"stop.steps={STEPS}",
]


def missing() -> str:
    """Why this machine cannot do it; empty if it can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "network namespaces need Linux and root"
    if shutil.which("ip") is None:
        return "there is no command `ip` (iproute2)"
    tried = subprocess.run(["ip", "netns", "add", HOSTS[0]], capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"no network namespace can be made: {tried.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", HOSTS[0]], check=True)
    return ""


def connect() -> None:
    """Both hosts, and the cable between them."""
    one, other = HOSTS
    for host in HOSTS:
        ip("netns", "add", host)
    ip("link", "add", "cable-a", "netns", one, "type", "veth", "peer", "name", "cable-b", "netns", other)
    for host, end, address in zip(HOSTS, ("cable-a", "cable-b"), ADDRESSES, strict=True):
        ip("-n", host, "address", "add", f"{address}/24", "dev", end)
        ip("-n", host, "link", "set", "lo", "up")
        ip("-n", host, "link", "set", end, "up")


def disconnect() -> None:
    for host in HOSTS:
        subprocess.run(["ip", "netns", "del", host], capture_output=True, check=False)


def plug(state: str) -> None:
    """Put the cable in ("up") or out ("down")."""
    ip("-n", HOSTS[0], "link", "set", "cable-a", state)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


class Launch:
    """One command on two hosts, or as two processes on one."""

    def __init__(self, folder: Path, words: list[str], *, hosts: bool) -> None:
        own = [sys.executable, "-m", "torch.distributed.run"]
        program = [__file__, "--process", "train", *words]
        alone = [*own, "--standalone", "--nproc-per-node=2", *program]
        commands = [alone]
        if hosts:
            there = [f"--master-addr={ADDRESSES[0]}", "--master-port=29577", "--nnodes=2"]
            commands = [
                ["ip", "netns", "exec", host, *own, *there, f"--node-rank={rank}", *program]
                for rank, host in enumerate(HOSTS)
            ]
        self.logs = [folder / f"{time.time_ns()}-{rank}.log" for rank in range(len(commands))]
        self.nodes = []
        for rank, (command, log) in enumerate(zip(commands, self.logs, strict=True)):
            ours = {"OMP_NUM_THREADS": "1"} | ({"GLOO_SOCKET_IFNAME": f"cable-{'ab'[rank]}"} if hosts else {})
            with log.open("w") as file:
                self.nodes.append(
                    subprocess.Popen(command, env=os.environ | ours, stdout=file, stderr=file, cwd=folder)
                )

    def wait(self) -> list[int]:
        """How the nodes ended."""
        end = time.monotonic() + PATIENCE
        try:
            return [node.wait(max(0.1, end - time.monotonic())) for node in self.nodes]
        except subprocess.TimeoutExpired:
            raise SystemExit(f"no end within {PATIENCE:.0f} s:\n{self.told}") from None
        finally:
            for node in self.nodes:
                node.kill()

    def whole(self) -> None:
        if any(self.wait()):
            raise SystemExit(f"failed:\n{self.told}")

    @property
    def told(self) -> str:
        return "\n".join(log.read_text("utf-8", errors="replace") for log in self.logs)


def when_saved(run: Path, launch: Launch) -> None:
    """Wait for a checkpoint."""
    while not list(run.glob("checkpoints/*")):
        if any(node.poll() is not None for node in launch.nodes):
            raise SystemExit(f"ended before it saved:\n{launch.told}")
        time.sleep(0.05)


def model_of(run: Path) -> bytes:
    [weights] = run.glob("model/*.safetensors")
    return weights.read_bytes()


def measure(folder: Path) -> dict[str, Any]:
    words = [f"{a}{b}{c}" for a in "bdgk" for b in "aeiou" for c in "lmnr"]
    text = folder / "pairs.tsv"
    text.write_text("".join(f"{word}\t{' '.join(reversed(word))}\n" for word in words), "utf-8")

    def begin(name: str, *, hosts: bool = True) -> tuple[Path, Launch]:
        run = folder / name
        return run, Launch(folder, [str(text), *SETTINGS, "--out", str(run)], hosts=hosts)

    run, launch = begin("one-host", hosts=False)
    launch.whole()
    expected = model_of(run)
    found: dict[str, Any] = {}

    run, launch = begin("two-hosts")
    launch.whole()
    found["two hosts"] = {"same model": model_of(run) == expected}

    run, launch = begin("short-cut")
    when_saved(run, launch)
    plug("down")
    time.sleep(SILENCE / 3)
    if (run / "model").exists():
        raise SystemExit("the run was over before the cable was out")
    plug("up")
    launch.whole()
    found[f"cable out for {SILENCE / 3:.0f} s"] = {"same model": model_of(run) == expected}

    run, launch = begin("long-cut")
    when_saved(run, launch)
    plug("down")
    began = time.monotonic()
    statuses = launch.wait()
    seconds = time.monotonic() - began
    if not all(statuses):
        raise SystemExit(f"without a cable the run ended as if all were well:\n{launch.told}")
    plug("up")
    message = [line for line in launch.told.splitlines() if line.startswith("headway: ")]
    Launch(folder, [str(run)], hosts=True).whole()
    found["cable out until both gave up, then gone on with"] = {
        "same model": model_of(run) == expected,
        "seconds until both gave up": round(seconds, 1),
        "statuses": statuses,
        "message": message[0] if message else "",
    }
    return found


def one_process(words: list[str]) -> None:
    """What torchrun starts: headway, which is less patient than usual."""
    from headway.__main__ import main as headway
    from headway.training import distributed

    distributed.SILENCE = timedelta(seconds=SILENCE)
    sys.argv = ["headway", *words]
    headway()


def main() -> None:
    if sys.argv[1:2] == ["--process"]:
        return one_process(sys.argv[2:])
    if reason := missing():
        raise SystemExit(reason)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        disconnect()
        connect()
        try:
            found = measure(folder)
        finally:
            disconnect()
    RESULTS.mkdir(exist_ok=True)
    content = {"steps": STEPS, "silence": SILENCE, "runs": found, "machine": machine()}
    (RESULTS / "two_hosts.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    rows = ["# Two hosts", "", "| run | model as of two processes on one host | gave up after |"]
    rows += ["| --- | --- | ---: |"]
    for name, what in found.items():
        seconds = what.get("seconds until both gave up")
        rows.append(
            f"| {name} | {'the same to the byte' if what['same model'] else 'ANOTHER'} | "
            f"{'' if seconds is None else f'{seconds} s'} |"
        )
    rows += [
        "",
        f"A process is given up when it is silent for {SILENCE:.0f} s here (2 minutes otherwise).",
        "",
    ]
    (RESULTS / "two_hosts.md").write_text("\n".join(rows), "utf-8")
    print("\n".join(rows))
    if not all(what["same model"] for what in found.values()):
        raise SystemExit("a model differs")
    return None


if __name__ == "__main__":
    main()
