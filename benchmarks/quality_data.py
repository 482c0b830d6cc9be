"""Data sets as files that `headway train` takes: pairs of lines, or plain text.

A folder holds some of these, by name:

- `g2p/LANG`: `g2p/LANG_{train,dev,test}.tsv`, word TAB phonemes separated by blanks; taken as they are.
- `translate`: `translate/deu-eng.{train,dev,test}.tsv`, source TAB target; taken as they are.
- `letters/LANG`: `inflect/LANG.{trn,dev,tst}`, lemma TAB features TAB form, spelled: letters apart, a blank
  within a word as `_`, each feature a symbol of its own, as inflection is usually read.
- `inflect/LANG`: the same files as they stand: the source becomes the lemma, a blank, and the features, to be
  read letter by letter.
- `scan/SPLIT`: `scan/tasks_{train,test}_SPLIT.txt`, `IN: command OUT: actions`.
- `shakespeare`: `shakespeare/input.txt`; the first 90 % of its characters are for training, the rest is the
  test.

Where there is no development part and one is asked for, it is cut from the training part: the last 5 % of
characters, or every twentieth pair.
"""

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from publish import parsed

EVERY = 20
"""One of so many pairs, or of so many equal parts of a text, becomes the development part."""


@dataclass(frozen=True)
class Corpus:
    """The files of one data set; `dev` is None where the data set has none and none was asked for."""

    name: str
    train: Path
    dev: Path | None
    test: Path

    @property
    def kind(self) -> str:
        """What its name begins with: data of one kind are one task."""
        return self.name.partition("/")[0]


def names_in(folder: Path) -> list[str]:
    """The data sets that a folder holds."""
    found = [f"g2p/{path.name.removesuffix('_train.tsv')}" for path in folder.glob("g2p/*_train.tsv")]
    for path in folder.glob("inflect/*.trn"):
        found += [f"inflect/{path.stem}", f"letters/{path.stem}"]
    for path in folder.glob("scan/tasks_train_*.txt"):
        found.append(f"scan/{path.stem.removeprefix('tasks_train_')}")
    if (folder / "shakespeare" / "input.txt").exists():
        found.append("shakespeare")
    if (folder / "translate" / "deu-eng.train.tsv").exists():
        found.append("translate")
    return sorted(found)


def corpus(folder: Path, name: str, work: Path, *, with_dev: bool) -> Corpus:
    """The data set of that name; what has to be converted is written below `work`, once.

    `with_dev`: a data set without a development part gets one, cut from its training part.
    """
    kind, _, part = name.partition("/")
    place = work / (f"{name}-with-dev" if with_dev else name)
    if kind == "g2p":
        train, dev, test = (folder / kind / f"{part}_{split}.tsv" for split in ("train", "dev", "test"))
        return Corpus(name, train, dev, test)
    if kind == "translate":
        train, dev, test = (folder / kind / f"deu-eng.{split}.tsv" for split in ("train", "dev", "test"))
        return Corpus(name, train, dev, test)
    if kind in ("inflect", "letters"):
        pair = lemma_and_features if kind == "inflect" else spelled
        given = [folder / "inflect" / f"{part}.{split}" for split in ("trn", "dev", "tst")]
        parts = [converted(path, pair) for path in given]
        return _written(name, place, ".tsv", parts[0], parts[1], parts[2])
    if kind == "scan":
        train, test = (
            converted(folder / kind / f"tasks_{split}_{part}.txt", command_and_actions)
            for split in ("train", "test")
        )
        kept = [line for number, line in enumerate(train, start=1) if number % EVERY or not with_dev]
        return _written(name, place, ".tsv", kept, train[EVERY - 1 :: EVERY] if with_dev else None, test)
    text = (folder / "shakespeare" / "input.txt").read_text("utf-8")
    border = len(text) * 9 // 10
    cut = border - border // EVERY if with_dev else border
    return _written(
        name, place, ".txt", [text[:cut]], [text[cut:border]] if with_dev else None, [text[border:]]
    )


