"""What the pages list agrees with the code: keys, defaults, presets, files, layers, types."""

import dataclasses
import importlib
import inspect
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from headway.model.presets import PRESETS
from headway.recipe import Recipe, built_in_recipes, read_recipe
from tests.test_docs import DOCS, ROOT, blocks_of
from tests.test_house import BASE, CORE, MAY_IMPORT

ITEM = re.compile(r"`([^`]+)`")
RECIPES_PAGE = DOCS / "how-to" / "recipes.md"
KEYS_PAGE = DOCS / "reference" / "recipe.md"
NO_DEFAULT = {"data.train": "required", "model.vocab_size": "from `text.target`"}


def keys_of(kind: type, group: str = "") -> Iterator[tuple[str, str, Any, Any]]:
    """Group, key, type and default of every key of a recipe; a group that may be absent is one key."""
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        inner = hints[field.name]
        if dataclasses.is_dataclass(inner):
            yield from keys_of(inner, f"{group}.{field.name}".strip("."))  # type: ignore[arg-type]
        elif any(dataclasses.is_dataclass(each) for each in get_args(inner)):
            yield f"{group}.{field.name}", "", inner, None
        else:
            yield group, field.name, inner, field.default


def tables_of(page: Path) -> dict[str, dict[str, list[str]]]:
    """Of each section of a page the rows of its tables, by their first cell; headings without ` and [ ]."""
    found: dict[str, dict[str, list[str]]] = {}
    section = ""
    for line in page.read_text("utf-8").splitlines():
        if line.startswith("#"):
            section = line.lstrip("# ").strip("`[]")
            found[section] = {}
        elif line.startswith("| "):
            first, *cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
            found[section][first] = cells
    return found


def test_every_key_of_a_recipe_is_described() -> None:
    tables = tables_of(KEYS_PAGE)
    keys = list(keys_of(Recipe))
    sections = {group or "Top level" for group, *_ in keys}
    for section in sections:
        wanted = {f"`{key}`" for group, key, *_ in keys if (group or "Top level") == section and key}
        told = {first for first in tables[section] if first.startswith("`")}
        assert told == wanted, f"section {section}"
    for group, key, kind, default in keys:
        if not key:
            continue
        name = f"{group}.{key}".strip(".")
        allowed, shown, meaning = tables[group or "Top level"][f"`{key}`"]
        assert meaning, name
        if default is dataclasses.MISSING:
            assert shown == NO_DEFAULT[name], name
        elif default is None:
            assert shown == "unset", name
        else:
            value = tomllib.loads(f"value = {shown.strip('`')}")["value"]
            expected = list(default) if isinstance(default, tuple) else default
            assert (type(value), value) == (type(expected), expected), name
        choices = {
            each for part in (kind, *get_args(kind)) if get_origin(part) is Literal for each in get_args(part)
        }
        assert choices <= set(ITEM.findall(allowed)), f"{name}: not all choices are named"


def test_every_preset_and_recipe_is_described() -> None:
    tables = tables_of(RECIPES_PAGE)
    assert {name for row in tables["Presets"] for name in ITEM.findall(row)} == set(PRESETS)
    assert {name for row in tables["Built-in recipes"] for name in ITEM.findall(row)} == set(
        built_in_recipes()
    )
    for name, (told,) in tables["Built-in recipes"].items():
        if name.startswith("`"):
            minutes = re.search(r"(\d+) minutes", told)
            recipe = read_recipe(name.strip("`"), ["data.train=x"])
            assert minutes is None or recipe.stop.minutes == int(minutes[1]), name


def test_every_key_of_a_file_is_explained() -> None:
    page = DOCS / "formats.md"
    explained = set(ITEM.findall(re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)))
    for block in blocks_of(page):
        if block.note.startswith("like="):
            assert all_keys(json.loads(block.text)) <= explained, block.place


def all_keys(value: Any) -> set[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set(value if isinstance(value, dict) else ()).union(*map(all_keys, inner))


ARCHITECTURE = tables_of(DOCS / "architecture.md")


def test_the_layers_are_those_that_hold() -> None:
    sets = {"core": CORE, "base": BASE, "nothing of ours": set[str]()}
    told: dict[str, set[str]] = {}
    for units, (allowed,) in ARCHITECTURE["Who may import whom"].items():
        parts = [sets.get(part, set(ITEM.findall(part))) for part in allowed.split(", ")]
        told |= {unit: set[str]().union(*parts) for unit in ITEM.findall(units)}
    assert told == MAY_IMPORT


def test_the_central_types_are_as_told() -> None:
    rows = ARCHITECTURE["Central types"]
    assert len(rows) > 20
    for names, (where, _) in rows.items():
        for name, inside in re.findall(r"`(\w+)(?:\(([^)]*)\))?`", names):
            module = where.strip("`").removesuffix(".py").replace("/", ".")
            kind = getattr(importlib.import_module(f"headway.{module}"), name)
            parts = [part for part in (inside or "").split(", ") if part]
            for part in parts:
                known = part in inspect.get_annotations(kind) or hasattr(kind, part)
                assert known, f"{name} has no {part}"


def test_modules_named_exist() -> None:
    text = (DOCS / "architecture.md").read_text("utf-8")
    for name in re.findall(r"`([\w/]+\.py)`", text):
        assert (ROOT / "src" / "headway" / name).exists() or (ROOT / name).exists(), name
