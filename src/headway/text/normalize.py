"""Normalization as chosen and saved with the tokenizer, and which texts count as the same."""

import unicodedata
from typing import Literal

from tokenizers import normalizers

Form = Literal["none", "nfc", "nfkc", "nfd", "nfkd"]

STEPS: dict[str, type[normalizers.Normalizer]] = {
    "NFC": normalizers.NFC,
    "NFKC": normalizers.NFKC,
    "NFD": normalizers.NFD,
    "NFKD": normalizers.NFKD,
    "Lowercase": normalizers.Lowercase,
}
"""What may be chosen, by its name in a tokenizer's file, in the order in which it is done."""


def normalizer_steps(form: Form, lowercase: bool) -> list[normalizers.Normalizer]:
    """The steps a tokenizer takes before it splits; they are saved in its file."""
    chosen = ([] if form == "none" else [form.upper()]) + (["Lowercase"] if lowercase else [])
    return [STEPS[name]() for name in chosen]


def same_text_key(text: str) -> str:
    """Equal for texts that differ only in case, blanks or Unicode form: what counts as a duplicate."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
