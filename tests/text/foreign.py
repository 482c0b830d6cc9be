"""Tokenizers as other libraries leave them, with special tokens wherever they like."""

import json
from functools import cache

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from headway.text.special import SpecialIds
from headway.text.tokenizer import Tokenizer

LINES = ["the quick brown fox jumps over the lazy dog", "it's the 12th of May, isn't it?"] * 20


@cache
def bert() -> Tokenizer:
    """WordPiece that is told to cut and to fill, as sentence encoders' are; its special tokens are last."""
    library = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    library.normalizer = normalizers.BertNormalizer(lowercase=True)
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.decoder = decoders.WordPiece(cleanup=False)
    library.train_from_iterator(LINES, trainers.WordPieceTrainer(vocab_size=70, show_progress=False))
    library.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    ids = {name: library.token_to_id(f"[{name}]") for name in ("PAD", "UNK", "CLS", "SEP", "MASK")}
    library.post_processor = processors.BertProcessing(("[SEP]", ids["SEP"]), ("[CLS]", ids["CLS"]))
    library.enable_truncation(4)
    library.enable_padding(length=8)
    content = json.loads(library.to_str())
    content["model"]["vocab"]["[UNK]"] = ids["UNK"]
    return Tokenizer(
        json.dumps(content), SpecialIds(ids["PAD"], ids["UNK"], ids["CLS"], ids["SEP"], ids["MASK"])
    )


@cache
def gpt2(vocab_size: int = 300) -> Tokenizer:
    """Byte-level pairs with one special token, the last, for everything; no token begins a text."""
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    learner = trainers.BpeTrainer(vocab_size=vocab_size - 1, initial_alphabet=alphabet, show_progress=False)
    library.train_from_iterator(LINES, learner)
    library.add_special_tokens(["<|endoftext|>"])
    end = library.token_to_id("<|endoftext|>")
    return Tokenizer(library.to_str(), SpecialIds(pad=end, unknown=None, begin=None, end=end, mask=None))


@cache
def t5() -> Tokenizer:
    """Unigram pieces with ▁ before words; the padding begins an output."""
    library = tokenizers.Tokenizer(models.Unigram())
    library.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="always")
    library.decoder = decoders.Metaspace("▁", prepend_scheme="always")
    learner = trainers.UnigramTrainer(
        vocab_size=60,
        special_tokens=["<pad>", "</s>", "<unk>"],
        unk_token="<unk>",
        show_progress=False,
    )
    library.train_from_iterator(LINES, learner)
    return Tokenizer(library.to_str(), SpecialIds(pad=0, unknown=2, begin=0, end=1, mask=None))


@cache
def bart() -> Tokenizer:
    """Byte-level pairs; a source begins with <s>, and what ends a text also begins an output."""
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    learner = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    library.train_from_iterator(LINES, learner)
    return Tokenizer(library.to_str(), SpecialIds(1, 3, begin=2, end=2, mask=4, source_begin=0))
