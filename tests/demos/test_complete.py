from pathlib import Path

from headway.demos.complete import BEFORE, SMALLEST, cut_at_definition, read_sources, write_sources

BODY = "x = 1  # as it was\n" * 40


def put(folder: Path, name: str, content: str | bytes) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)


def test_sources_are_named_by_module_and_unwanted_ones_left_out(tmp_path: Path) -> None:
    assert len(BODY) > SMALLEST
    put(tmp_path, "ast.py", BODY)
    put(tmp_path, "json/decoder.py", BODY.replace("\n", "\r\n"))
    for unwanted in ("test/x.py", "idlelib/idle_test/x.py", "site-packages/a/x.py", "lib2to3/tests/x.py"):
        put(tmp_path, unwanted, BODY)
    put(tmp_path, "_sysconfigdata__linux.py", BODY)
    put(tmp_path, "config-3.11/python-config.py", BODY)
    put(tmp_path, "note.txt", BODY)
    put(tmp_path, "small.py", "x = 1\n")
    put(tmp_path, "large.py", BODY * 1000)
    put(tmp_path, "latin.py", BODY.encode() + b"# \xe9\n")
    assert read_sources(tmp_path) == {"ast.py": BODY, "json.decoder.py": BODY}


def test_all_sources_together_stay_within_the_total_and_are_always_the_same(tmp_path: Path) -> None:
    for index in range(20):
        put(tmp_path, f"m{index}.py", f"{BODY}# {index}\n")
    found = read_sources(tmp_path, total=5 * len(BODY))
    assert len(found) == 4
    assert sum(map(len, found.values())) <= 5 * len(BODY)
    assert found == read_sources(tmp_path, total=5 * len(BODY))


def test_each_source_is_in_one_folder_to_the_letter(tmp_path: Path) -> None:
    sources = {f"m{index}.py": f"# {index}\n{BODY}" for index in range(40)}
    write_sources(sources, tmp_path)
    files = {part: sorted((tmp_path / part).iterdir()) for part in ("train", "valid", "test")}
    assert [len(each) for each in files.values()] == [35, 1, 4]
    found = {file.name: file.read_bytes().decode() for each in files.values() for file in each}
    assert found == sources


def test_a_source_is_cut_at_a_later_definition() -> None:
    text = f"def first(a):\n    pass\n\n{BODY}\nclass C:\n    def second(self, b):\n        return b\n"
    cut = cut_at_definition(text)
    assert cut is not None
    prompt, shown, right = cut
    assert (shown, right) == ("def second(", "self, b):")
    assert prompt.endswith("\nclass C:\n    def second(")
    assert prompt in text
    assert len(prompt) <= BEFORE
    assert prompt.startswith("x = 1"), "it begins with a whole line"


def test_a_source_without_a_later_definition_is_not_cut() -> None:
    assert cut_at_definition(f"def first(a):\n    pass\n{BODY}") is None