def _written(
    name: str,
    place: Path,
    suffix: str,
    train: Sequence[str],
    dev: Sequence[str] | None,
    test: Sequence[str],
) -> Corpus:
    """The parts as files in a folder of their own."""
    place.mkdir(parents=True, exist_ok=True)
    files = {"train": train, "test": test} | ({} if dev is None else {"dev": dev})
    for part, texts in files.items():
        content = "".join(texts)
        path = place / f"{part}{suffix}"
        if not path.exists() or path.read_text("utf-8") != content:
            path.write_text(content, "utf-8", newline="\n")
    train_file, dev_file, test_file = (place / f"{part}{suffix}" for part in ("train", "dev", "test"))
    return Corpus(name, train_file, None if dev is None else dev_file, test_file)


def converted(path: Path, pair: Callable[[str], tuple[str, str]]) -> list[str]:
    """Lines of source TAB target, from each line of a file that is not blank."""
    lines = path.read_text("utf-8").splitlines()
    return ["\t".join(pair(line)) + "\n" for line in lines if line.strip()]


def lemma_and_features(line: str) -> tuple[str, str]:
    """`Haus`, `N;DAT(PL)`, `Häusern` as `Haus N;DAT(PL)` and `Häusern`."""
    lemma, features, form = line.split("\t")
    return f"{lemma} {features}", form


def spelled(line: str) -> tuple[str, str]:
    """`Haus`, `N;DAT(PL)`, `Häusern` as `H a u s N DAT ( PL )` and `H ä u s e r n`."""
    lemma, features, form = line.split("\t")
    symbols = re.findall(r"[^;,()\s]+|[()]", features)
    return " ".join([*_letters(lemma), *symbols]), " ".join(_letters(form))


def _letters(word: str) -> list[str]:
    return ["_" if letter.isspace() else letter for letter in word]


def command_and_actions(line: str) -> tuple[str, str]:
    """`IN: walk left OUT: LTURN WALK` as `walk left` and `LTURN WALK`."""
    command, actions = line.removeprefix("IN:").split(" OUT:")
    return command.strip(), actions.strip()


def parser_on_data(description: str | None, name: str, at_once: int) -> argparse.ArgumentParser:
    """What both runners on a folder of data sets are asked."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", help="a folder with data sets")
    parser.add_argument("--only", default="", help="kinds of data, or data sets, as in g2p/dut,shakespeare")
    parser.add_argument(
        "--at-once", type=int, default=at_once, help="runs side by side; if several, on one core each"
    )
    parser.add_argument("--work", type=Path, default=Path("runs", name), help="where the runs lie")
    parser.add_argument("--out", type=Path, help="where the results go, instead of into the repository")
    parser.add_argument("--quick", action="store_true", help="a smoke run on made-up data; needs --out")
    return parser


def parsed_on_data(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was typed: a folder, or a smoke run."""
    given = parsed(parser, arguments)
    if given.folder is None and not given.quick:
        parser.error("name the folder with the data sets")
    return given


@contextmanager
def data_folder(given: argparse.Namespace) -> Iterator[Path]:
    """The folder that was named, or for a smoke run one with made-up data."""
    if not given.quick:
        yield given.folder
        return
    with TemporaryDirectory() as scratch:
        made_up(Path(scratch))
        yield Path(scratch)


def made_up(folder: Path) -> None:
    """Tiny data sets of all kinds, for smoke runs; nothing can be learned from them but that it runs."""
    words = [f"{a}{b}{c}" for a in "bdgk" for b in "aeiou" for c in "lmnr"]
    parts = {"train": words[:60], "dev": words[60:70], "test": words[70:]}
    texts: dict[str, list[str]] = {"shakespeare/input.txt": ["To be, or not to be.\n\nThat it is.\n" * 100]}
    for part, some in parts.items():
        short = {"train": "trn", "dev": "dev", "test": "tst"}[part]
        texts[f"g2p/dut_{part}.tsv"] = [f"{word}\t{' '.join(word.upper())}\n" for word in some]
        texts[f"inflect/deu.{short}"] = [f"{word}\tN;DAT(PL)\t{word}en\n" for word in some]
        texts[f"translate/deu-eng.{part}.tsv"] = [f"das {word} ist.\tthe {word} is.\n" for word in some]
        if part != "dev":
            texts[f"scan/tasks_{part}_simple.txt"] = [f"IN: jump {word} OUT: JUMP {word}\n" for word in some]
    for name, lines in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines), "utf-8", newline="\n")
