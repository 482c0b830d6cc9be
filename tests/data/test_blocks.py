"""Who is killed while text is encoded goes on at a block's border, and the result is that of one go."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.hostile_data import changed_header

from headway.data import blocks as blocks_module
from headway.data import held_out
from headway.data import prepare as prepare_module
from headway.data.blocks import Blocks, Part
from headway.data.corpus import DataConfig, Record
from headway.data.encode import encode_stream
from headway.data.prepare import Prepared, prepare
from headway.data.token_file import TokenFile
from headway.text.tokenizer import TextConfig, TokenizerConfig, Tokenizers, train_tokenizer

LINES = 200


class KilledError(BaseException):
    """As kill -9: nothing is tidied up that a test could rely on."""


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(blocks_module, "BLOCK_EXAMPLES", 30)
    monkeypatch.setattr("headway.data.encode.CHUNK_EXAMPLES", 7)
    path = tmp_path / "text.tsv"
    # Some repeat another, some are too long.
    pairs = [f"word {number % 153}\t{'W ' * (1 + number % 9)}{number % 3}\n" for number in range(LINES)]
    path.write_text("".join(pairs), "utf-8")
    return path


def prepared(text: Path, folder: Path, told: list[str] | None = None, **data: Any) -> Prepared:
    config = DataConfig(train=(str(text),), max_target=8, held_out=0.1, **data)
    words = TextConfig(target=TokenizerConfig(kind="words"))
    say = [].append if told is None else told.append
    return prepare(config, words, pairs=True, folder=folder, seed=1, progress=say)


def killed_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def stream(*arguments: Any) -> Iterator[Any]:
        for number, example in enumerate(encode_stream(*arguments)):
            if number == count:
                raise KilledError
            yield example

    monkeypatch.setattr(prepare_module, "encode_stream", stream)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tokens"))}


@pytest.mark.parametrize("count", [0, 29, 30, 31, 95, 199])
@pytest.mark.parametrize("own_valid", [False, True])
def test_going_on_gives_the_same_files_to_the_byte(
    count: int, own_valid: bool, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    valid = tmp_path / "valid.tsv"
    valid.write_text("word 3\tW\nother\tW W\nother\tW W W W W W W W W W\n", "utf-8")
    how = {"valid": (str(valid),)} if own_valid else {}
    at_once = prepared(text, tmp_path / "once", **how)
    assert "left out" in " ".join(at_once.report)
    assert "repeat another" in " ".join(at_once.report)
    with monkeypatch.context() as patched:
        killed_after(count, patched)
        with pytest.raises(KilledError):
            prepared(text, tmp_path / "killed", **how)
    told: list[str] = []
    later = prepared(text, tmp_path / "killed", told, **how)
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "once")
    assert later.report == at_once.report
    whole = count // 30 * 30
    assert (f"{whole} examples are encoded already" in told) == (whole > 0)
    assert "learning the vocabulary" not in told
    assert not (tmp_path / "killed" / "encoding").exists()


@pytest.mark.parametrize("damage", ["train.block", "validation.block", "hashes"])
def test_a_damaged_block_and_those_behind_it_are_made_again(
    damage: str, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(text, tmp_path / "once")
    with monkeypatch.context() as patched:
        killed_after(100, patched)
        with pytest.raises(KilledError):
            prepared(text, tmp_path / "killed")
    [*_, path] = sorted((tmp_path / "killed" / "encoding").glob(f"000001*{damage}"))
    path.write_bytes(path.read_bytes()[:-1])
    told: list[str] = []
    prepared(text, tmp_path / "killed", told)
    assert "30 examples are encoded already" in told
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "once")


def test_blocks_of_another_text_are_not_used(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        killed_after(100, patched)
        with pytest.raises(KilledError):
            prepared(text, tmp_path / "killed")
    text.write_text(text.read_text("utf-8").replace("word 7\t", "wird 7\t"), "utf-8")
    told: list[str] = []
    prepared(text, tmp_path / "killed", told)
    assert not [line for line in told if "already" in line]


def test_repeats_are_counted_range_by_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = train_tokenizer(["a b c"], TokenizerConfig(kind="words"))
    part = Part("train", DataConfig(train=("x",)), Tokenizers(None, tokenizer))
    blocks = Blocks(tmp_path, "print", (part,))
    monkeypatch.setattr(blocks_module, "BLOCK_EXAMPLES", 40)
    blocks.write((part, Record(None, f"text {n % 70}", "f", n), [1], None) for n in range(100))
    for at_a_time in (7, 1 << 24):
        monkeypatch.setattr(blocks_module, "HASHES_AT_A_TIME", at_a_time)
        assert blocks.different(part) == 70


def test_the_numbers_held_out_are_those_of_the_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the hashes are spooled."""
    records = [Record(f"word {n % 80}", "x", "f", n) for n in range(200)]
    at_once = held_out.choose(lambda: iter(records), 0.2, 3, "f", tmp_path / "spool")
    monkeypatch.setattr(held_out, "BLOCK", 9)
    in_blocks = held_out.choose(lambda: iter(records), 0.2, 3, "f", tmp_path / "spool")
    assert in_blocks.tolist() == at_once.tolist() == sorted(at_once.tolist())
    marked = list(held_out.marked(records, at_once))
    assert [record for _, record in marked] == records
    sources = {record.source for inside, record in marked if inside}
    assert sources
    assert not sources & {record.source for inside, record in marked if not inside}
    assert not list(tmp_path.iterdir())


