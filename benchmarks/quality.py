"""Quality with no setting touched: python benchmarks/quality.py FOLDER [--only g2p/dut,…] [--seeds 1,2,3]

FOLDER holds data sets (see quality_data.py, which also says how their files become pairs). For each of them
`headway train TRAIN data.valid=["DEV"] --minutes N seed=S` plans and trains; where the data set has no
development part, `data.valid` is left out. Of shakespeare the end of the training part is cut off for it, and
`data.layout=file` says that the text is one. Then `headway evaluate` reads the test part, once a figure:

- g2p: word error rate; inflect and scan: exact match;
- translate: BLEU, cased and detokenized, with sacreBLEU's signature, at beam 5;
- shakespeare: nats a character on the whole validation part (see quality_characters.py).

A row is written to benchmarks/results/quality.json as it ends, and the table quality.md is made anew. When it
is started again, the command skips rows that are done and goes on with runs that were interrupted. `--again`
makes rows anew that are asked for, and counts how often their test part has been read by now. `--at-once 2`
trains two at a time with one core each, which is less than what a row may use: the row says so. `--reference`
trains `transformers`' MarianMTModel on the translation instead (see quality_reference.py). `--quick` does all
of it on made-up text, in seconds, and needs `--out FOLDER`.
"""

import argparse
import json
import os
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from machine import machine
from quality_data import Corpus, corpus, data_folder, names_in, parsed_on_data, parser_on_data
from quality_known import CHARACTER_LOSS, TASKS, Task, task_of
from quality_runs import FailedError, Programs, facts_of, finished, measure_of
from quality_tables import tables

from headway.run import say_on_stderr
from headway.run_folder import RunFolder
from headway.sealed_folder import write_whole
from planning import names

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent
OURS, REFERENCE = "headway", "MarianMTModel"
QUICK_MINUTES = 0.02
PACKAGES = ("headway", "torch", "tokenizers", "numpy", "sacrebleu", "transformers")
BEAMS = 5
"""Of translations."""


@dataclass(frozen=True)
class Job:
    """One row to be made."""

    data: str
    task: Task
    seed: int
    minutes: float
    system: str
    threads: int
    """0 = all cores."""
    reads: int
    """How often the test part has been read for this row before."""

    def key(self) -> dict[str, Any]:
        """What must be equal for a row to be this job's."""
        return {"data": self.data, "seed": self.seed, "minutes": self.minutes, "system": self.system}

    @property
    def run(self) -> str:
        """The name of its run folder."""
        again = f"-{self.reads + 1}" if self.reads else ""
        return f"{self.data.replace('/', '-')}-{self.minutes:g}-seed-{self.seed}-{self.system.lower()}{again}"


def settings_of(job: Job) -> list[str]:
    """What is said to `headway train` beside the data and the minutes."""
    return [f"seed={job.seed}", *([f"runtime.threads={job.threads}"] if job.threads else [])]


def run_job(job: Job, folder: Path, work: Path, programs: Programs) -> dict[str, Any]:
    """Train, or go on, and judge on the test part."""
    is_text = job.task.measure == CHARACTER_LOSS  # one document, of which nothing can be held out unasked
    files = corpus(folder, job.data, work / "data", with_dev=is_text)
    say_on_stderr(f"--- {job.data}, seed {job.seed}, {job.minutes:g} minutes, {job.system}")
    row: dict[str, Any] = {
        **job.key(),
        "threads": job.threads or os.cpu_count(),
        "test_reads": job.reads + 1,
        "machine": machine(),
        "versions": {
            name: version(name) for name in ("headway", "torch", "tokenizers", "numpy", "sacrebleu")
        },
    }
    if job.system == REFERENCE:
        return row | _reference(job, files, work, programs)
    run = work / job.run
    valid = [] if files.dev is None else [f'data.valid=["{files.dev}"]']
    layout = ["data.layout=file"] if is_text else []
    typed = [*valid, *layout, "--minutes", f"{job.minutes:g}", *settings_of(job)]
    failure = programs.train(run, [str(files.train), *typed])
    if failure:
        raise FailedError(f"{job.run}: {failure}")
    shown = ["data.valid=DEV" if each in valid else each for each in typed]
    row |= {"command": " ".join(["headway train TRAIN", *shown]), **facts_of(run), "recipe": recipe_of(run)}
    return row | {"measure": judged(job, run, files, programs)}


