"""Frames and data sets as training data: the rows, the columns, and what is wrong with them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headway.data.corpus import DataConfig
from headway.data.tables import columns_of, is_table, table_files
from headway.errors import DataError, RecipeError

ROWS = {
    "de": ["Haus", "Baum\tmit Tab", "", None],
    "en": ["house", "tree", "empty", "none"],
    "n": [1, 2, 3, 4],
}


def pandas_frame(rows: dict[str, list[Any]]) -> Any:
    return pytest.importorskip("pandas").DataFrame(rows)


def polars_frame(rows: dict[str, list[Any]]) -> Any:
    return pytest.importorskip("polars").DataFrame(rows)


def lazy_frame(rows: dict[str, list[Any]]) -> Any:
    return polars_frame(rows).lazy()


def data_set(rows: dict[str, list[Any]]) -> Any:
    return pytest.importorskip("datasets").Dataset.from_dict(rows)


def stream(rows: dict[str, list[Any]]) -> Any:
    return data_set(rows).to_iterable_dataset()


MAKERS = [pandas_frame, polars_frame, lazy_frame, data_set, stream]
PAIRS = DataConfig(train=(), source_field="de", target_field="en")


def written(tables: tuple[Any, ...], folder: Path, data: DataConfig, pairs: bool) -> list[dict[str, Any]]:
    files = table_files(tables)
    files.write(folder, data, pairs)
    paths = files.paths(folder)
    return [
        json.loads(line)
        for path in (*paths["train"], *paths["valid"])
        for line in Path(path).read_text("utf-8").splitlines()
    ]


@pytest.mark.parametrize("make", MAKERS)
def test_each_row_becomes_an_object_of_the_columns_that_are_read(
    make: Callable[[dict[str, list[Any]]], Any], tmp_path: Path
) -> None:
    table = make(ROWS)
    assert is_table(table)
    assert columns_of(table) == ["de", "en", "n"]
    assert table_files((table,)).has_pairs(PAIRS)
    lines = written((table,), tmp_path / "data", PAIRS, pairs=True)
    assert [line["en"] for line in lines] == ROWS["en"]
    assert [line["de"] for line in lines[:3]] == ROWS["de"][:3]
    assert not isinstance(lines[3]["de"], str)  # a bad line, as in any file
    assert all(line.keys() == {"de", "en"} for line in lines)


def test_splits_are_what_is_learned_from_and_what_is_held_out(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    one, other = data_set({"text": ["a", "b"]}), data_set({"text": ["c"]})
    table = datasets.DatasetDict({"train": one, "validation": other, "test": other})
    files = table_files((table,))
    assert (files.train, files.valid) == ((one,), (other,))
    text = DataConfig(train=())
    assert not files.has_pairs(text)
    assert [line["text"] for line in written((table,), tmp_path, text, pairs=False)] == ["a", "b", "c"]
    with pytest.raises(DataError, match="no split 'train': it has test"):
        table_files((datasets.DatasetDict({"test": one}),))


def test_columns_of_objects_are_read_by_a_dot(tmp_path: Path) -> None:
    table = data_set({"translation": [{"de": "Haus", "en": "house"}, {"de": "Baum", "en": "tree"}]})
    data = DataConfig(train=(), source_field="translation.de", target_field="translation.en")
    assert table_files((table,)).has_pairs(data)
    lines = written((table,), tmp_path, data, pairs=True)
    assert lines[1] == {"translation.de": "Baum", "translation.en": "tree"}


def test_half_a_character_is_written_so_that_reading_tells_of_it(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"text": pandas.Series(["a\ud800"], dtype=object)})
    [line] = written((table,), tmp_path, DataConfig(train=()), pairs=False)
    assert line == {"text": "a\ud800"}


@pytest.mark.parametrize("make", MAKERS)
def test_columns_that_are_missing_are_named(make: Callable[..., Any], tmp_path: Path) -> None:
    files = table_files((make({"tekst": ["a"], "n": [1]}),))
    with pytest.raises(DataError, match=r"columns tekst, n, and neither 'source' and 'target' .*'text'"):
        files.has_pairs(DataConfig(train=()))
    with pytest.raises(RecipeError, match=r"no column 'text': did you mean 'tekst'\?"):
        files.write(tmp_path, DataConfig(train=()), pairs=False)


@pytest.mark.parametrize("make", MAKERS[:-1])
def test_an_empty_table_is_told_of(make: Callable[..., Any]) -> None:
    with pytest.raises(DataError, match="has no rows"):
        table_files((make({"text": []}),)).has_pairs(DataConfig(train=()))


def test_what_is_no_table() -> None:
    assert not any(map(is_table, (["a"], {"text": ["a"]}, "a.txt", Path("a.txt"), None)))