def test_no_example_is_held_out_where_none_belongs_to_validation() -> None:
    records = [Record("a", "x", "f", 1)]
    nothing = np.array([], dtype=np.int64)
    assert held_out.find(records, frozenset(), 0).tolist() == []
    assert [inside for inside, _ in held_out.marked(records, nothing)] == [False]


def test_two_processes_make_one_cache(text: Path, tmp_path: Path) -> None:
    """One prepares, the other waits and finds it prepared."""
    prepared(text, tmp_path / "once")
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[3])\n"
        "from tests.data.test_blocks import prepared; told = []\n"
        "prepared(Path(sys.argv[1]), Path(sys.argv[2]), told); print('encoding the text' in told)"
    )
    shared, root = tmp_path / "shared", Path(__file__).parents[2]
    command = [sys.executable, "-c", code, str(text), str(shared), str(root)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) for _ in range(2)]
    answers = [process.communicate()[0].strip() for process in processes]
    assert sorted(answers) == ["False", "True"]
    assert files_of(shared) == files_of(tmp_path / "once")
    assert not list(shared.glob("*.lock"))


def test_a_token_file_is_read_whole_once(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And again only where its size or time is another."""
    read: list[bool] = []

    class Watched(TokenFile):
        def __init__(self, path: Path, *, verify: bool = True) -> None:
            read.append(verify)
            super().__init__(path, verify=verify)

    prepared(text, tmp_path / "run")
    monkeypatch.setattr(prepare_module, "TokenFile", Watched)
    prepared(text, tmp_path / "run")
    assert read == [False, False]
    (tmp_path / "run" / "train.tokens").touch()
    read.clear()
    prepared(text, tmp_path / "run")
    prepared(text, tmp_path / "run")
    assert read == [True, False, False, False]


@pytest.mark.parametrize(
    "change",
    [
        lambda about: about.pop("tallies"),
        lambda about: about.update(examples=-1),
        lambda about: about.update(examples=10**30),
        lambda about: about.update(hashes=0),
        lambda about: about["tallies"].pop(),
        lambda about: about["tallies"][0].update(tokens=[1]),
        lambda about: about["tallies"][0].update(skipped=[]),
    ],
)
def test_a_block_that_tells_what_cannot_be_is_made_again(
    change: Callable[[dict[str, Any]], Any], text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though its sums fit."""
    with monkeypatch.context() as patched:
        killed_after(100, patched)
        with pytest.raises(KilledError):
            prepared(text, tmp_path / "killed")
    path = tmp_path / "killed" / "encoding" / "000001.train.block"
    changed_header(path, lambda header: change(header["about"]))
    told: list[str] = []
    prepared(text, tmp_path / "killed", told)
    assert "30 examples are encoded already" in told
    assert not (tmp_path / "killed" / "encoding").exists()


def test_numbers_that_do_not_rise_are_not_those_held_out(tmp_path: Path) -> None:
    path = tmp_path / "held-out"
    held_out.write_numbers(path, np.array([0, 4, 9]))
    numbers = held_out.read_numbers(path)
    assert numbers is not None and numbers.tolist() == [0, 4, 9]
    path.write_bytes(path.read_bytes()[:-1])
    assert held_out.read_numbers(path) is None
    for wrong in ([4, 4], [9, 4], [-1, 4]):
        held_out.write_numbers(path, np.array(wrong))
        assert held_out.read_numbers(path) is None
