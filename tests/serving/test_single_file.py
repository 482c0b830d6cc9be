"""One file: nothing outside of it, nothing in it that a text could have put there."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from headway.api import Pipeline, load
from headway.errors import UserError
from headway.serving import answers
from headway.serving.export import export_page, name_of
from headway.serving.single_file import inlined, json_for_script, request_name, single_file

HOSTILE = "</script><!--<script>\u2028\u2029 &amp; é 'x' \"y\""


@pytest.fixture(scope="module")
def pipelines(tiny_runs: dict[str, Path]) -> dict[str, Pipeline]:
    return {name: load(folder, device="cpu") for name, folder in tiny_runs.items()}


def recorded(page: str) -> dict[str, dict[str, object]]:
    """What the page has in it."""
    [text] = re.findall(r"<script>window\.HEADWAY_RECORDED = (.*);</script>", page)
    held: dict[str, dict[str, object]] = json.loads(text)
    return held


def test_everything_is_inside() -> None:
    page = single_file("#attention?x=1", {"GET /api/models": {"models": []}})
    assert not re.search(r"""(src|href)=["'](?!#)""", page)
    assert not re.search(r"^import |^export ", page, re.MULTILINE)
    assert "static/" not in page
    assert page.count("<script") == page.count("</script>") == 2
    for path in (files("headway") / "serving" / "static").iterdir():
        if path.name.endswith(".js"):
            assert inlined("main.js").count(f"const module_{re.sub(r'[^a-zA-Z0-9]', '_', path.name)} = ") == 1
        if path.name.endswith(".css"):
            assert path.read_text("utf-8") in page
    assert "default-src 'none'" in page
    assert recorded(page) == {"hash": "#attention?x=1", "answers": {"GET /api/models": {"models": []}}}


def test_no_text_leaves_its_string() -> None:
    page = single_file(f"#{HOSTILE}", {HOSTILE: {HOSTILE: [HOSTILE]}})
    assert recorded(page)["answers"] == {HOSTILE: {HOSTILE: [HOSTILE]}}
    assert page.count("</script>") == 2
    assert "<!--" not in page
    assert json_for_script(HOSTILE).isascii()


def test_names_are_what_the_page_asks_for() -> None:
    assert request_name("/api/models") == "GET /api/models"
    body = {"text": "é", "model": "m", "layer": 1}
    assert request_name("/attention", body) == 'POST /attention {"layer":1,"model":"m","text":"é"}'


@pytest.mark.parametrize("kind", ["pairs", "causal", "masked"])
def test_all_views_of_a_text_are_kept(pipelines: dict[str, Pipeline], kind: str) -> None:
    held = recorded(export_page(pipelines[kind], kind, " bal "))
    names = [name.split(" {")[0] for name in held["answers"]]
    layers = 3 if kind == "pairs" else 1
    assert sorted(names) == sorted(
        ["GET /api/models", f"GET /positions?model={kind}", "POST /attention/summary", "POST /guesses"]
        + ["POST /masks"]
        + ["POST /attention"] * layers
        + ["POST /search-tree"] * (kind != "masked")
    )
    for name in held["answers"]:
        if name.startswith("POST"):
            assert '"model":"' + kind in name
            assert ('"source":"bal"' in name) == (kind == "pairs" and "tree" not in name)


def test_an_output_may_be_given(pipelines: dict[str, Pipeline]) -> None:
    page = export_page(pipelines["pairs"], "m", "bal", "z z", {"stack": "encoder", "layer": 1})
    held = recorded(page)
    assert str(held["hash"]).startswith("#attention?model=m&source=bal&text=z+z&stack=encoder")
    assert 'POST /guesses {"model":"m","source":"bal","text":"z z"}' in held["answers"]


def test_too_much_is_refused(pipelines: dict[str, Pipeline]) -> None:
    with pytest.raises(UserError, match="too many to look at"):
        export_page(pipelines["masked"], "m", "bal " * answers.MOST_TOKENS)


def test_models_are_called_as_their_folders(tiny_runs: dict[str, Path]) -> None:
    assert name_of(tiny_runs["pairs"]) == name_of(tiny_runs["pairs"] / "model") == "pairs"
