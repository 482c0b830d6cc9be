"""The pages and the README say what is so: their commands and their Python run, their links lead somewhere.

What follows the language of a fenced block tells what the block is:

    ```sh                    commands; those of `headway` run, in order, in one folder a page
    ```python                runs; a page's blocks share their names
    ```toml, ```text file=X  is written as X; TOML must be a recipe, or a part of one
    ```text error            the message with which the command before ends
    ```text output           lines that the command before prints, among others
    ```json                  has the keys and types of what the command before prints
    ```json like=X           has those of the file X, of any of its lines where it is JSON Lines
    ```text                  what something looks like
    ```bash elsewhere: WHY   is for another system or another program's side, and why it cannot run here
"""

import gzip
import itertools
import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from docs_build.staging import PROGRAMS
from typer.testing import CliRunner

import headway
from headway import launch
from headway.cli import app
from headway.data.input_files import standard_input
from headway.errors import RecipeError, UserError
from headway.evaluation import translation
from headway.model.config import AttentionConfig
from headway.recipe import Recipe, resolve
from headway.run import Outcome, start
from headway.trainer import Say
from headway.training.settings import StopConfig
from headway.verification import subject

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
NOT_RUN = {
    "make": "installs or trains for minutes; the target must exist",
    "pip": "installs",
    "headway demo": "trains for minutes; the command line must parse",
    ".venv/bin/headway demo": "trains for minutes; the command line must parse",
    "headway serve": "serves until it is stopped; the command line must parse",
    "python benchmarks/": "measures for minutes; the file must exist",
    "python -m tour": "learns for minutes, tests/tour runs the same at its smallest; it must exist",
}
"""Commands that are looked at only, by how they begin, and why."""

FOLLOWED = {"sh", "python", "toml", "json", "text", ""}
"""Languages of blocks that are run, compared, or text."""

TYPED = "In the ___ was the word one\n"
"""Standard input of commands that get none from a pipe: a line for each kind of model."""


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is that of its first line of content."""

    page: Path
    line: int
    language: str
    note: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The command lines of a block that holds some; one may go on after a backslash."""
        lines = self.text.replace("\\\n", "").splitlines()
        first = lines[0].split()[:1] if lines and not self.language else []
        if self.language != "sh" and not (first and first[0] in PROGRAMS):
            return []
        return [line for line in lines if shlex.split(line, comments=True)]


def blocks_of(page: Path) -> list[Block]:
    found = []
    opened: tuple[int, str, str] | None = None
    held: list[str] = []
    for number, line in enumerate(page.read_text("utf-8").splitlines(), start=1):
        fence = re.fullmatch(r"```(\w*) ?(.*)", line)
        if fence and opened is None:
            opened, held = (number + 1, fence[1], fence[2]), []
        elif fence and opened is not None:
            found.append(Block(page, *opened, "\n".join(held)))
            opened = None
        elif opened is not None:
            held.append(line)
    assert opened is None, f"{page}: a block is not closed"
    return found


def write_texts() -> None:
    """The files that the pages speak of, in the current folder."""
    numbers = {"eins": "one", "zwei": "two", "drei": "three", "vier": "four", "fünf": "five", "sechs": "six"}
    chosen = list(itertools.product(numbers, repeat=3))[::7]
    pairs = [(" und ".join(names), " and ".join(numbers[name] for name in names)) for names in chosen]
    pairs.append(("Guten Morgen", "Good morning and good day"))
    table = "".join(f"{source}\t{target}\n" for source, target in pairs)
    parts = {"pairs": table, "more": table, "valid": "zwei\ttwo\n", "test": table[:300].rpartition("\n")[0]}
    for name, text in parts.items():
        Path(f"{name}.tsv").write_text(text, "utf-8")
    for name in ("pairs.tsv.gz", "more.tsv.gz"):
        Path(name).write_bytes(gzip.compress(table.encode()))
    Path("text.de").write_text("".join(f"{source}\n" for source, _ in pairs), "utf-8")
    Path("text.en").write_text("".join(f"{target}\n" for _, target in pairs), "utf-8")
    Path("source.txt").write_text("eins und zwei\n\nGuten Morgen\n", "utf-8")
    Path("prompt.txt").write_text("In the beginning\nwas", "utf-8")
    Path("my-recipe.toml").write_text('data.train = ["pairs.tsv"]\nstop.steps = 1\n', "utf-8")
    book = [f"In the beginning was the word {target}.\n" for _, target in pairs]
    Path("book.txt").write_text("".join(book), "utf-8")
    Path("test.txt").write_text("".join(book[:5]), "utf-8")
    for folder in ("parts", "code"):
        Path(folder).mkdir()
    for half in (0, 1):
        Path("parts", f"{half}.tsv").write_text("".join(table.splitlines(True)[half::2]), "utf-8")
        Path("code", f"{half}.py").write_text(f"def f():\n\n    return {half}\n", "utf-8")


