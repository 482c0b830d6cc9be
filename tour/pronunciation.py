"""The task of the demo `pronounce` at a smaller size: English words to phonemes, by an encoder-decoder."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from headway.batch import Batch
from headway.data.in_memory import InMemory
from headway.data.loader import BatchConfig, Loader
from headway.data.objectives import Example, PairsObjective
from headway.demos.division import divide
from headway.demos.installed import installed_text
from headway.demos.pronounce import FILE, PACKAGE, read_dictionary
from headway.model.architectures import Transformer
from headway.model.config import AttentionConfig, TransformerConfig
from headway.text.tokenizer import TokenizerConfig, Tokenizers, train_tokenizer
from headway.training.settings import OptimizerConfig, ScheduleConfig, StopConfig
from tour.learn import Training, endless, fresh, learn
from tour.report import Settings


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of the model, its training and its examination."""

    d_model: int = 96
    layers: int = 2
    heads: int = 4
    tokens: int = 640
    steps: int = 450
    judged: int = 1000
    """Held-out words; the better head is chosen on one half and judged on the other."""
    counted: int = 10000
    """Words of the dictionary that the alignment is counted from."""


LONGEST = 12
"""Letters of a word from which alignments are counted: the time grows with the square."""
QUICK = Sizes(d_model=16, heads=2, tokens=64, steps=2, judged=12, counted=60)


class Words(NamedTuple):
    """Spellings and one pronunciation of each, as people write them and as ids."""

    spelled: list[str]
    spoken: list[str]
    letters: list[list[int]]
    phonemes: list[list[int]]

    def chosen(self, places: Iterable[int]) -> "Words":
        """Some of the words, by their places."""
        at = list(places)
        return Words(
            [self.spelled[i] for i in at],
            [self.spoken[i] for i in at],
            [self.letters[i] for i in at],
            [self.phonemes[i] for i in at],
        )


@dataclass(frozen=True)
class Lesson:
    """What is learned from, what is judged on, and the two vocabularies."""

    tokenizers: Tokenizers
    train: InMemory
    held_out: Words
    counted: Words
    """Of the training words, as many as alignments are counted from."""


def dictionary_of(settings: Settings) -> Mapping[str, Sequence[str]]:
    """Words with their pronunciations; in a smoke run invented ones, in which each letter has one sound."""
    if not settings.quick:
        return read_dictionary(installed_text(PACKAGE, FILE))
    sounds = {letter: letter.upper() for letter in "bdklmnaeiou"} | {"h": ""}
    words = [f"{a}{b}{c}{d}h" for a in "bdk" for b in "aeiou" for c in "lmn" for d in "aeo"]
    return {word: [" ".join(filter(None, (sounds[letter] for letter in word)))] for word in words}


def words_of(tokenizers: Tokenizers, pairs: Sequence[tuple[str, str]]) -> Words:
    """Spellings with their pronunciations, encoded."""
    source, target = tokenizers
    assert source is not None
    spelled, spoken = [word for word, _ in pairs], [sounds for _, sounds in pairs]
    return Words(spelled, spoken, source.encode_batch(spelled), target.encode_batch(spoken))


def lesson_of(dictionary: Mapping[str, Sequence[str]], sizes: Sizes) -> Lesson:
    """The dictionary divided by hash, and encoded."""
    part_of = divide(dictionary, valid=0, test=sizes.judged)
    train = [word for word in dictionary if part_of[word] == "train"]
    pairs = [(word, spoken) for word in train for spoken in dictionary[word]]
    held_out = [(word, dictionary[word][0]) for word in dictionary if part_of[word] == "test"]
    source = train_tokenizer(train, TokenizerConfig(kind="characters", vocab_size=200))
    target = train_tokenizer([spoken for _, spoken in pairs], TokenizerConfig(kind="symbols", vocab_size=100))
    tokenizers = Tokenizers(source, target)
    every = words_of(tokenizers, pairs)
    targets, sources = ([np.array(ids) for ids in side] for side in (every.phonemes, every.letters))
    short = [pair for pair in pairs if len(pair[0]) <= LONGEST]
    counted = short[:: max(1, len(short) // sizes.counted)]
    return Lesson(
        tokenizers, InMemory(targets, sources), words_of(tokenizers, held_out), words_of(tokenizers, counted)
    )


def model_of(lesson: Lesson, sizes: Sizes, seed: int) -> Transformer:
    source, target = lesson.tokenizers
    assert source is not None
    return fresh(
        TransformerConfig(
            vocab_size=target.vocab_size,
            source_vocab_size=source.vocab_size,
            encoder_layers=sizes.layers,
            decoder_layers=sizes.layers,
            d_model=sizes.d_model,
            d_ff=4 * sizes.d_model,
            dropout=0.0,
            bias=False,
            attention=AttentionConfig(num_heads=sizes.heads),
        ),
        seed,
    )


def objective_of(lesson: Lesson) -> PairsObjective:
    source, target = lesson.tokenizers
    assert source is not None
    return PairsObjective(source.special, target.special)


def trained(lesson: Lesson, sizes: Sizes, seed: int) -> Transformer:
    """A model that pronounces, by the settings of the demo `pronounce` at a smaller size."""
    model = model_of(lesson, sizes, seed)
    loader = Loader(lesson.train, objective_of(lesson), BatchConfig(tokens=sizes.tokens), seed=seed)
    training = Training(
        stop=StopConfig(steps=sizes.steps),
        optimizer=OptimizerConfig(kind="muon", rate=4e-3),
        schedule=ScheduleConfig(kind="linear", warmup=50),
        smoothing=0.1,
        seed=seed,
    )
    learn(model, endless(loader), training)
    return model


def batch_of(lesson: Lesson, words: Words) -> Batch:
    """All the words in one batch, padded."""
    rows = [
        [Example(index, np.array(phonemes), np.array(letters))]
        for index, (letters, phonemes) in enumerate(zip(words.letters, words.phonemes, strict=True))
    ]
    return objective_of(lesson).batch(rows, seed=0, epoch=0)