def judged(job: Job, run: Path, files: Corpus, programs: Programs) -> dict[str, Any]:
    """The task's measure on the test part."""
    if job.task.measure == CHARACTER_LOSS:
        return programs.json([str(HERE / "quality_characters.py"), str(run), str(files.test)])
    search = [f"beams={BEAMS}"] if job.task.measure == "BLEU" else []
    outputs = run.with_name(f"{run.name}.txt")
    found = programs.evaluate(run, files.test, *search, "--device", "cpu", "--output", outputs)
    measure = measure_of(found, job.task.measure)
    if measure is None:
        raise FailedError(f"{job.run}: headway evaluate gives no {job.task.measure} for what was planned")
    return measure


def _reference(job: Job, files: Corpus, work: Path, programs: Programs) -> dict[str, Any]:
    """The row of the reference, which has its own program."""
    command = [str(HERE / "quality_reference.py"), str(files.train), str(files.test), str(work / job.run)]
    return programs.json([*command, f"{job.minutes:g}", str(job.seed), str(BEAMS)])


def recipe_of(run: Path) -> dict[str, Any]:
    """What the plan chose, without the places where things lie."""
    folder = RunFolder(run)
    chosen = folder.plan if folder.plan.exists() else folder.recipe
    recipe = tomllib.loads(chosen.read_text("utf-8"))
    data = {key: value for key, value in recipe.pop("data").items() if key not in ("train", "valid", "cache")}
    return {**recipe, **({"data": data} if data else {})}


def jobs_of(given: argparse.Namespace, folder: Path, rows: Sequence[Mapping[str, Any]]) -> list[Job]:
    """The rows that were asked for and are missing, those of the first seed first."""
    there = names_in(folder)
    usual = [data for task in TASKS for data in task.data if data in there]
    only = names(given.only)
    wanted = [data for task in TASKS for data in task.data if data in there and {task.kind, data} & {*only}]
    wanted += [data for data in only if data in there and data not in wanted]
    if given.reference:
        wanted = ["translate"]
    found = []
    for seed in sorted(int(each) for each in names(given.seeds)):
        for data in wanted if only or given.reference else usual:
            task = task_of(data)
            assert task is not None, f"{data} belongs to no task"
            minutes = QUICK_MINUTES if given.quick else given.minutes or task.minutes
            system = REFERENCE if given.reference else OURS
            key = {"data": data, "seed": seed, "minutes": minutes, "system": system}
            done = [row for row in rows if all(row[name] == value for name, value in key.items())]
            if not done or given.again:
                reads = done[0]["test_reads"] if done else 0
                found.append(Job(data, task, seed, minutes, system, 1 if given.at_once > 1 else 0, reads))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    given = asked(arguments)
    with data_folder(given) as folder:
        return measure(given, folder)


def asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was typed."""
    parser = parser_on_data(__doc__, "quality", 1)
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--minutes", type=float, default=0.0, help="of training, in place of the task's own")
    parser.add_argument("--reference", action="store_true", help="train MarianMTModel on the translation")
    parser.add_argument("--again", action="store_true", help="make rows anew that are there")
    return parsed_on_data(parser, arguments)


def measure(given: argparse.Namespace, folder: Path) -> int:
    """Make the rows that are missing."""
    out: Path = given.out or HERE / "results"
    out.mkdir(parents=True, exist_ok=True)
    path = out / "quality.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["rows"] if path.exists() else []
    jobs = jobs_of(given, folder, rows)
    say_on_stderr(f"{len(jobs)} rows are to be made")
    programs = Programs(1 if given.at_once > 1 else 0)
    todo: list[Callable[[], dict[str, Any]]] = [
        partial(run_job, job, folder, given.work, programs) for job in jobs
    ]
    count = 0
    for row in finished(todo, given.at_once, programs, say_on_stderr):
        count += 1
        key = ("data", "seed", "minutes", "system")
        rows = [each for each in rows if any(each[name] != row[name] for name in key)]
        rows = sorted([*rows, row], key=lambda each: tuple(each[name] for name in key))
        write_whole(path, json.dumps({"rows": rows}, indent=1, ensure_ascii=False) + "\n")
        say_on_stderr(f"{row['data']}: {row['measure']['name']} {row['measure']['value']:.4g}")
        write_whole(out / "quality.md", tables(rows))
    write_whole(out / "quality.md", tables(rows))
    if count < len(jobs):
        say_on_stderr(f"{len(jobs) - count} rows are missing; the same command goes on")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
