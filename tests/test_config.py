"""Config: strict reading, overrides, and text that reads back as the same thing."""

import math
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.config import apply_overrides, from_table, read_toml, table_of
from headway.errors import RecipeError
from headway.model.config import TransformerConfig
from headway.recipe import read_recipe


@dataclass(frozen=True, kw_only=True)
class Inner:
    kind: Literal["post", "pre"] = "post"
    epsilon: float = 1e-5
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.epsilon <= 0:
            raise ValueError("epsilon must be above 0")


@dataclass(frozen=True, kw_only=True)
class Outer:
    size: int
    name: str = "base"
    files: tuple[str, ...] = ()
    steps: int | float = 0
    fast: bool = False
    label: str | None = None
    inner: Inner = field(default_factory=Inner)
    other: Inner | None = None


def message(table: dict[str, Any], place: str = "") -> str:
    with pytest.raises(RecipeError) as caught:
        from_table(Outer, table, place)
    return str(caught.value)


def test_a_table_becomes_the_dataclass() -> None:
    table = {"size": 3, "files": ["a", "b"], "inner": {"kind": "pre", "epsilon": 1}, "other": {"limit": 4}}
    config = from_table(Outer, table)
    assert config == Outer(
        size=3, files=("a", "b"), inner=Inner(kind="pre", epsilon=1.0), other=Inner(limit=4)
    )
    assert isinstance(config.inner.epsilon, float)
    assert isinstance(config.files, tuple)


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ({"size": "3"}, ["size", '"3"', "an integer"]),
        ({"size": 3.0}, ["size", "3.0", "an integer"]),
        ({"size": True}, ["size", "true", "an integer"]),
        ({}, ["size is missing", "an integer"]),
        ({"size": 1, "fast": 1}, ["fast", "true or false"]),
        ({"size": 1, "name": 5}, ["name", "5", "a string"]),
        ({"size": 1, "files": "a"}, ["files", '"a"', "a list", "a string"]),
        ({"size": 1, "files": ["a", 2]}, ["files[1]", "2", "a string"]),
        ({"size": 1, "steps": "many"}, ["steps", '"many"', "an integer or a number"]),
        ({"size": 1, "inner": {"kind": "middle"}}, ["inner.kind", '"middle"', '"post"', '"pre"']),
        ({"size": 1, "inner": {"epsilon": "1e-5"}}, ["inner.epsilon", "a number"]),
        ({"size": 1, "inner": {"limit": "x"}}, ["inner.limit", "an integer"]),
        ({"size": 1, "inner": 3}, ["inner", "3", "a table"]),
        ({"size": 1, "inner": {"epsilon": -1.0}}, ["inner: epsilon must be above 0"]),
        ({"size": 1, "steps": math.nan}, ["steps = nan: must be a finite number"]),
        ({"size": 1, "inner": {"epsilon": math.inf}}, ["inner.epsilon = inf: must be a finite number"]),
        ({"size": 1, "nam": "x"}, ["unknown key 'nam'", "did you mean 'name'?"]),
        ({"size": 1, "other": {"kin": "pre"}}, ["unknown key 'other.kin'", "did you mean 'kind'?"]),
        ({"size": 1, "zzz": 1}, ["unknown key 'zzz'", "choose from", "files", "size"]),
    ],
)
def test_what_is_wrong_is_named_and_what_is_right(table: dict[str, Any], parts: list[str]) -> None:
    said = message(table, "my.toml")
    assert said.startswith("my.toml: ")
    for part in parts:
        assert part in said


def test_a_measured_figure_need_not_be_finite() -> None:
    assert from_table(Outer, {"size": 1, "steps": math.inf}, finite=False).steps == math.inf


def test_a_long_value_is_not_printed_whole() -> None:
    assert len(message({"size": "x" * 10_000})) < 200


def test_what_the_dataclass_refuses_keeps_its_words_and_gets_the_file() -> None:
    with pytest.raises(RecipeError, match=r"^r\.toml: .*d_model = 510 is not a multiple"):
        from_table(TransformerConfig, {"vocab_size": 10, "d_model": 510}, "r.toml")


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    for content in (b"size = = 3", b"size = \xff", b"size = " + b"[" * 5000):
        path.write_bytes(content)
        with pytest.raises(RecipeError, match=r"r\.toml: is not TOML"):
            read_toml(path)
    with pytest.raises(RecipeError, match=r"absent\.toml: cannot be read"):
        read_toml(tmp_path / "absent.toml")
    path.write_text("size = 3\n[inner]\nkind = 'pre'", "utf-8-sig")
    assert from_table(Outer, read_toml(path), str(path)) == Outer(size=3, inner=Inner(kind="pre"))


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("size=256", "size", 256),
        ("name=256", "name", "256"),
        ('name="a=b"', "name", "a=b"),
        ("name=a = b", "name", "a = b"),
        ("fast=true", "fast", True),
        ("steps=1e-4", "steps", 1e-4),
        ("files=a.txt", "files", ["a.txt"]),
        ('files=["a", "b"]', "files", ["a", "b"]),
        ("label=none", "label", None),
        ("name=none", "name", "none"),
        ("name=1\nsize = 2", "name", "1\nsize = 2"),
    ],
)
def test_an_override_is_a_toml_value_or_text(override: str, key: str, value: object) -> None:
    assert apply_overrides(Outer, {}, [override]) == {key: value}


