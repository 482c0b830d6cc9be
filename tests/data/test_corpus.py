"""Reading examples: every line becomes an example, an error with its place, or a skip that is counted."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.data.corpus import DataConfig, ReadReport, Record, read_records
from headway.errors import DataError, RecipeError

side = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r"), max_size=8)


def read(
    folder: Path, content: dict[str, str | bytes], pairs: bool, **settings: object
) -> tuple[list[Record], ReadReport]:
    for name, text in content.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    paths = tuple(str(folder / name) for name in content)
    report = ReadReport()
    config = DataConfig(train=paths, **settings)  # type: ignore[arg-type]
    return list(read_records(config, paths, pairs, report)), report


def texts(records: list[Record]) -> list[tuple[str | None, str]]:
    return [(record.source, record.target) for record in records]


@given(st.lists(st.tuples(side, side), min_size=1, max_size=6))
def test_every_line_is_read_or_counted(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    good = [pair for pair in pairs if all(part.strip() for part in pair)]
    content = "".join(f"{source}\t{target}\n" for source, target in [*pairs, ("last", "one")])
    records, report = read(folder, {"a.tsv": content}, True, layout="pairs", bad_lines="skip")
    kept = [(record.source, record.target) for record in records]
    assert kept == [(s.removeprefix("\ufeff") if i == 0 and pairs[0] == (s, t) else s, t)
                    for i, (s, t) in enumerate([*good, ("last", "one")])]  # fmt: skip
    assert report.read == len(kept)
    assert report.read + sum(skip.count for skip in report.skipped.values()) == len(pairs) + 1


def test_pairs_from_a_table_with_places(tmp_path: Path) -> None:
    content = "\ufeffein Haus\ta house\r\n\n zwei \tzwo \n"
    records, report = read(tmp_path, {"a.tsv": content}, True)
    assert texts(records) == [("ein Haus", "a house"), (" zwei ", "zwo ")]
    assert [record.line for record in records] == [1, 3]
    assert records[0].file.endswith("a.tsv")
    assert report.skipped["blank line"].count == 1
    assert "line 2" in "\n".join(report.lines())
    assert "pairs (decided by the tabs in" in report.lines()[0]


def test_named_columns_of_a_wider_table(tmp_path: Path) -> None:
    records, _ = read(tmp_path, {"a.tsv": "go\tV;PST\twent\n"}, True, columns=(1, 3))
    assert texts(records) == [("go", "went")]
    with pytest.raises(DataError, match="too few columns"):
        read(tmp_path, {"a.tsv": "go\twent\n"}, True, columns=(1, 3))


def test_parallel_files_in_turn_and_by_globs(tmp_path: Path) -> None:
    content: dict[str, str | bytes] = {"1.de": "a\nb\n", "1.en": "A\nB", "2.de": "c\n", "2.en": "C\n"}
    records, _ = read(tmp_path, content, True, layout="parallel")
    assert texts(records) == [("a", "A"), ("b", "B"), ("c", "C")]
    paths = [f"{tmp_path}/*.de", f"{tmp_path}/*.en"]
    assert list(read_records(DataConfig(train=tuple(paths)), paths, True)) == records
    with pytest.raises(DataError, match="names 2 files, but its partner"):
        list(read_records(DataConfig(train=tuple(paths)), [paths[0], f"{tmp_path}/1.en"], True))


def test_objects_with_named_fields(tmp_path: Path) -> None:
    line = json.dumps({"de": "Hülle", "en": "hull\nline", "id": 7})
    records, _ = read(tmp_path, {"a.jsonl": line}, True, source_field="de", target_field="en")
    assert texts(records) == [("Hülle", "hull\nline")]
    records, _ = read(tmp_path, {"a.jsonl": line}, False, text_field="en")
    assert texts(records) == [(None, "hull\nline")]


def test_documents_by_lines_by_blank_lines_and_by_files(tmp_path: Path) -> None:
    content: dict[str, str | bytes] = {"a.txt": "\n\none\n  two\r\n \t\n\nthree", "b.txt": "four\n"}
    records, _ = read(tmp_path, content, False)
    assert texts(records) == [(None, "one\n  two"), (None, "three"), (None, "four")]
    assert [record.line for record in records] == [3, 7, 1]
    records, report = read(tmp_path, content, False, layout="lines")
    assert [record.target for record in records] == ["one", "  two", "three", "four"]
    assert report.skipped["blank line"].count == 4
    records, _ = read(tmp_path, content, False, layout="file")
    assert [record.target for record in records] == list(content.values())


def test_a_long_file_can_be_one_document(tmp_path: Path) -> None:
    text = "".join(f"line {number} of a long text\n" for number in range(8_000))
    records, _ = read(tmp_path, {"long.txt": text}, False, layout="file")
    assert texts(records) == [(None, text)]


BAD: dict[str, tuple[dict[str, str | bytes], bool, str, int]] = {
    "missing tab": ({"a.tsv": "a\tb\nno tab\nc\td\n"}, True, "missing tab", 2),
    "more columns": (
        {"a.tsv": "a\tb\nc\td\te\n"},
        True,
        r"more than two columns: 3; .*columns = \[1, 2\]",
        2,
    ),
    "empty source": ({"a.tsv": "a\tb\n \tb\n"}, True, "empty source", 2),
    "empty target": ({"a.tsv": "a\tb\na\t\n"}, True, "empty target", 2),
    "undecodable": ({"a.tsv": b"a\tb\nc\t\xfc\n"}, True, "undecodable byte: 0xFC at byte 3", 2),
    "undecodable in a document": ({"a.txt": b"a\nb\xfc\nc\n"}, False, "undecodable byte", 2),
    "overlong": ({"a.tsv": "a\tb\n" + "x" * 101 + "\n"}, True, "overlong line", 2),
    "overlong document line": ({"a.txt": "a\n\n" + "x" * 101 + "\n"}, False, "overlong line", 3),
    "lone surrogate": (
        {"a.jsonl": '{"source": "a", "target": "b"}\n{"source": "a", "target": "\\ud800"}\n'},
        True,
        r"lone surrogate: \\ud800 in field 'target'",
        2,
    ),
    "no JSON": ({"a.jsonl": '{"text": "a"}\n{"text": \n'}, False, "no JSON", 2),
    "no object": ({"a.jsonl": '{"text": "a"}\n["a"]\n'}, False, "no JSON object", 2),
    "no field": (
        {"a.jsonl": '{"text": "a"}\n{"test": "a"}\n'},
        False,
        "no field 'text': did you mean 'test'",
        2,
    ),
    "no text": ({"a.jsonl": '{"text": "a"}\n{"text": 7}\n'}, False, "field 'text' is no text: 7", 2),
    "empty text": ({"a.jsonl": '{"text": "a"}\n{"text": " "}\n'}, False, "empty text", 2),
    "empty side of two files": ({"a.de": "a\n\nc\n", "a.en": "A\nB\nC\n"}, True, "empty source", 2),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_named_with_file_and_line(case: str, tmp_path: Path) -> None:
    content, pairs, message, line = BAD[case]
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, content, pairs, max_characters=100)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"{tmp_path / next(iter(content))}, line {line}: ")


@pytest.mark.parametrize("case", BAD)
def test_where_told_so_a_bad_line_is_left_out_and_counted(case: str, tmp_path: Path) -> None:
    content, pairs, message, line = BAD[case]
    records, report = read(tmp_path, content, pairs, max_characters=100, bad_lines="skip")
    assert records
    skips = {reason: skip for reason, skip in report.skipped.items() if reason != "blank line"}
    ((reason, skip),) = skips.items()
    assert message.startswith(reason.replace("'", "'"))
    assert skip.count == 1
    assert skip.first == f"{tmp_path / next(iter(content))}, line {line}"
    assert reason in "\n".join(report.lines())


@pytest.mark.parametrize("bad_lines", ["stop", "skip"])
def test_different_line_counts_are_never_skipped(bad_lines: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.en, line 1: has 1 lines, but .*a\.de has more"):
        read(tmp_path, {"a.de": "a\nb\n", "a.en": "A\n"}, True, bad_lines=bad_lines)
    with pytest.raises(DataError, match=r"a\.de: has 0 lines"):
        read(tmp_path, {"a.de": "", "a.en": "A\n"}, True, bad_lines=bad_lines, layout="parallel")
    with pytest.raises(DataError, match="in twos"):
        read(tmp_path, {"a.de": "a\nb\n"}, True, bad_lines=bad_lines, layout="parallel")


@pytest.mark.parametrize("content", ["", "\ufeff", "\n \n"])
@pytest.mark.parametrize(
    ("layout", "pairs"), [("auto", True), ("auto", False), ("file", False), ("pairs", True)]
)
def test_an_empty_file_is_an_error(content: str, layout: str, pairs: bool, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.txt.*(no usable text|empty|no text)"):
        read(tmp_path, {"a.txt": content}, pairs, layout=layout, bad_lines="skip")


def test_when_every_line_is_bad_the_reasons_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no usable text: left out 2: missing tab"):
        read(tmp_path, {"a.tsv": "a\nb\n"}, True, layout="pairs", bad_lines="skip")


def test_no_data_at_all_is_an_error() -> None:
    with pytest.raises(RecipeError, match=r"data\.train"):
        list(read_records(DataConfig(train=()), (), True))


def test_reading_is_lazy(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("a\tb\nbad\n")
    records = read_records(DataConfig(train=(str(path),)), [str(path)], True)
    assert next(records).target == "b"
    with pytest.raises(DataError):
        next(records)


@pytest.mark.parametrize(
    "wrong",
    [{"held_out": 0.0}, {"held_out": 1.0}, {"max_characters": 0}, {"max_source": -1}, {"columns": (0, 1)}],
)
def test_settings_that_cannot_be_followed_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=f"data.{next(iter(wrong))} = "):
        DataConfig(train=("a",), **wrong)  # type: ignore[arg-type]


def test_a_document_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headway.data.corpus.LARGEST_DOCUMENT", 1000)
    text = "one\n\n" + "two\n" * 500
    for layout in ("documents", "file"):
        with pytest.raises(DataError, match=r"a\.txt, line 2\d\d: a document has more than 1,000 characters"):
            read(tmp_path, {"a.txt": text}, pairs=False, layout=layout, max_characters=100)
    records, _ = read(tmp_path, {"a.txt": text}, pairs=False, layout="lines", max_characters=100)
    assert len(records) == 501


def test_json_that_can_be_read_in_two_ways_is_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for line, said in (
        ('{"text": "a", "text": "b"}', "the key 'text' stands twice"),
        ('{"text": ' + "[" * 500 + "]" * 500 + "}", "field 'text' is no text: a list"),
        ('{"text": ' + "[" * 40_000, "no JSON"),
        ('{"text": ' + "9" * 40_000 + "}", "no JSON: Exceeds the limit"),
    ):
        path.write_text(line)
        with pytest.raises(DataError, match=said):
            list(read_records(DataConfig(train=("a",)), [str(path)], pairs=False))
