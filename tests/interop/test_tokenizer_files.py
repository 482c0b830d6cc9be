"""AutoTokenizer gives just our ids, framed as the model reads them, and just our text."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from headway.bundle import Bundle
from headway.interop.foreign_tokenizer import read_tokenizers
from headway.interop.tokenizer_files import TARGET_FOLDER, write_tokenizers
from headway.model.config import TransformerConfig
from headway.text.kinds import Kind
from headway.text.tokenizer import Tokenizer, TokenizerConfig, Tokenizers, train_tokenizer
from tests.interop.random_models import bundle_of

transformers = pytest.importorskip("transformers")

LINES = ["the cat sat on the mat", "a cat, a mat; 42 dogs!", "Äpfel  und Birnen", "in  the end\tit sat"]
HARD = [*LINES, "<s> is plain text", "</s> <mask> <pad>", "unknown: 猫", " leading", "trailing ", "a\nb", "x"]
LAYERS = {"encoder-decoder": (1, 1), "encoder": (1, 0), "decoder": (0, 1)}


def tokenizer_of(kind: Kind) -> Tokenizer:
    size = 300 if kind == "bpe" else 60
    return train_tokenizer(LINES, TokenizerConfig(kind=kind, vocab_size=size))


def bundle(architecture: str, source: Tokenizer | None, target: Tokenizer) -> Bundle:
    encoder, decoder = LAYERS[architecture]
    sizes: dict[str, Any] = {"d_model": 16, "d_ff": 8, "encoder_layers": encoder, "decoder_layers": decoder}
    own = source is not None and source is not target
    made = bundle_of(TransformerConfig(vocab_size=1, source_vocab_size=1 if own else None, **sizes))
    config = replace(
        made.config,
        vocab_size=target.vocab_size,
        source_vocab_size=source.vocab_size if own and source else None,
    )
    return replace(made, config=config, tokenizers=Tokenizers(source, target))


def opened(folder: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_sources_end_with_the_end(kind: Kind, tmp_path: Path) -> None:
    ours = tokenizer_of(kind)
    write_tokenizers(bundle("encoder-decoder", ours, ours), tmp_path, 64)
    theirs = opened(tmp_path)
    assert theirs.model_max_length == 64
    for text in HARD:
        assert theirs(text)["input_ids"] == [*ours.encode(text), 3], text
        ids = [2, *ours.encode(text), 3]
        assert theirs.decode(ids, skip_special_tokens=True) == ours.decode(ids), text


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_causal_model_s_text_begins_with_the_begin(kind: Kind, tmp_path: Path) -> None:
    ours = tokenizer_of(kind)
    write_tokenizers(bundle("decoder", None, ours), tmp_path, None)
    theirs = opened(tmp_path)
    for text in HARD:
        assert theirs(text)["input_ids"] == [2, *ours.encode(text)], text


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_masked_model_s_text_has_both_and_blanks(kind: Kind, tmp_path: Path) -> None:
    ours = tokenizer_of(kind)
    write_tokenizers(bundle("encoder", None, ours), tmp_path, 64)
    theirs = opened(tmp_path)
    blanks = ["the <mask> sat", "<mask> cat", "the cat <mask>", "the <mask> <mask>, a", "c<mask>t"]
    for text in [*LINES, *blanks, "x"]:
        assert theirs(text)["input_ids"] == [2, *ours.encode_blanks(text), 3], text
    assert theirs.mask_token_id == 4


def test_a_target_of_its_own_lies_beside_the_source(tmp_path: Path) -> None:
    source, target = tokenizer_of("characters"), tokenizer_of("symbols")
    both = bundle("encoder-decoder", source, target)
    write_tokenizers(both, tmp_path, 64)
    beside = transformers.AutoTokenizer.from_pretrained(tmp_path, subfolder=TARGET_FOLDER)
    assert opened(tmp_path)("cat")["input_ids"] == [*source.encode("cat"), 3]
    assert beside("cat sat")["input_ids"] == [*target.encode("cat sat"), 3]
    back = read_tokenizers(tmp_path, {"decoder_start_token_id": 2}, both.config)
    assert back.source is not None
    assert back.source.fingerprint == source.fingerprint
    assert back.target.fingerprint == target.fingerprint


@pytest.mark.parametrize("architecture", LAYERS)
@pytest.mark.parametrize("kind", ["bpe", "words"])
def test_what_is_written_is_read_back(kind: Kind, architecture: str, tmp_path: Path) -> None:
    ours = tokenizer_of(kind)
    both = bundle(architecture, ours if architecture == "encoder-decoder" else None, ours)
    write_tokenizers(both, tmp_path, None)
    back = read_tokenizers(tmp_path, {"decoder_start_token_id": 2}, both.config).target
    assert back.special == ours.special
    assert back.kind == kind
    for text in LINES:
        assert back.encode(text) == ours.encode(text)
        assert back.decode(back.encode(text)) == text
