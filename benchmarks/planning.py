"""Why the plan chooses as it does: python benchmarks/planning.py FOLDER [--only g2p/dut,…] [--at-once 2]

FOLDER holds data sets (see quality_data.py). For each kind of data a base recipe and variations of it are
trained, each with one core, for equally many floating-point operations of matrix products as the base has in
its steps (`--equal steps`: for as many steps), and judged on the development part; no test part is ever
read. A row is written to benchmarks/results/planning.json as it ends. Started again, the command skips what
is there, goes on with runs that were interrupted, and makes the table anew, in docs/planning.md too.

The experiments are those of benchmarks/planning.toml, or of a list of one's own (`--list FILE`). `--quick`
does all of it on made-up words, in seconds, and needs `--out FOLDER`.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from machine import machine
from marks import put
from planning_rows import (
    BASE,
    Experiment,
    Trial,
    cache_of,
    read_experiments,
    recipe_of,
    step_flops,
    trials_of,
)
from planning_tables import tables
from quality_data import corpus, data_folder, parsed_on_data, parser_on_data
from quality_runs import Programs, facts_of, finished, measure_of

from headway.errors import UserError
from headway.recipe import recipe_text
from headway.run import say_on_stderr
from headway.sealed_folder import write_whole

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "planning.md"
LIST = Path(__file__).with_name("planning.toml")
QUICK_LIST = {"model.d_model": "16", "model.d_ff": "32", "batch.tokens": "300", "batch.context": "32"}
QUICK_STEPS = 3


def quick(experiment: Experiment) -> Experiment:
    """The experiment at a size at which it says nothing, with its first variation alone."""
    small = tuple(f"{key}={value}" for key, value in QUICK_LIST.items())
    first = dict(list(experiment.variations.items())[:1])
    return replace(
        experiment,
        data=experiment.data[:1],
        steps=QUICK_STEPS,
        base=(*experiment.base, *small),
        variations=first,
    )


def equal_steps(
    experiment: Experiment, data: str, variations: Sequence[str], folder: Path, work: Path, equal: str
) -> dict[str, int]:
    """So many steps for each variation; those that make no recipe are left out, and that is said."""
    files = corpus(folder, data, work / "data", with_dev=True)
    costs: dict[str, float] = {}
    for variation in (BASE, *variations):
        settings = experiment.settings(variation)
        try:
            recipe = recipe_of(settings, files, 1, experiment.steps, cache_of(settings, data, work))
            costs[variation] = step_flops(recipe) if equal == "flops" else 1.0
        except UserError as error:
            if variation == BASE:
                raise
            say_on_stderr(f"{data}, {variation}: left out: {error}")
    return {name: max(1, round(experiment.steps * costs[BASE] / cost)) for name, cost in costs.items()}


def run_trial(trial: Trial, folder: Path, work: Path, programs: Programs) -> dict[str, Any]:
    """Train one trial, or go on with it, and judge it on the development part."""
    experiment, settings = trial.experiment, trial.key()["settings"]
    files = corpus(folder, trial.data, work / "data", with_dev=True)
    recipe = recipe_of(settings, files, trial.seed, trial.steps, cache_of(settings, trial.data, work))
    place = work / f"{trial.run}.toml"
    write_whole(place, recipe_text(recipe))
    say_on_stderr(f"--- {trial.data}, {trial.variation}, seed {trial.seed}, {trial.steps:,} steps")
    failure = programs.train(work / trial.run, [str(place)])
    row: dict[str, Any] = {"kind": experiment.kind, **trial.key()}
    if failure:
        say_on_stderr(f"{trial.run}: {failure}")
        return {**row, "failed": "diverged" if "in a row were left out" in failure else "refused"}
    row |= facts_of(work / trial.run)
    row["steps"] = trial.steps
    if experiment.measure:
        assert files.dev is not None, "experiments are judged on a development part"
        found = programs.evaluate(work / trial.run, files.dev, "--device", "cpu")
        row["measure"] = measure_of(found, experiment.measure)
    return row


def is_of(row: dict[str, Any], trial: Trial) -> bool:
    """Whether a row is what this trial found."""
    return all(row.get(name) == value for name, value in trial.key().items())


def chosen(
    experiments: Sequence[Experiment], only: Sequence[str], variations: Sequence[str]
) -> list[Experiment]:
    """The experiments with the data sets and variations that were asked for; all where none are."""
    found = []
    for experiment in experiments:
        wanted = [name for name in only if name.partition("/")[0] == experiment.kind]
        if only and not wanted:
            continue
        # A data set that is named need not stand in the list; its kind does.
        data = tuple(name for name in wanted if "/" in name or name in experiment.data) or experiment.data
        kept = {
            name: lines
            for name, lines in experiment.variations.items()
            if not variations or name in variations
        }
        found.append(replace(experiment, data=data, variations=kept))
    return found


def report(content: dict[str, Any], experiments: Sequence[Experiment], out: Path, page: Path | None) -> None:
    """Write the tables beside the results, and into the page."""
    text = tables(content, experiments)
    title = "# What was tried for the plan\n\nMade by `python benchmarks/planning.py FOLDER`."
    write_whole(out / "planning.md", f"{title}\n\n{text}\n")
    if page is not None and page.exists():
        put(page, "planning", text)


def main(arguments: Sequence[str] | None = None) -> int:
    given = asked(arguments)
    with data_folder(given) as folder:
        return measure(given, folder)


def asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was typed."""
    parser = parser_on_data(__doc__, "planning", 2)
    parser.add_argument("--variations", default="", help="names of variations, separated by commas or ;")
    parser.add_argument("--list", type=Path, default=LIST, help="the experiments")
    parser.add_argument("--seeds", type=int, default=1, help="of each variation")
    parser.add_argument("--base-seeds", type=int, default=3, help="of the base recipe")
    parser.add_argument("--steps", type=int, default=0, help="of the base recipe, in place of the list's")
    parser.add_argument("--equal", choices=("flops", "steps"), default="flops")
    return parsed_on_data(parser, arguments)


