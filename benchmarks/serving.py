"""Many clients at once: python benchmarks/serving.py MODEL TEXTS [SECONDS [CLIENTS [MODE…]]]

MODEL is a model or run folder, TEXTS a file with a prompt or source a line. Clients (64) ask for greedy
completions for some time (120 seconds), each as soon as it has its answer, of three servers one after the
other: batched, `headway serve`; alone, the same with one request at a time; transformers, the same weights
behind FastAPI with `generate`, one request at a time. Latencies, tokens a second, what was lost and how
memory grew go to benchmarks/results/serving.json and serving.md.
"""

import asyncio
import itertools
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from machine import machine

RESULTS = Path(__file__).parent / "results"
LONGEST_START = 120.0
MOST_TOKENS = 64
MODES = {
    "batched": "`headway serve`",
    "alone": "`headway serve`, one request at a time",
    "transformers": "`transformers` generate, one request at a time",
}


@dataclass
class Load:
    """What clients saw of a server."""

    seconds: list[float] = field(default_factory=list)
    tokens: int = 0
    lost: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    """MiB of the server's process, once a second."""
    answers: dict[str, str] = field(default_factory=dict)


async def load_of(url: str, process: int, texts: list[str], clients: int, duration: float) -> Load:
    """So many clients for so long."""
    load, following = Load(), itertools.cycle(texts)
    end = time.perf_counter() + duration
    limits = httpx.Limits(max_connections=clients)

    async def ask(client: httpx.AsyncClient) -> None:
        while time.perf_counter() < end:
            text, start = next(following), time.perf_counter()
            body = {"prompt": text, "temperature": 0, "max_tokens": MOST_TOKENS}
            try:
                response = await client.post("/v1/completions", json=body)
                answer = response.raise_for_status().json()
            except (httpx.HTTPError, ValueError) as error:
                load.lost.append(repr(error))
                continue
            load.seconds.append(time.perf_counter() - start)
            load.tokens += answer["usage"]["completion_tokens"]
            load.answers[text] = answer["choices"][0]["text"]

    async def watch() -> None:
        while time.perf_counter() < end:
            load.memory.append(resident(process))
            await asyncio.sleep(1)

    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=600) as client:
        await asyncio.gather(watch(), *(ask(client) for _ in range(clients)))
    return load