SETTINGS = [
    "model.d_model=32",
    "model.d_ff=64",
    "model.attention.num_heads=2",
    "model.dropout=0.0",
    "optimizer.rate=1e-2",
    "schedule.kind=constant",
    "schedule.warmup=5",
    "stop.minutes=0",
    "training.samples=2",
    "training.checks=false",
    "runtime.precision=float32",
]

TRAINED: dict[str, Sequence[str]] = {
    "pairs": ["model.encoder_layers=1", "model.decoder_layers=1", "text.target.kind=words", "stop.steps=40"],
    "causal": ["model.decoder_layers=1", "text.target.vocab_size=300", "batch.context=64", "stop.steps=6"],
    "masked": ["model.encoder_layers=1", "text.target.vocab_size=300", "batch.context=64", "stop.steps=6"],
}

BOOKS = {"causal": "", "masked": "-2"}
"""What follows in the names of the two runs on one text."""


@pytest.fixture(scope="module")
def texts_and_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with texts, and a run of each kind of model in `runs`."""
    folder: Path = tmp_path_factory.mktemp("pages")
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_texts()
        for name, changes in TRAINED.items():
            data, run = ("pairs.tsv", "pairs") if name == "pairs" else ("book.txt", f"book{BOOKS[name]}")
            settings = [f'data.train=["{data}"]', *SETTINGS, *changes]
            headway.train(name, overrides=settings, out=f"runs/{run}", say=lambda _: None)
        shutil.copytree("runs/pairs", "runs/older")
    return folder


def start_tiny(recipe: Recipe, folder: Path, say: Say, *more: Any, **also: Any) -> Outcome:
    """As `start`, but one step of a model as small as can be."""
    model = replace(
        recipe.model,
        encoder_layers=min(1, recipe.model.encoder_layers),
        decoder_layers=min(1, recipe.model.decoder_layers),
        d_model=8,
        d_ff=8,
        attention=AttentionConfig(num_heads=1),
    )
    tiny = replace(
        recipe,
        model=model if recipe.start_from is None else recipe.model,
        stop=StopConfig(steps=1),
        training=replace(recipe.training, samples=0, checks=False),
        search=replace(recipe.search, max_length=4),
        runtime=replace(recipe.runtime, precision="float32"),
    )
    return start(tiny, folder, say, *more, **also)


@pytest.fixture
def here(texts_and_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the folder to run a page in; training is short."""
    folder = tmp_path / "here"
    shutil.copytree(texts_and_models, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(launch, "start", start_tiny)
    monkeypatch.setattr(translation, "SAMPLES", 20)
    for name, most in {"ROWS": 2, "LONGEST": 12, "MOST_WRITTEN": 4}.items():
        monkeypatch.setattr(subject, name, most)
    yield folder


class Reader:
    """Does what a page says, block by block, and remembers what the last command did."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.output = self.messages = self.error = ""

    def follow(self, block: Block, fails: bool) -> None:
        name = block.note.removeprefix("file=") if block.note.startswith("file=") else ""
        if block.language == "python":
            exec(compile("\n" * (block.line - 1) + block.text, str(block.page), "exec"), self.names)
        elif name:
            Path(name).write_text(block.text + "\n", "utf-8")
        elif block.note == "error":
            assert self.error == block.text, block.place
        elif block.note == "output":
            for line in block.text.splitlines():
                assert line in self.messages.splitlines(), f"{block.place}: not printed: {line}"
        elif block.language == "json":
            self.compare(block)
        for number, command in enumerate(block.commands, start=1):
            self.command(command, block.place, fails and number == len(block.commands))
        if block.language == "toml":
            assert is_recipe(tomllib.loads(block.text)), block.place

    def command(self, line: str, place: str, fails: bool) -> None:
        if any(line.startswith(beginning) for beginning in NOT_RUN):
            return look_at(line)
        before, pipe, own = line.rpartition(" | ")
        words = shlex.split(own, comments=True)
        assert words[0].removeprefix(".venv/bin/") == "headway", f"{place}: this test cannot run {own}"
        standard_input.cache_clear()
        done = CliRunner().invoke(app, words[1:], input=piped(before) if pipe else TYPED)
        self.output, self.messages, self.error = done.stdout, done.stderr, ""
        if isinstance(done.exception, UserError):
            self.error = str(done.exception)
        elif done.exception is not None:
            raise AssertionError(f"{place}: {line}\n{done.stderr}") from done.exception
        assert bool(self.error) == fails, f"{place}: {line}\n{self.error or 'should fail'}"
        return None

    def compare(self, block: Block) -> None:
        if block.note.startswith("like="):
            [path] = sorted(Path().glob(block.note.removeprefix("like=")))
            held = path.read_text("utf-8")
            texts = held.splitlines() if path.suffix == ".jsonl" else [held]
        else:
            texts = [self.output]
        assert shape_of(json.loads(block.text)) in [shape_of(json.loads(text)) for text in texts], block.place


def piped(line: str) -> str:
    """What the command before a pipe writes."""
    program, *arguments = shlex.split(line)
    if program == "echo":
        return " ".join(arguments) + "\n"
    assert program == "cat", f"this test cannot run {program}"
    return "".join(Path(name).read_text("utf-8") for name in arguments)


def look_at(line: str) -> None:
    """Check what is not run as far as it can be."""
    program, *arguments = shlex.split(line, comments=True)
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert {word for word in arguments if "=" not in word} <= set(targets), line
    elif program.endswith("python"):
        name = arguments[0] if arguments[0] != "-m" else arguments[1].replace(".", "/")
        assert (ROOT / name).exists(), line
    elif program.endswith("headway"):
        group = typer.main.get_command(app)
        context = group.make_context("headway", arguments)
        verb, *rest = arguments
        group.get_command(context, verb).make_context(verb, rest, parent=context)  # type: ignore[attr-defined]


def shape_of(value: Any) -> Any:
    """Keys and types; null stands for a number that may be absent, and a list of words may be empty."""
    if isinstance(value, dict):
        return {key: shape_of(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape_of(each) for each in value[:1] if type(each) is not str]
    return "number" if value is None or type(value) in (int, float) else type(value).__name__


def is_recipe(table: dict[str, Any]) -> bool:
    """Whether a table is a recipe, or becomes one where data and a stop are added."""
    missing = {"data": {"train": ["pairs.tsv"]}, "stop": {"steps": 1}}
    return isinstance(resolve(missing | table), Recipe)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT).with_suffix(""))


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_says_runs(page: Path, here: Path) -> None:
    reader, blocks = Reader(), blocks_of(page)
    for block, after in itertools.zip_longest(blocks, blocks[1:]):
        reader.follow(block, fails=after is not None and after.note == "error")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_is_not_followed_says_why(page: Path) -> None:
    for block in blocks_of(page):
        is_signature = page.parent == DOCS / "reference" and block.language == "py"
        if block.language not in FOLLOWED and not is_signature:
            assert re.fullmatch(r"elsewhere: .{10,}", block.note), f"{block.place}: say why it is not run"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        name, _, anchor = target.partition("#")
        if not name.startswith("http"):
            path = (page.parent / name).resolve() if name else page
            assert path.exists(), target
            headings = re.findall(r"^#+ (.*)", path.read_text("utf-8"), re.MULTILINE) if anchor else []
            anchors = [re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings]
            assert not anchor or anchor in anchors, target


@pytest.mark.parametrize(
    "offence",
    [
        ("sh", "", "headway predict runs/pairs --no-such-option"),
        ("sh", "", "headway predict runs/nowhere"),
        ("sh", "", "rm -r runs"),
        ("", "", "make no-such-target"),
        ("", "", "headway demo no-such-demo"),
        ("toml", "", "[stop]\nminute = 3"),
        ("json", "like=runs/pairs/run.json", '{"created": "now"}'),
        ("text", "output", "what no command printed"),
        ("text", "error", "what no command said"),
        ("python", "", "import headway\nheadway.no_such_name"),
    ],
    ids=lambda offence: offence[2],
)
def test_the_checks_see_offences(offence: tuple[str, str, str], here: Path) -> None:
    with pytest.raises((AssertionError, RecipeError, AttributeError, typer.BadParameter)):
        Reader().follow(Block(ROOT / "README.md", 1, *offence), fails=False)