def test_overrides_go_into_groups_and_the_last_wins() -> None:
    table = {"size": 1, "inner": {"kind": "pre"}}
    changed = apply_overrides(Outer, table, ["inner.limit=1", "inner.limit=2", "other.kind=pre", "size=7"])
    assert changed == {"size": 7, "inner": {"kind": "pre", "limit": 2}, "other": {"kind": "pre"}}
    assert table == {"size": 1, "inner": {"kind": "pre"}}, "the table given stays as it was"
    assert from_table(Outer, apply_overrides(Outer, changed, ["inner.limit=none"])).inner.limit is None


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("size", ["'size'", "key=value"]),
        ("sizes=1", ["'sizes=1'", "unknown key 'sizes'", "did you mean 'size'?"]),
        ("iner.kind=pre", ["unknown key 'iner'", "did you mean 'inner'?"]),
        ("inner.kid=pre", ["unknown key 'inner.kid'", "did you mean 'kind'?"]),
        ("size.kind=pre", ["size has no keys inside"]),
        ("=3", ["unknown key ''"]),
    ],
)
def test_an_override_that_fits_nothing_is_refused(override: str, parts: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        apply_overrides(Outer, {}, [override])
    for part in parts:
        assert part in str(caught.value)


def test_an_override_inside_what_is_no_table_is_refused() -> None:
    with pytest.raises(RecipeError, match="inner = 3 is there, where a table is right"):
        apply_overrides(Outer, {"inner": 3}, ["inner.kind=pre"])


inners = st.builds(
    Inner,
    kind=st.sampled_from(["post", "pre"]),
    epsilon=st.floats(min_value=1e-300, allow_infinity=False),
    limit=st.none() | st.integers(-(2**63), 2**63 - 1),
)
text = st.text(st.characters(codec="utf-8"))


@settings(max_examples=20)
@given(
    st.builds(
        Outer,
        size=st.integers(-(2**63), 2**63 - 1),
        name=text,
        files=st.lists(text).map(tuple),
        steps=st.integers(0, 9) | st.floats(allow_nan=False, allow_infinity=False),
        fast=st.booleans(),
        label=st.none() | text,
        inner=inners,
        other=st.none() | inners,
    )
)
def test_dumped_text_reads_back_as_the_same(config: Outer) -> None:
    assert from_table(Outer, tomllib.loads(tomli_w.dumps(table_of(config)))) == config


def test_what_is_none_is_left_out() -> None:
    written = table_of(Outer(size=1))
    assert "label" not in written
    assert "other" not in written
    assert "inner" in written


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a" * 1_000_000 + b" = 1", "unknown key 'aaaa"),
        (b"a" * 10_000_000, "is larger than 4,194,304 bytes"),
        (b"seed = " + b"9" * 1_000_000, "Exceeds the limit"),
        (b"seed = 0x" + b"f" * 1_000_000, "seed: has more than 100 digits"),
        (b"seed = " + b"[" * 1_000_000, "recursion"),
        (b"seed" + b".a" * 1_000_000 + b" = 1", "a key has more than 50 parts"),
        (b"[seed" + b" . 'a.b'" * 100_000 + b"]", "a key has more than 50 parts"),
        (b"seed = 1\nseed = 2", "overwrite"),
        (b'preset = "\\ud800"', "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
    ],
)
def test_absurd_files_are_refused_at_once(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=said) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "value", ["9" * 9999, "0x" + "9" * 9999, "[" * 9999, "nan", "\udcff", "{a" + ".a" * 9999]
)
def test_absurd_overrides_are_refused(value: str) -> None:
    with pytest.raises(RecipeError, match="seed"):
        read_recipe("causal", [f"seed={value}"], {"data": {"train": ["text.txt"]}})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_recipe_is_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "recipe.toml")
    for path in (tmp_path / "recipe.toml", Path("/dev/zero")):
        with pytest.raises(RecipeError, match="is no file but a device or a named pipe"):
            read_recipe(path)