def measure(given: argparse.Namespace, folder: Path) -> int:
    """Train and judge what is missing."""
    only, variations = (names(text) for text in (given.only, given.variations))
    listed = read_experiments(given.list)
    if given.quick:
        listed = [quick(each) for each in listed]
    if given.steps:
        listed = [replace(each, steps=given.steps) for each in listed]
    wanted = chosen(listed, only, variations)
    out: Path = given.out or ROOT / "benchmarks" / "results"
    out.mkdir(parents=True, exist_ok=True)
    path = out / "planning.json"
    content = json.loads(path.read_text("utf-8")) if path.exists() else {"machine": machine(), "rows": []}
    trials = []
    for experiment in wanted:
        for data in experiment.data:
            steps = equal_steps(
                experiment, data, list(experiment.variations), folder, given.work, given.equal
            )
            trials += trials_of(experiment, data, list(steps), steps, given.seeds, given.base_seeds)
    missing = [trial for trial in trials if not any(is_of(row, trial) for row in content["rows"])]
    say_on_stderr(f"{len(trials) - len(missing)} of {len(trials)} rows are done")
    programs = Programs(threads=1)
    jobs: list[Callable[[], dict[str, Any]]] = [
        partial(run_trial, trial, folder, given.work, programs) for trial in missing
    ]
    count = 0
    for row in finished(jobs, given.at_once, programs, say_on_stderr):
        count += 1
        before = [each for each in content["rows"] if not _replaces(row, each)]
        content["rows"] = sorted(
            [*before, row], key=lambda each: (each["data"], each["variation"], each["seed"])
        )
        write_whole(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        report(content, listed, out, None if given.out else PAGE)
        say_on_stderr(f"{len(trials) - len(missing) + count} of {len(trials)} rows are done")
    if count < len(missing):
        say_on_stderr(f"{len(missing) - count} rows are missing; the same command goes on")
        return 130
    report(content, listed, out, None if given.out else PAGE)
    return 0


def _replaces(row: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether a row takes the place of another: the same trial, perhaps with other settings."""
    return all(row[name] == other[name] for name in ("data", "variation", "seed"))


def names(text: str) -> list[str]:
    """What is written between commas, or between semicolons where names hold commas."""
    sign = ";" if ";" in text else ","
    return [name.strip() for name in text.split(sign) if name.strip()]


if __name__ == "__main__":
    sys.exit(main())
