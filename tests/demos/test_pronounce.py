from pathlib import Path

from headway.demos.pronounce import read_dictionary, write_pairs

LINES = """\
'bout B AW1 T
a AH0
a(2) EY1
aalborg AO1 L B AO0 R G # place, danish
aalborg(2) AA1 L B AO0 R G
close K L OW1 S
close(2) K L OW0 S
# a comment of its own

empty
"""


def test_a_dictionary_is_read_without_comments_numbers_and_stress() -> None:
    found = read_dictionary(LINES)
    assert found == {
        "'bout": ["B AW T"],
        "a": ["AH", "EY"],
        "aalborg": ["AO L B AO R G", "AA L B AO R G"],
        "close": ["K L OW S"],
    }


def test_all_pronunciations_of_a_word_are_on_one_side(tmp_path: Path) -> None:
    words = {f"word{index}": [f"W {index}", f"V {index}"] for index in range(50)}
    account = write_pairs(words, tmp_path, valid=5, test=10)
    found = {}
    for part, count in (("train", 35), ("valid", 5), ("test", 10)):
        lines = (tmp_path / f"{part}.tsv").read_text("utf-8").splitlines()
        assert len(lines) == 2 * count
        assert f"{part}.tsv: {count} words, {2 * count} pronunciations" in account
        for line in lines:
            word, phonemes = line.split("\t")
            found.setdefault(word, []).append((part, phonemes))
    assert {word: [phonemes for _, phonemes in each] for word, each in found.items()} == words
    assert all(len({part for part, _ in each}) == 1 for each in found.values())
