"""Pages become what the site's generator reads, without losing what they say."""

from pathlib import Path

import pytest
from docs_build.staging import DeadLinkError, Staging


def staged(root: Path, pages: dict[str, str]) -> dict[str, str]:
    """The files of the site's folder, of a tree with these files."""
    for name, text in pages.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    folder = root / "staged"
    Staging(root, root / "docs", folder).run()
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.*")}


def test_notes_of_tests_become_titles(tmp_path: Path) -> None:
    page = "```text file=a.tsv\nx\n```\n```text error\nno\n```\n```json like=a.json\n{}\n```\n```py\n1\n```\n"
    assert staged(tmp_path, {"docs/page.md": page})["page.md"] == (
        '```text title="a.tsv"\nx\n```\n```text title="message"\nno\n```\n'
        '```json title="a.json"\n{}\n```\n```py\n1\n```\n'
    )


def test_commands_are_coloured_as_such(tmp_path: Path) -> None:
    page = "```\nheadway train x\n```\n```\nwords\n```\n"
    assert staged(tmp_path, {"docs/page.md": page})["page.md"] == (
        "```sh\nheadway train x\n```\n```text\nwords\n```\n"
    )


def test_code_elsewhere_is_shown_in_a_page(tmp_path: Path) -> None:
    pages = {"docs/how/page.md": "See [it](../../src/a.py).\n", "src/a.py": "x = 1\n"}
    found = staged(tmp_path, pages)
    assert found["how/page.md"] == "See [it](../repository/src/a.py.md).\n"
    assert "````py\nx = 1\n````" in found["repository/src/a.py.md"]


def test_pages_elsewhere_lead_back(tmp_path: Path) -> None:
    pages = {
        "docs/page.md": "[notes](../NOTES.md#top) [here](#there) [far](https://example.org)\n",
        "NOTES.md": "# Notes\n[page](docs/page.md) [code](src/a.py)\n",
        "src/a.py": "x = 1\n",
    }
    found = staged(tmp_path, pages)
    assert found["page.md"] == "[notes](repository/NOTES.md#top) [here](#there) [far](https://example.org)\n"
    assert found["repository/NOTES.md"] == "# Notes\n[page](../page.md) [code](src/a.py.md)\n"
    assert "x = 1" in found["repository/src/a.py.md"]


def test_a_bar_in_a_cell_is_no_border(tmp_path: Path) -> None:
    page = "| `a\\|b` | c \\| d |\n"
    assert staged(tmp_path, {"docs/page.md": page})["page.md"] == "| `a|b` | c \\| d |\n"


def test_links_in_code_are_text(tmp_path: Path) -> None:
    page = "```\nx](../no.md)\n```\n"
    assert "x](../no.md)" in staged(tmp_path, {"docs/page.md": page})["page.md"]


@pytest.mark.parametrize("target", ["../no.py", "../src", "../../out.md"])
def test_a_link_to_nothing_is_refused(target: str, tmp_path: Path) -> None:
    with pytest.raises(DeadLinkError, match=r"docs/page\.md: .*no such file"):
        staged(tmp_path, {"docs/page.md": f"[x]({target})\n", "src/a.py": ""})


def test_what_was_there_before_is_gone(tmp_path: Path) -> None:
    staged(tmp_path, {"docs/old.md": "x\n"})
    (tmp_path / "docs/old.md").unlink()
    assert set(staged(tmp_path, {"docs/new.md": "y\n"})) == {"new.md"}
