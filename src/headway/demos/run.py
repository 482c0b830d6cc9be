"""From the name of a demo to a trained model and its report."""

import re
import shlex
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from shutil import rmtree, which

from rich.console import Console
from rich.table import Table
from rich.text import Text

from headway.api import load
from headway.demos.complete import COMPLETE
from headway.demos.demo import Demo, Report
from headway.demos.fill import FILL
from headway.demos.pronounce import PRONOUNCE
from headway.demos.simplify import SIMPLIFY
from headway.errors import FolderError
from headway.launch import train
from headway.recipe import read_whole_recipe
from headway.run import Outcome
from headway.run_folder import RunFolder, free_folder

DEMOS: dict[str, Demo] = {
    "pronounce": PRONOUNCE,
    "fill": FILL,
    "complete": COMPLETE,
    "simplify": SIMPLIFY,
}

ABOUT = "ABOUT.txt"
"""In the folder of a demo's data: what it was made from, and what is in it."""

Say = Callable[[str], None]


def run_demo(demo: Demo, overrides: Sequence[str], out: Path | None, say: Say, console: Console) -> Outcome:
    """Make the data, train, and print the report; with a run folder as `out`, go on there.

    A finished run is only judged. The data lies beside the run folder and is shared by runs.
    """
    folder = free_folder(demo.recipe) if out is None else out
    run = RunFolder(folder)
    data = data_of(demo, run) if run.exists else data_folder(demo, folder.parent, say)
    if run.exists:
        outcome = train(folder, overrides=overrides, say=say)
    else:
        outcome = train(demo.recipe, overrides=[*demo.overrides(data), *overrides], out=folder, say=say)
    if not outcome.exit_status:
        say("evaluating on held-out data")
        report = demo.report(load(folder), data)
        (folder / "evaluation.json").write_text(report.evaluation.to_json() + "\n", "utf-8")
        show(demo, report, folder, data, console)
    return outcome


def data_of(demo: Demo, run: RunFolder) -> Path:
    """The data that a run was made with. Raises FolderError if it is a run of something else."""
    train_files = read_whole_recipe(run.recipe).data.train[0]
    data = Path(train_files.removesuffix(demo.train))
    if not train_files.endswith(demo.train) or not data.name.startswith(f"{demo.recipe}-data"):
        raise FolderError(
            f"{run.path}: is not a run of this demo, but trained on {train_files}; name another folder"
        )
    return data


def data_folder(demo: Demo, below: Path, say: Say) -> Path:
    """The folder that holds the demo's data in this version, written if there is none yet.

    Data of another version is left alone, since other runs may need it. Raises UserError where a package
    that holds the data is not installed.
    """
    made_from = f"Written by Headway {version('headway')} from {demo.origin()}."
    name = f"{demo.recipe}-data"
    for folder in sorted(below.glob(f"{name}*")):
        about = folder / ABOUT
        if (
            folder.suffix != ".part"
            and about.is_file()
            and about.read_text("utf-8").splitlines()[:1] == [made_from]
        ):
            say(f"data: {folder}, written before")
            return folder
    folder = free_folder(name, below)
    part = folder.with_name(f"{folder.name}.part")
    try:
        rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        account = demo.write(part)
        (part / ABOUT).write_text("\n".join([made_from, *account, ""]), "utf-8")
        part.rename(folder)
    except OSError as error:
        raise FolderError(f"{folder}: cannot be written: {error.strerror or error}") from error
    say(f"data: {folder}, from {demo.origin()}")
    for line in account:
        say(f"  {line}")
    return folder


def show(demo: Demo, report: Report, folder: Path, data: Path, console: Console) -> None:
    """Print figures beside their baselines, examples, where the model lies, and what to type next."""
    console.print(f"\n{demo.task[:1].upper()}{demo.task[1:]}: figures on held-out text", style="bold")
    console.print(report.evaluation.table())
    console.print("\nHeld-out examples", style="bold")
    console.print(example_table(report))
    run, place = (shlex.quote(str(path)) for path in (folder, data))
    print_line(console, f"\nThe model is in {RunFolder(folder).model}; its data in {data}")
    console.print("\nNext, try", style="bold")
    for command in demo.commands:
        line = command.format(run=run, data=place)
        print_line(console, f"  {re.sub(r'headway (?=predict|evaluate|inspect)', f'{program()} ', line)}")


def program() -> str:
    """How `headway` is called from here: by its name, or by its place where the environment is not active."""
    beside = Path(sys.executable).with_name("headway")
    if which("headway") or not beside.exists():
        return "headway"
    here = Path.cwd()
    return shlex.quote(str(beside.relative_to(here) if beside.is_relative_to(here) else beside))


def print_line(console: Console, line: str) -> None:
    """A line to be copied: not broken, and nothing in it is taken for markup."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def example_table(report: Report) -> Table:
    """What was given, what the model says and what is right; text is shown as it is."""
    table = Table(show_lines=any(len(each.given) > 30 for each in report.examples))
    for heading in ("given", "predicted", "right"):
        table.add_column(heading, ratio=1, overflow="fold")
    for each in report.examples:
        table.add_row(Text(each.given), Text(each.predicted), Text(each.right))
    return table
