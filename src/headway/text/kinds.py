"""What each kind of tokenizer is made of: normalizer, splitting into words, model, decoder, trainer.

In `words`, `wordpiece` and `unigram` a blank belongs to the word after it and is written ▁, also before the
first word of each line, so that a word has one spelling wherever it stands; decoding undoes it exactly.
"""

from collections.abc import Sequence
from typing import Literal

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

Kind = Literal["bpe", "wordpiece", "unigram", "words", "characters", "symbols"]

BLANK = "▁"
CONTINUES = "##"
"""How WordPiece marks a piece that continues a word."""
JOINER = "\u2060"
"""Invisible; put into a given symbol that is spelled like a special token: it stays a plain symbol."""

# Letters with their combining marks, digits, or other signs. A lone # may not grow into the mark CONTINUES.
_WORDS = Regex(
    rf"{BLANK}?[\p{{L}}\p{{M}}]+|{BLANK}?\p{{N}}+|{BLANK}?#|{BLANK}?[^\s\p{{L}}\p{{M}}\p{{N}}{BLANK}#]+|{BLANK}|\s"
)


def untrained(
    kind: Kind, steps: Sequence[normalizers.Normalizer], unknown: str, special_tokens: Sequence[str]
) -> Tokenizer:
    """A tokenizer of this kind with an empty vocabulary; `steps` are its normalization."""
    tokenizer = Tokenizer(_model(kind, unknown))
    inner = "|".join(token.strip("<>") for token in special_tokens)
    steps = list(steps)
    if kind in ("words", "wordpiece", "unigram"):
        line_starts = normalizers.Replace(Regex(r"\n(?=[^\n])"), f"\n{BLANK}")
        steps += [line_starts, normalizers.Prepend(BLANK), normalizers.Replace(" ", BLANK)]
    elif kind == "symbols":
        steps.append(normalizers.Replace(Regex(rf"(?<=<(?:{inner}))(?=>)"), JOINER))
    if steps:
        tokenizer.normalizer = normalizers.Sequence(steps)
    splitters: dict[Kind, pre_tokenizers.PreTokenizer] = {
        "bpe": pre_tokenizers.ByteLevel(add_prefix_space=False),
        "wordpiece": pre_tokenizers.Split(_WORDS, "isolated"),
        "unigram": pre_tokenizers.Sequence(
            [
                pre_tokenizers.Metaspace(BLANK, prepend_scheme="never"),
                # The model knows the special tokens; text must never reach it in their spelling.
                pre_tokenizers.Split(Regex(rf"<(?=(?:{inner})>)"), "isolated"),
            ]
        ),
        "words": pre_tokenizers.Split(_WORDS, "isolated"),
        "characters": pre_tokenizers.FixedLength(length=1),
        "symbols": pre_tokenizers.WhitespaceSplit(),
    }
    tokenizer.pre_tokenizer = splitters[kind]
    tokenizer.decoder = _decoder(kind)
    return tokenizer


def trainer(kind: Kind, vocab_size: int, min_count: int, special_tokens: Sequence[str]) -> trainers.Trainer:
    """What learns a vocabulary of at most `vocab_size`; the special tokens get the first ids, in order."""
    specials = list(special_tokens)
    if kind == "bpe":
        return trainers.BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=min_count,
            special_tokens=specials,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    if kind == "wordpiece":
        return trainers.WordPieceTrainer(
            vocab_size=vocab_size,
            min_frequency=min_count,
            special_tokens=specials,
            continuing_subword_prefix=CONTINUES,
            show_progress=False,
        )
    if kind == "unigram":
        return trainers.UnigramTrainer(
            vocab_size=vocab_size, special_tokens=specials, unk_token=specials[1], show_progress=False
        )
    return trainers.WordLevelTrainer(
        vocab_size=vocab_size, min_frequency=min_count, special_tokens=specials, show_progress=False
    )


def kind_of(tokenizer: Tokenizer) -> Kind:
    """Which kind a loaded tokenizer is; its file has no place for the name."""
    model, splitter = tokenizer.model, tokenizer.pre_tokenizer
    if isinstance(model, models.BPE):
        return "bpe"
    if isinstance(model, models.WordPiece):
        return "wordpiece"
    if isinstance(model, models.Unigram):
        return "unigram"
    if isinstance(splitter, pre_tokenizers.FixedLength):
        return "characters"
    return "symbols" if isinstance(splitter, pre_tokenizers.WhitespaceSplit) else "words"


def _model(kind: Kind, unknown: str) -> models.Model:
    if kind == "bpe":
        return models.BPE()
    if kind == "unigram":
        return models.Unigram()
    if kind == "wordpiece":
        return models.WordPiece(
            unk_token=unknown, continuing_subword_prefix=CONTINUES, max_input_chars_per_word=200
        )
    return models.WordLevel(unk_token=unknown)


def _decoder(kind: Kind) -> decoders.Decoder:
    if kind == "bpe":
        return decoders.ByteLevel()
    if kind == "characters":
        return decoders.Fuse()
    if kind == "symbols":
        # The WordPiece decoder is what joins tokens by single blanks; no token begins with its mark here.
        return decoders.Sequence(
            [decoders.Replace(f"{JOINER}>", ">"), decoders.WordPiece(prefix=JOINER, cleanup=False)]
        )
    steps = [
        decoders.Fuse(),
        decoders.Replace(f"\n{BLANK}", "\n"),
        decoders.Replace(BLANK, " "),
        decoders.Strip(" ", 1, 0),
    ]
    return decoders.Sequence(
        [decoders.Replace(Regex(f"^{CONTINUES}"), ""), *steps] if kind == "wordpiece" else steps
    )
