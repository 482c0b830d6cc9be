"""Baselines: what needs no model."""

import lzma
import random

from headway.evaluation.baselines import compressed_bits_per_byte, copied_sources


def test_copying_gives_the_sources() -> None:
    assert copied_sources(["a", "b"]) == ["a", "b"]


def test_compression_counts_bytes_of_utf8() -> None:
    noise = "".join(random.choice("0123456789abcdef") for _ in range(20_000))
    assert 4.0 < compressed_bits_per_byte([noise[:5000], noise[5000:]]).value < 4.8
    assert (
        compressed_bits_per_byte(["ä" * 1000]).value
        == 8 * len(lzma.compress(("ä" * 1000).encode(), preset=9)) / 2000
    )
    assert compressed_bits_per_byte(["same line\n"] * 5000).value < 0.1
