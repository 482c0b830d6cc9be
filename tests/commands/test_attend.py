"""`headway attend`: a table, a page, a figure."""

from pathlib import Path

import pytest

import headway
from headway.errors import UserError

from .program import headway as program
from .program import refused


def test_a_table_of_all_layers_or_of_some_heads(tiny_runs: dict[str, Path]) -> None:
    done = program("attend", tiny_runs["pairs"], "bal")
    assert done.returncode == 0, done.stderr
    titles = [line.strip() for line in done.stdout.splitlines() if "looking at" in line]
    assert titles == [
        "encoder layer 1, looking at itself",
        "decoder layer 1, looking at itself",
        "decoder layer 1, looking at its source",
    ]
    some = program("attend", tiny_runs["pairs"], "bal", "--show", "memory.1.2").stdout
    assert [line.split()[1] for line in some.splitlines() if "bits" in line] == ["2"]
    assert "looking at its source" in some


@pytest.mark.parametrize("kind", ["pairs", "causal", "masked"])
def test_a_page(tiny_runs: dict[str, Path], tmp_path: Path, kind: str) -> None:
    out = tmp_path / "page.html"
    done = program("attend", tiny_runs[kind], "bal", "--out", out, "--style", "grid")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    page = out.read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert f"#attention?model={kind}&" in page
    assert "style=grid" in page
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_figure(tiny_runs: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "figure.svg"
    done = program(
        "attend", tiny_runs["pairs"], "bal", "--output", "l a b", "--show", "memory.1.1", "--out", out
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    text = out.read_text("utf-8")
    assert "head 1" in text
    assert "head 2" not in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--out", "x.gif"], "the name ends in .html for a page"),
        (["--style", "cube"], "choose map or lines"),
        (["--style", "grid", "--out", "x.png"], "or for a page also grid"),
        (["--show", "both"], "write encoder, decoder or memory"),
        (["--show", "memory.1.2.3"], "write encoder, decoder or memory"),
        (["--show", "memory.x"], "layers and heads are numbers"),
        (["--show", "memory.1,2"], "name one layer"),
        (["--show", "memory.2"], "no attention of decoder layer 2 (memory)"),
        (["--show", "memory.1.9"], "no head 9"),
        (["--show", "memory.1.9", "--out", "x.png"], "no head 9"),
        (["--out", "nowhere/x.html"], "nowhere/x.html: cannot be written"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    tiny_runs: dict[str, Path], tmp_path: Path, arguments: list[str], told: str
) -> None:
    done = program("attend", tiny_runs["pairs"], "bal", *arguments, folder=tmp_path)
    assert told in refused(done)
    assert list(tmp_path.iterdir()) == []


def test_only_pairs_have_an_output(tiny_runs: dict[str, Path]) -> None:
    assert "--output: only an encoder-decoder" in refused(
        program("attend", tiny_runs["causal"], "bal", "--output", "x")
    )
    with pytest.raises(UserError, match="apart from what it reads"):
        headway.load(tiny_runs["masked"]).attend("bal", "x")


def test_from_python(tiny_runs: dict[str, Path]) -> None:
    pipeline = headway.load(tiny_runs["pairs"])
    own = pipeline.attend("bal")
    given = pipeline.attend("bal", pipeline.predict("bal"))
    assert own.record("decoder", 1, "memory").weights.equal(given.record("decoder", 1, "memory").weights)
    assert pipeline.attend("bal", "z").target.tokens != own.target.tokens
    assert headway.load(tiny_runs["causal"]).attend("bal bel").records[0].query_tokens[0] == "<s>"
