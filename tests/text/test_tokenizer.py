"""What encodes must decode: identities of every kind of tokenizer, special tokens, blanks, fingerprints."""

import json
import unicodedata
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import DataError, FolderError, RecipeError
from headway.text.kinds import Kind
from headway.text.normalize import Form
from headway.text.tokenizer import (
    BEGIN,
    END,
    MASK,
    PAD,
    SPECIAL_TOKENS,
    UNKNOWN,
    Tokenizer,
    TokenizerConfig,
    train_tokenizer,
)

KINDS: tuple[Kind, ...] = get_args(Kind)
TEXTS = [
    "the old king is asleep in the tower",
    "the king's men, (all of them) walk to the tower; why?",
    "  two blanks,  and 12 towers\n\n# a title\nand a last line ##",
    "a naïve café: 東京 is far",
]
ALPHABET = sorted(set("".join(TEXTS)))


def learned(kind: Kind, vocab_size: int = 400, texts: list[str] = TEXTS, **more: object) -> Tokenizer:
    return train_tokenizer(texts, TokenizerConfig(kind=kind, vocab_size=vocab_size, **more))  # type: ignore[arg-type]


TOKENIZERS = {kind: learned(kind) for kind in KINDS}
known_text = st.text(st.sampled_from(ALPHABET), max_size=60)


@given(st.text(max_size=80))
def test_byte_level_gives_back_every_text(text: str) -> None:
    tokenizer = TOKENIZERS["bpe"]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not set(ids) & set(range(len(SPECIAL_TOKENS)))


@given(known_text)
@pytest.mark.parametrize("kind", ["characters", "wordpiece", "unigram"])
def test_text_of_known_characters_is_given_back(kind: Kind, text: str) -> None:
    tokenizer = TOKENIZERS[kind]
    ids = tokenizer.encode(text)
    if kind == "characters":
        assert len(ids) == len(text)
    if UNKNOWN not in ids:
        assert tokenizer.decode(ids) == text
    else:  # a character that was only ever seen inside a word may not begin one
        assert kind == "wordpiece"


@given(known_text)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_decoded_encodes_to_itself(kind: Kind, text: str) -> None:
    tokenizer = TOKENIZERS[kind]
    decoded = tokenizer.decode(tokenizer.encode(text))
    assert tokenizer.decode(tokenizer.encode(decoded)) == decoded or UNKNOWN in tokenizer.encode(text)


@pytest.mark.parametrize("text", TEXTS)
def test_words_are_detokenized_with_their_signs_blanks_and_lines(text: str) -> None:
    tokenizer = TOKENIZERS["words"]
    ids = tokenizer.encode(text)
    assert UNKNOWN not in ids
    assert tokenizer.decode(ids) == text


def test_a_word_is_one_token_wherever_it_stands() -> None:
    for kind in ("words", "wordpiece", "unigram"):
        tokenizer = TOKENIZERS[kind]
        first, later, new_line = (tokenizer.encode(text) for text in ("the king", "and the", "why?\nthe"))
        assert first[0] == later[-1] == new_line[-1]


