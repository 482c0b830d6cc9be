"""Normalization as chosen and saved with the tokenizer, and which texts count as the same."""

import unicodedata
from typing import Literal

from tokenizers import normalizers

Form = Literal["none", "nfc", "nfkc", "nfd", "nfkd", "letters"]

STEPS: dict[str, type[normalizers.Normalizer]] = {
    "NFC": normalizers.NFC,
    "NFKC": normalizers.NFKC,
    "NFD": normalizers.NFD,
    "NFKD": normalizers.NFKD,
    "Lowercase": normalizers.Lowercase,
}
"""What may be chosen, by its name in a tokenizer's file, in the order in which it is done."""

FORMS = frozenset(STEPS) - {"Lowercase"}
"""The Unicode forms among them."""

COMPOSING = ("NFC", "NFD")
"""The steps of `letters`: text as it is written, then its letters one by one. Reading takes no notice of the
first; in a tokenizer's file it says in which form decoded text is written."""


def normalizer_steps(form: Form, lowercase: bool) -> list[normalizers.Normalizer]:
    """The steps a tokenizer takes before it splits; they are saved in its file."""
    forms = {"none": (), "letters": COMPOSING}.get(form, (form.upper(),))
    return [STEPS[name]() for name in (*forms, *(["Lowercase"] if lowercase else []))]


def composed(text: str) -> str:
    """The text with letters and their marks as single characters, which is how people write (NFC)."""
    return unicodedata.normalize("NFC", text)


def same_text_key(text: str) -> str:
    """Equal for texts that differ only in case, blanks or Unicode form: what counts as a duplicate."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
