"""Text for the tour: the Bible in Basic English, a chapter an example; invented sentences for smoke runs."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headway.data.in_memory import InMemory
from headway.demos.bible import chapters, installed_bible
from headway.demos.division import divide
from headway.demos.fill import PACKAGE
from headway.text.kinds import Kind
from headway.text.tokenizer import Tokenizer, TokenizerConfig, train_tokenizer
from tour.report import Settings

HELD_OUT = 60
"""Chapters of 1,189, chosen by hash."""


@dataclass(frozen=True)
class Text:
    """Encoded text for a `headway.data.loader.Loader`, and the vocabulary that was learned on its `train`."""

    tokenizer: Tokenizer
    train: InMemory
    held_out: InMemory


def bible(settings: Settings, *, vocab_size: int = 4000, kind: Kind = "words") -> Text:
    """The Bible in Basic English; in a smoke run so many invented sentences that it is learned in seconds."""
    if settings.quick:
        texts = {f"text {number}": invented(number) for number in range(40)}
    else:
        texts = {
            str(number): " ".join(verses) for number, verses in chapters(installed_bible(PACKAGE)).items()
        }
    part_of = divide(texts, valid=0, test=min(HELD_OUT, len(texts) // 4))
    train = [text for name, text in texts.items() if part_of[name] == "train"]
    held_out = [text for name, text in texts.items() if part_of[name] == "test"]
    tokenizer = train_tokenizer(train, TokenizerConfig(kind=kind, vocab_size=vocab_size))
    return Text(tokenizer, _encoded(tokenizer, train), _encoded(tokenizer, held_out))


def invented(seed: int, sentences: int = 6) -> str:
    """Sentences that only repeat a few words."""
    chance = random.Random(seed)
    who, does, what = (
        ("the man", "a king", "his son"),
        ("saw", "took", "gave"),
        ("bread", "the house", "water"),
    )
    return " ".join(
        f"And {chance.choice(who)} {chance.choice(does)} {chance.choice(what)}." for _ in range(sentences)
    )


def _encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> InMemory:
    return InMemory([np.array(ids, dtype=np.int64) for ids in tokenizer.encode_batch(texts)])
