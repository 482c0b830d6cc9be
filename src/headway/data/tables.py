"""Tables of Python libraries (pandas, polars, datasets) as training data; none of them is imported here."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from headway.data.corpus import DataConfig, Record
from headway.errors import DataError, RecipeError, did_you_mean

LIBRARIES = ("pandas", "polars", "datasets")
VALIDATION_SPLITS = ("validation", "valid", "val", "dev")
"""What a dictionary of data sets may call the part that is held out."""


class TableFiles(NamedTuple):
    """Tables that become JSON lines in the folder of a run, where it finds them when it goes on."""

    train: tuple[Any, ...]
    valid: tuple[Any, ...]

    def paths(self, folder: Path) -> dict[str, list[str]]:
        """Where their text will lie, as keys of `[data]`."""
        return {
            key: [str(folder / f"{key}-{number}.jsonl") for number in range(1, len(tables) + 1)]
            for key, tables in self._asdict().items()
        }

    def has_pairs(self, data: DataConfig) -> bool:
        """Whether the columns are those of pairs. Raises DataError if they are not those of text either."""
        columns = columns_of(self.train[0])
        if {data.source_field, data.target_field} <= set(columns):
            return True
        if data.text_field not in columns:
            raise DataError(
                f"a table has the columns {', '.join(columns)}, and neither {data.source_field!r} and "
                f"{data.target_field!r} for pairs nor {data.text_field!r} for text: say which with "
                "data.source_field and data.target_field, or data.text_field"
            )
        return False

    @property
    def held_out(self) -> int:
        """Rows that are held out, where the tables tell how many they have."""
        return sum(_rows(table) or 1 for table in self.valid)

    def beginning(self, data: DataConfig, pairs: bool, most: int) -> tuple[list[Record], int]:
        """The first examples, at most so many, and how many rows there are, as far as that is told."""
        names, found = _fields(data, pairs), list[Record]()
        for table in self.train:
            _refuse_missing(names, columns_of(table))
            for number, row in enumerate(islice(rows_of(table), most - len(found)), start=1):
                cells = [_cell(row, name) for name in names]
                if all(isinstance(cell, str) and cell.strip() for cell in cells):
                    found.append(Record(cells[0] if pairs else None, cells[-1], "a table", number))
        if not found:
            raise DataError("there is no usable text in the table")
        return found, sum(_rows(table) or 0 for table in self.train)

    def write(self, folder: Path, data: DataConfig, pairs: bool) -> None:
        """One JSON object a row, with the columns that are read."""
        names = _fields(data, pairs)
        folder.mkdir(parents=True, exist_ok=True)
        for key, paths in self.paths(folder).items():
            for table, path in zip(getattr(self, key), paths, strict=True):
                _write(table, names, Path(path))


def is_table(thing: object) -> bool:
    """Whether it is an object of a library that Headway reads rows from."""
    return type(thing).__module__.partition(".")[0] in LIBRARIES


def table_files(tables: tuple[Any, ...]) -> TableFiles:
    """What is learned from and what is held out: the splits of data sets, everything of other tables.

    Raises DataError for a dictionary of data sets without a split called `train`.
    """
    train: list[Any] = []
    valid: list[Any] = []
    for table in tables:
        if not isinstance(table, Mapping):
            train.append(table)
        elif "train" not in table:
            raise DataError(f"a dictionary of data sets has no split 'train': it has {', '.join(table)}")
        else:
            train.append(table["train"])
            valid += [table[name] for name in VALIDATION_SPLITS if name in table][:1]
    return TableFiles(tuple(train), tuple(valid))


def columns_of(table: Any) -> list[str]:
    """The names of the columns; those inside a column of objects are told of by their first row."""
    first = next(rows_of(table), None)
    if first is None:
        raise DataError("a table has no rows")
    inner = [f"{name}.{key}" for name, value in first.items() if isinstance(value, Mapping) for key in value]
    return [*first, *inner]


def rows_of(table: Any) -> Iterator[Mapping[str, Any]]:
    """The rows, each with its values by column."""
    library = type(table).__module__.partition(".")[0]
    if library == "pandas":
        names = [str(name) for name in table.columns]
        return (dict(zip(names, row, strict=True)) for row in table.itertuples(index=False, name=None))
    if library == "polars":
        return iter(getattr(table, "collect", lambda: table)().iter_rows(named=True))
    return iter(table)


def _fields(data: DataConfig, pairs: bool) -> tuple[str, ...]:
    """The columns that are read."""
    return (data.source_field, data.target_field) if pairs else (data.text_field,)


def _rows(table: Any) -> int | None:
    """How many rows a table has, if it knows."""
    return len(table) if hasattr(table, "__len__") else None


def _refuse_missing(names: tuple[str, ...], columns: list[str]) -> None:
    for name in names:
        if name not in columns:
            raise RecipeError(f"a table has no column {name!r}: {did_you_mean(name, columns)}")


def _write(table: Any, names: tuple[str, ...], path: Path) -> None:
    _refuse_missing(names, columns_of(table))
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows_of(table):
            line = {name: _cell(row, name) for name in names}
            text = json.dumps(line, ensure_ascii=False, default=lambda _: None)
            # Half a character cannot be written as UTF-8; escaped, it is reported as any other bad line.
            half = any("\ud800" <= sign <= "\udfff" for sign in text)
            file.write((json.dumps(line, default=lambda _: None) if half else text) + "\n")


def _cell(row: Mapping[str, Any], name: str) -> Any:
    """The value in a column, or in an object that a column holds: `translation.de`."""
    outer, _, inner = name.partition(".")
    if name in row or not inner:
        return row.get(name)
    held = row.get(outer)
    return held.get(inner) if isinstance(held, Mapping) else None