def resident(process: int) -> float:
    """MiB of memory that a process holds."""
    lines = Path(f"/proc/{process}/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


@contextmanager
def server(mode: str, model: str) -> Iterator[tuple[str, int]]:
    """A server in a process of its own: its address, and the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if mode == "transformers":
        command = [sys.executable, __file__, "--peer", model, str(port)]
    else:
        command = [
            sys.executable,
            "-m",
            "headway",
            "serve",
            f"model={model}",
            "--port",
            str(port),
            "timeout=600",
        ]
        command += ["batch_tokens=1"] if mode == "alone" else []
    process, url = subprocess.Popen(command), f"http://127.0.0.1:{port}"
    try:
        give_up = time.monotonic() + LONGEST_START
        while not answers(url):
            if time.monotonic() > give_up or process.poll() is not None:
                raise SystemExit(f"{mode}: the server did not start")
            time.sleep(0.2)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.HTTPError:
        return False


def serve_peer(model: str, port: int) -> None:
    """The same weights, exported, behind the same path; as many threads as cores, one request at a time."""
    import threading

    import torch
    import transformers
    import uvicorn
    from fastapi import FastAPI

    from headway.bundle import load_bundle
    from headway.interop.huggingface import write_transformers
    from headway.run_folder import model_folder

    bundle = load_bundle(model_folder(Path(model)))
    source, target = bundle.tokenizers
    with tempfile.TemporaryDirectory() as folder:
        write_transformers(bundle, Path(folder))
        kind = "AutoModelForCausalLM" if source is None else "AutoModelForSeq2SeqLM"
        network = getattr(transformers, kind).from_pretrained(folder).eval()
    app, lock = FastAPI(), threading.Lock()

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/v1/completions")
    def complete(body: dict[str, Any]) -> dict[str, Any]:
        text = body["prompt"]
        ids = (
            target.special.start(target.encode(text))
            if source is None
            else source.special.source(source.encode(text))
        )
        with lock, torch.inference_mode():
            found = network.generate(
                torch.tensor([ids]), max_new_tokens=body["max_tokens"], num_beams=1, do_sample=False
            )[0].tolist()
        chosen = found[len(ids) :] if source is None else found[1:]
        usage = {"completion_tokens": len(chosen)}
        return {"choices": [{"text": target.decode(chosen)}], "usage": usage}

    uvicorn.run(app, port=port, log_level="warning")


def why_no_peer(model: str) -> str:
    """Why `transformers` cannot hold a model; empty where it can."""
    from headway.bundle import load_bundle
    from headway.errors import UserError
    from headway.interop.compatibility import family_of
    from headway.run_folder import model_folder

    try:
        family_of(load_bundle(model_folder(Path(model))).config)
    except UserError as error:
        return str(error)
    return ""


def row_of(mode: str, load: Load, duration: float) -> dict[str, Any]:
    """The figures of one server."""
    times = sorted(load.seconds)
    cuts = statistics.quantiles(times, n=100) if len(times) > 1 else times * 99
    settled = load.memory[len(load.memory) // 4 :]
    half = max(1, len(settled) // 2)
    return {
        "mode": mode,
        "requests": len(times),
        "lost": len(load.lost),
        "first_lost": load.lost[:3],
        "requests_per_second": round(len(times) / duration, 1),
        "tokens_per_second": round(load.tokens / duration, 1),
        "p50": round(cuts[49], 3),
        "p95": round(cuts[94], 3),
        "p99": round(cuts[98], 3),
        "memory_mib": round(statistics.mean(settled[-half:])),
        "memory_growth_mib": round(statistics.mean(settled[-half:]) - statistics.mean(settled[:half]), 1),
    }


COLUMNS = [
    "server",
    "requests/s",
    "tokens/s",
    "p50 s",
    "p95 s",
    "p99 s",
    "lost",
    "MiB",
    "growth",
    "same texts",
]


def table(content: dict[str, Any]) -> str:
    lines = [
        "# Serving under load",
        "",
        f"Made by `python benchmarks/serving.py`: {content['clients']} clients for {content['seconds']:g} "
        f"seconds each, greedy completions of at most {MOST_TOKENS} tokens, servers and clients on the same "
        "cores. Growth of memory, in MiB, is over the second half of the time after the first quarter. The "
        "last column says how many texts are those of the first server.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"| --- |{' ---: |' * (len(COLUMNS) - 1)}",
    ]
    for row in content["servers"]:
        cells = [
            MODES[row["mode"]],
            f"{row['requests_per_second']:,}",
            f"{row['tokens_per_second']:,}",
            *(f"{row[name]:.3f}" for name in ("p50", "p95", "p99")),
            f"{row['lost']}",
            f"{row['memory_mib']:,}",
            f"{row['memory_growth_mib']:+.1f}",
            f"{row['same_texts']:.1%}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [f"\n{MODES[mode]}: left out, for {reason}." for mode, reason in content["left_out"].items()]
    where = content["machine"]
    about = f"{where['processor']}, {where['cores']} cores, torch {where['torch']}"
    return "\n".join([*lines, "", f"Model: {content['model']}. Machine: {about}.", ""])


def main() -> None:
    model, texts_file, *more = sys.argv[1:]
    duration = float(more[0]) if more else 120.0
    clients = int(more[1]) if more[1:] else 64
    modes = more[2:] or list(MODES)
    texts = [line for line in Path(texts_file).read_text("utf-8").splitlines() if line.strip()]
    rows: list[dict[str, Any]] = []
    reference: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for mode in modes:
        if mode == "transformers" and (reason := why_no_peer(model)):
            left_out[mode] = reason
            print(reason, file=sys.stderr)
            continue
        with server(mode, model) as (url, process):
            load = asyncio.run(load_of(url, process, texts, clients, duration))
        reference = reference or load.answers
        both = [text for text in load.answers if text in reference]
        same = sum(load.answers[text] == reference[text] for text in both) / max(1, len(both))
        rows.append({**row_of(mode, load, duration), "same_texts": round(same, 4)})
        print(rows[-1], file=sys.stderr)
    content = {
        "model": Path(model).name,
        "clients": clients,
        "seconds": duration,
        "servers": rows,
        "left_out": left_out,
        "machine": machine(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "serving.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    (RESULTS / "serving.md").write_text(table(content), "utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        serve_peer(sys.argv[2], int(sys.argv[3]))
    else:
        main()
