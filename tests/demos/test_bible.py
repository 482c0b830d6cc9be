import pytest

from headway.demos.bible import Verse, aligned, chapters, read_verses, tidied
from headway.errors import DataError

PIECES = {
    1001001: "At the first God made the heaven.",
    1001002: " And the earth was [waste].\n",
    1001003: "\\2:1\\Now the land was in need.",
    1002001: "\\2:2\\And when it was all used up,\\",
    1002002: "...",
}


def module(pieces: dict[int, str]) -> str:
    """A module as the packages have it: positions count what stands there, where \\ is two characters."""
    starts, ends, at = {}, {}, 0
    for number, piece in pieces.items():
        starts[number] = at
        at += len(piece.replace("\\", "\\\\"))
        ends[number] = at
    text = "".join(pieces.values()).replace("\\", "\\\\")
    return (
        "from pythonbible.bible.bible import Bible\nraise RuntimeError('this must not run')\n"
        f'bible = Bible(Version.X, """{text}""", {starts}, {ends}, {{Book.GENESIS: 1}})\n'
    )


def test_verses_are_read_without_running_the_module() -> None:
    assert read_verses(module(PIECES), "x.py") == [
        Verse(1001001, 1001001, "At the first God made the heaven."),
        Verse(1001002, 1001002, "And the earth was waste."),
        Verse(1001003, 1002001, "Now the land was in need."),
        Verse(1002001, 1002002, "And when it was all used up,"),
        Verse(1002002, 1002002, ""),
    ]


def test_positions_that_do_not_fit_are_refused() -> None:
    shifted = module(PIECES).replace("At the first", "At first")
    with pytest.raises(DataError, match=r"x\.py: the positions of verses do not fit"):
        read_verses(shifted, "x.py")


@pytest.mark.parametrize("source", ["", "bible = Bible(1)", "bible = Bible(V, 'text', {1: 0}, {2: 4})"])
def test_another_module_is_refused_by_name(source: str) -> None:
    with pytest.raises(DataError, match=r"x\.py: is no module with Bible"):
        read_verses(source, "x.py")


def test_text_is_tidied() -> None:
    assert (
        tidied(" And darkness [was] upon\n the brother’s face. ")
        == "And darkness was upon the brother's face."
    )
    assert tidied("Bela ( which [is] Zoar;)") == "Bela (which is Zoar;)"
    assert tidied("*** of the evil-doer is sin.\\") == "of the evil-doer is sin."
    assert [tidied(gap) for gap in ("...", "[]", "+", "***", " ")] == [""] * 5


def test_chapters_hold_their_verses_in_order_without_gaps() -> None:
    verses = [Verse(1001001, 1, "a"), Verse(1001002, 2, ""), Verse(1001003, 3, "b"), Verse(1002001, 4, "c")]
    assert chapters(verses) == {1001: ["a", "b"], 1002: ["c"]}


def verses(*numbers: int, name: str) -> list[Verse]:
    return [Verse(number, number, f"{name} {number}") for number in numbers]


def test_verses_are_aligned_by_their_common_number() -> None:
    theirs = [Verse(1001001, 1001001, "b 1"), Verse(1002001, 1001002, "b 2")]
    found = aligned(verses(1001001, 1001002, name="a"), theirs)
    assert found.chapters == {1001: [("a 1001001", "b 1"), ("a 1001002", "b 2")]}
    assert found.left_out == {}


def test_what_is_not_certainly_the_same_is_counted_and_left_out() -> None:
    ours = verses(1001001, 1001002, 1001003, 1002001, 1002002, 1003001, name="a")
    theirs = [
        *verses(1001001, name="b"),
        Verse(1001002, 1001002, "first half"),
        Verse(1001003, 1001002, "second half"),
        Verse(1001004, 1001003, ""),
        *verses(1002001, 1002002, 1002003, name="b"),
    ]
    found = aligned(ours, theirs)
    assert found.chapters == {1001: [("a 1001001", "b 1001001")]}
    assert found.left_out == {
        "split in two verses": 1,
        "left out in one of the two": 1,
        "in chapters that the two count differently": 3,
    }
