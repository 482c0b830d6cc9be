"""The reference says what the code says, and all of it."""

import re
from typing import Annotated, Literal

import pytest
import typer
from docs_build.python_names import definition, signature
from docs_build.recipe_keys import default_of, groups, in_markdown, value_of
from docs_build.reference import FOLDER, pages
from docs_build.tables import escaped, table
from docs_build.verbs import verb

import headway
from headway.cli import app
from headway.decoding.settings import SearchConfig
from headway.recipe import Recipe


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return pages()


@pytest.mark.parametrize("name", ["recipe.md", "command-line.md", "python.md"])
def test_it_is_up_to_date(name: str, made: dict[str, str]) -> None:
    assert (FOLDER / name).read_text("utf-8") == made[name], "run: make docs"


def test_every_key_has_a_meaning() -> None:
    for group in groups():
        for key in group.keys:
            assert key.meaning.endswith((".", "…")), f"{group.name}.{key.name}: say below it what it is"


@pytest.mark.parametrize(
    ("path", "hint", "value"),
    [
        ("optimizer.rate", float | None, "number, above 0, or unset"),
        ("model.positions.buckets", int, "integer, even and at least 4"),
        ("stop.steps", int, "integer"),
        ("search.method", Literal["beam", "greedy"], "`beam`, `greedy`"),
        ("data.columns", tuple[int, int] | None, "list of 2 integers, or unset"),
        ("training.freeze", tuple[str, ...], "list of text"),
    ],
)
def test_values_in_words(path: str, hint: object, value: str) -> None:
    assert value_of(path, hint) == value


@pytest.mark.parametrize(
    ("default", "shown"),
    [
        (None, "unset"),
        (True, "`true`"),
        (1e-9, "`1e-9`"),
        (4096, "`4096`"),
        (16384, "`16_384`"),
        ((), "`[]`"),
    ],
)
def test_defaults_as_in_toml(default: object, shown: str) -> None:
    assert default_of("", default) == shown


def test_none_is_called_unset() -> None:
    assert in_markdown("How far.\n  None = all.") == "How far. Unset: all."
    assert in_markdown("A size; None = d_model.") == "A size; unset: d_model."


def test_every_verb_and_option_is_there(made: dict[str, str]) -> None:
    text = made["command-line.md"]
    sections = dict(re.findall(r"^## headway (\w+)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))
    group = typer.main.get_command(app)
    assert list(sections) == list(group.commands)  # type: ignore[attr-defined]
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        told = set(
            re.findall(
                r"(?<!\w)--?[a-z][a-z-]*",
                "".join(re.findall(r"^\| (`.*?`) \|", sections[name], re.MULTILINE)),
            )
        )
        options = [each for each in command.params if each.param_type_name == "option"]
        assert told == {option for each in options for option in each.opts}, name


def test_a_verb_is_told_as_it_is_called() -> None:
    def visit(
        place: Annotated[str, typer.Argument(help="Where to.")],
        times: Annotated[int, typer.Option(help="How often.")] = 3,
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Without a word.")] = False,
    ) -> None:
        """Go there."""

    heading, usage, about, rows = verb("visit", visit)
    assert (heading, about) == ("## headway visit", "Go there.")
    assert usage == "```text\nheadway visit TEXT [OPTIONS]\n```"
    assert rows.splitlines()[2:] == [
        "| `TEXT` |  | Where to. |",
        "| `--times NUMBER` | `3` | How often. |",
        "| `--quiet, -q` |  | Without a word. |",
    ]


def test_every_public_name_is_there(made: dict[str, str]) -> None:
    headings = re.findall(r"^## headway\.(\w+)", made["python.md"], re.MULTILINE)
    assert headings == sorted(headway.__all__)


def test_a_signature_says_all_parameters() -> None:
    node = definition("headway.api", "load")
    assert signature("load", node) == (  # type: ignore[arg-type]
        "```py\nload(*folders: str | Path, device: str = 'auto', precision: str = 'float32') -> Pipeline\n```"
    )


def test_words_are_not_taken_for_marks() -> None:
    assert escaped("</s> of `d_model` and d_ff") == r"&lt;/s&gt; of `d_model` and d\_ff"
    assert table(("a",), []) == ""
    assert table(("a", "b"), [("x|y", "z")]) == "| a | b |\n| --- | --- |\n| x\\|y | z |"


def test_all_groups_are_walked() -> None:
    names = [group.name for group in groups()]
    assert names[0] == ""
    assert {"model.positions", "text.source", "search"} <= set(names)
    assert len(next(group for group in groups() if group.name == "search").keys) == len(
        SearchConfig.__dataclass_fields__
    )
    assert len(names) > len(Recipe.__dataclass_fields__) - 4
