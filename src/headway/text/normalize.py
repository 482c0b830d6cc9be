"""Normalization as chosen and saved with the tokenizer, and which texts count as the same."""

import unicodedata
from typing import Literal

from tokenizers import normalizers

Form = Literal["none", "nfc", "nfkc", "nfd", "nfkd"]


def normalizer_steps(form: Form, lowercase: bool) -> list[normalizers.Normalizer]:
    """The steps a tokenizer takes before it splits; they are saved in its file."""
    forms: dict[Form, type[normalizers.Normalizer]] = {
        "nfc": normalizers.NFC,
        "nfkc": normalizers.NFKC,
        "nfd": normalizers.NFD,
        "nfkd": normalizers.NFKD,
    }
    steps = [] if form == "none" else [forms[form]()]
    return [*steps, normalizers.Lowercase()] if lowercase else steps


def same_text_key(text: str) -> str:
    """Equal for texts that differ only in case, blanks or Unicode form: what counts as a duplicate."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
