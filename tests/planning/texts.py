"""Texts of the kinds that a plan tells apart, and a machine whose speed is known."""

import random
from pathlib import Path

from headway.planning.machine import Machine, Work
from headway.planning.plan import Plan
from headway.planning.propose import Wish, propose
from headway.planning.shape import Wishes

FLOPS = 1e11


def seconds(work: Work) -> float:
    """Of a step on a machine that computes nothing but the matrices of layers."""
    model = work.model
    weights = 12 * model.d_model**2 * (model.encoder_layers + model.decoder_layers)
    return 6 * weights * work.tokens * work.loss.readings / FLOPS


MACHINE = Machine(cores=2, memory=8 * 2**30, seconds=seconds)


def plan(path: Path | str, *overrides: str, minutes: float | None = None, **more: str) -> Plan:
    """The plan for a file on that machine."""
    dials = Wishes(minutes, more.get("size"))
    wish = Wish(more.get("objective"), more.get("start_from"), None, dials)
    return propose([str(path)], overrides, wish, lambda line: None, MACHINE)


def reason(plan: Plan, key: str) -> str:
    """Why a key has its value."""
    [found] = [choice.reason for choice in plan.choices if choice.key == key]
    return found


def write(path: Path, pairs: list[tuple[str, str]]) -> Path:
    path.write_text("".join(f"{a}\t{b}\n" for a, b in pairs), "utf-8")
    return path


def word(draw: random.Random, alphabet: str = "abcdefghiklmnoprstuw", longest: int = 9) -> str:
    return "".join(draw.choice(alphabet) for _ in range(draw.randint(2, longest)))


def pronunciations(folder: Path, count: int = 1000, alphabet: str = "abcdefghiklmnoprstuw") -> Path:
    """Words, and for each letter a symbol."""
    draw = random.Random(1)
    words = dict.fromkeys(word(draw, alphabet) for _ in range(count * 2))
    names = {sign: f"{chr(0x250 + place % 40)}ː" for place, sign in enumerate(alphabet)}
    pairs = [(each, " ".join(names[sign] for sign in each)) for each in list(words)[:count]]
    return write(folder / "words.tsv", pairs)


def sentences(folder: Path, count: int = 400, words: int = 12) -> Path:
    """Sentences of a large vocabulary, and the same words in upper case."""
    draw = random.Random(2)
    vocabulary = [word(draw) for _ in range(3000)]
    lines = [" ".join(draw.choice(vocabulary) for _ in range(words)) for _ in range(count)]
    return write(folder / "sentences.tsv", [(line, line.upper()) for line in lines])


def commands(folder: Path, count: int = 12_000) -> Path:
    """Sentences of a made language of nine words, and what each word stands for."""
    draw = random.Random(3)
    words = ["walk", "look", "jump", "turn", "left", "right", "twice", "after", "thrice"]
    lines = [[draw.choice(words) for _ in range(draw.randint(3, 9))] for _ in range(count)]
    pairs = [(" ".join(line), " ".join(f"I_{each.upper()}" for each in line)) for line in lines]
    return write(folder / "commands.tsv", pairs)