@given(st.lists(st.sampled_from(["AH0", "B", "<s>", "</s>", "<mask>", "<pad>", "aː"]), max_size=8))
def test_given_symbols_are_given_back_joined_by_blanks(symbols: list[str]) -> None:
    tokenizer = learned("symbols", texts=["AH0 B <s> </s> <mask> <pad> aː"])
    ids = tokenizer.encode("  ".join(symbols))
    assert len(ids) == len(symbols)
    assert tokenizer.decode(ids) == " ".join(symbols)
    assert not set(ids) & set(range(len(SPECIAL_TOKENS)))


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_have_the_first_ids_and_text_never_has_them(kind: Kind) -> None:
    assert (PAD, UNKNOWN, BEGIN, END, MASK) == (0, 1, 2, 3, 4)
    spelled = "".join(SPECIAL_TOKENS) + " " + " ".join(SPECIAL_TOKENS) + "x<s>y"
    tokenizer = learned(kind, texts=[*TEXTS, spelled, "< / >"])
    ids = tokenizer.encode(spelled)
    assert not {PAD, BEGIN, END, MASK} & set(ids)
    assert tokenizer.pieces(range(5)) == list(SPECIAL_TOKENS)
    assert tokenizer.decode(range(5)) == ""
    if kind != "symbols":
        assert tokenizer.decode(ids) == spelled


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_encoded_as_each_text_alone(kind: Kind) -> None:
    tokenizer = TOKENIZERS[kind]
    assert tokenizer.encode_batch([*TEXTS, ""]) == [*(tokenizer.encode(text) for text in TEXTS), []]


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_it_is_the_same(kind: Kind, tmp_path: Path) -> None:
    tokenizer = TOKENIZERS[kind]
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    loaded = Tokenizer.load(path)
    assert loaded.kind == kind
    assert loaded.fingerprint == tokenizer.fingerprint
    assert loaded.to_json() == tokenizer.to_json()
    assert loaded.encode_batch(TEXTS) == tokenizer.encode_batch(TEXTS)
    assert not {BEGIN, MASK} & set(loaded.encode("<s> <mask>"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["tokenizer.json"]


def test_the_fingerprint_tells_vocabularies_apart() -> None:
    prints = [
        learned("bpe", size, lowercase=lower).fingerprint for size in (300, 301) for lower in (True, False)
    ]
    assert len(set(prints)) == 4
    assert learned("bpe", 300).fingerprint == learned("bpe", 300).fingerprint


@pytest.mark.parametrize("kind", ["bpe", "words", "characters", "symbols"])
def test_learning_twice_gives_the_same(kind: Kind) -> None:
    assert learned(kind).to_json() == TOKENIZERS[kind].to_json()


@pytest.mark.parametrize("content", ["", "{}", "no json", '{"model": 1}'])
def test_a_file_that_is_no_tokenizer_is_refused_by_name(content: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(FolderError, match=r"tokenizer\.json"):
        Tokenizer.load(path)
    with pytest.raises(FolderError, match=r"other\.json"):
        Tokenizer.load(tmp_path / "other.json")


def test_a_tokenizer_with_other_special_tokens_is_refused() -> None:
    foreign = json.loads(TOKENIZERS["characters"].to_json())
    for entry in foreign["added_tokens"]:
        entry["content"] = entry["content"].replace("<pad>", "[PAD]")
    foreign["model"]["vocab"] = {
        token.replace("<pad>", "[PAD]"): i for token, i in foreign["model"]["vocab"].items()
    }
    with pytest.raises(FolderError, match="PAD"):
        Tokenizer.from_json(json.dumps(foreign))


@pytest.mark.parametrize("form", [form for form in get_args(Form) if form != "none"])
def test_normalization_is_done_before_encoding_and_is_saved(form: Form) -> None:
    tokenizer = Tokenizer.from_json(learned("bpe", normalize=form, lowercase=True).to_json())
    text = "Ångström ﬁn Ⅷ e\u0301"
    written = "NFC" if form == "letters" else form.upper()
    expected = unicodedata.normalize(written, text).lower()  # type: ignore[arg-type]
    assert tokenizer.decode(tokenizer.encode(text)) == expected


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("bpe", "the ___ is", ["the", "<mask>", "▁is"]),
        ("words", "the [MASK], <mask> _____ to", ["▁the", "<mask>", ",", "<mask>", "<mask>", "▁to"]),
        ("wordpiece", "___ the", ["<mask>", "▁the"]),
        ("unigram", "the ___", ["▁the", "<mask>"]),
        ("characters", "in <mask> a", ["i", "n", "▁", "<mask>", "▁", "a"]),
        ("symbols", "the ___ is", ["the", "<mask>", "is"]),
    ],
)
def test_blanks_become_masks_that_stand_for_words(kind: Kind, text: str, expected: list[str]) -> None:
    tokenizer = learned(kind, texts=[*TEXTS, "the is to in a , the is to in a ,"] * 9)
    assert tokenizer.pieces(tokenizer.encode_blanks(text)) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_text_without_blanks_is_encoded_as_ever(kind: Kind) -> None:
    for text in TEXTS:
        assert TOKENIZERS[kind].encode_blanks(text) == TOKENIZERS[kind].encode(text)


@pytest.mark.parametrize("kind", ["bpe", "words", "wordpiece", "unigram"])
def test_a_filled_blank_reads_as_the_whole_text(kind: Kind) -> None:
    tokenizer = learned(kind, texts=[*TEXTS, *["the old king is asleep, is it?"] * 20], vocab_size=380)
    (king,) = tokenizer.encode(" king") if kind == "bpe" else tokenizer.encode("king")
    ids = tokenizer.encode_blanks("the old ___ is asleep")
    assert tokenizer.decode([king if index == MASK else index for index in ids]) == "the old king is asleep"


@pytest.mark.parametrize("kind", KINDS)
def test_words_start_after_blanks_and_where_signs_begin(kind: Kind) -> None:
    tokenizer = TOKENIZERS[kind]
    ids = tokenizer.encode("the asleep tower")
    starts = tokenizer.word_starts(ids)
    assert starts.dtype == np.bool_
    assert starts.shape == (len(ids),)
    words = "".join(
        f"|{piece}" if start else piece for piece, start in zip(tokenizer.pieces(ids), starts, strict=True)
    )
    assert words.replace("▁", "").replace("||", "|") == "|the|asleep|tower"


def test_word_starts_of_nothing_and_at_signs_and_masks() -> None:
    tokenizer = TOKENIZERS["characters"]
    assert tokenizer.word_starts([]).shape == (0,)
    assert tokenizer.word_starts(tokenizer.encode("men12,")).tolist() == [
        True,
        False,
        False,
        True,
        False,
        True,
    ]
    assert tokenizer.word_starts([MASK, *tokenizer.encode("me")]).tolist() == [True, True, False]


@given(known_text.filter(str.isascii))
@pytest.mark.parametrize("kind", ["bpe", "characters"])
def test_pieces_show_the_whole_text(kind: Kind, text: str) -> None:
    tokenizer = TOKENIZERS[kind]
    ids = tokenizer.encode(text)
    shown = tokenizer.pieces(ids)
    assert len(shown) == len(ids)
    assert "".join(shown).replace("▁", " ").replace("↵", "\n") == text


@pytest.mark.parametrize("kind", KINDS)
def test_a_lone_surrogate_is_named(kind: Kind) -> None:
    with pytest.raises(DataError, match=r"character 4 is a lone surrogate \(U\+D83D\)"):
        TOKENIZERS[kind].encode("abc\ud83d")
    with pytest.raises(DataError, match="lone surrogate"):
        learned(kind, texts=["a \udc00 b"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [[], [""], [" \n "]])
def test_nothing_can_be_learned_from_no_text(kind: Kind, texts: list[str]) -> None:
    with pytest.raises(DataError, match="no text"):
        learned(kind, texts=texts)


@pytest.mark.parametrize("kind", KINDS)
def test_the_vocabulary_never_exceeds_its_bound(kind: Kind) -> None:
    many = " ".join(chr(0x4E00 + index) + "x" * (index % 3) for index in range(500))
    for size in (300, 2000):
        try:
            tokenizer = learned(kind, size, texts=[many])
        except RecipeError as error:
            assert str(size) in str(error)
            assert kind in ("wordpiece", "unigram")
        else:
            assert tokenizer.vocab_size <= size
            assert max(tokenizer.encode(many)) < tokenizer.vocab_size


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"vocab_size": 260}, "261"),
        ({"kind": "words", "vocab_size": 5}, "vocab_size"),
        ({"min_count": 0}, "min_count"),
        ({"sample_lines": 0}, "sample_lines"),
        ({"kind": "unigram", "min_count": 2}, "unigram"),
    ],
)
def test_settings_that_cannot_be_followed_are_named(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        TokenizerConfig(**wrong)  # type: ignore[arg-type]


def test_rare_words_stay_unknown() -> None:
    tokenizer = learned("words", texts=["once often often"], min_count=2)
    assert [index == UNKNOWN for index in tokenizer.encode("often once")] == [False, True]


def test_byte_level_splits_words_as_gpt_2_does() -> None:
    tokenizer = learned("bpe", 600, texts=["don't we'll  stop   12 34 \t x!? été " * 50])
    splitter = json.loads(tokenizer.to_json())["pre_tokenizer"]
    assert splitter == {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    assert tokenizer.pieces(tokenizer.encode("don't we'll  stop")) == [
        "don",
        "'t",
        "▁we",
        "'ll",
        "▁",
        "▁stop",
    ]


def test_what_is_unknown_is_named_once() -> None:
    symbols = train_tokenizer(["AA B", "B K"], TokenizerConfig(kind="symbols", vocab_size=20))
    assert symbols.unknown_in("AA X B X Y") == ["X", "Y"]
    characters = train_tokenizer(["ab"], TokenizerConfig(kind="characters", vocab_size=20))
    assert characters.unknown_in("axbx") == ["x"]


KOREAN = "".join(chr(0xAC00 + 97 * place) for place in range(110))


@given(st.text(st.sampled_from(KOREAN + "é ä e\u0301"), max_size=20))
@pytest.mark.parametrize("kind", ["characters", "bpe", "wordpiece"])
def test_letters_are_read_one_by_one_and_written_composed(kind: Kind, text: str) -> None:
    tokenizer = OF_LETTERS[kind]
    composed = unicodedata.normalize("NFC", text)
    assert tokenizer.decode(tokenizer.encode(composed)) == composed == tokenizer.normalized(text)
    if kind == "characters":
        assert len(tokenizer.encode(text)) == len(unicodedata.normalize("NFD", text))


OF_LETTERS: dict[str, Tokenizer] = {
    kind: Tokenizer.from_json(learned(kind, texts=[KOREAN + "é ä e\u0301"], normalize="letters").to_json())
    for kind in ("characters", "bpe", "wordpiece")
}


def test_what_is_read_as_nfd_alone_is_written_so() -> None:
    """As model folders from before there was `letters` have it."""
    tokenizer = learned("characters", texts=[KOREAN], normalize="nfd")
    assert tokenizer.decode(tokenizer.encode(KOREAN)) == unicodedata.normalize("NFD", KOREAN)
    assert not tokenizer.composes
