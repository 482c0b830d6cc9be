"""Tokenizers that were learned elsewhere: they encode and decode as their library does."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tokenizers

from headway.errors import FolderError, UserError
from headway.text.special import OURS, SpecialIds
from headway.text.tokenizer import Tokenizer, TokenizerConfig, train_tokenizer
from tests.text.foreign import LINES, bart, bert, gpt2, t5

KINDS = [bert, gpt2, t5, bart]
each_kind = pytest.mark.parametrize("make", KINDS, ids=[make.__name__ for make in KINDS])


def library_of(tokenizer: Tokenizer) -> tokenizers.Tokenizer:
    library = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    library.no_truncation()
    library.no_padding()
    return library


@each_kind
def test_it_encodes_as_its_library_does_neither_cut_nor_filled(make: Callable[[], Tokenizer]) -> None:
    tokenizer = make()
    assert tokenizer.kind == "foreign"
    library = library_of(tokenizer)
    for line in [*LINES[:2], "the " * 30, ""]:
        ids = library.encode(line, add_special_tokens=False).ids
        assert tokenizer.encode(line) == ids
        assert tokenizer.encode_batch([line, "x"])[0] == ids
        assert tokenizer.decode(ids) == library.decode(ids)


@each_kind
def test_special_tokens_have_no_text(make: Callable[[], Tokenizer]) -> None:
    tokenizer = make()
    special = tokenizer.special
    ids = tokenizer.encode("the fox")
    assert tokenizer.decode([special.pad, *special.whole(ids)]) == tokenizer.decode(ids)
    assert max(special.all) < tokenizer.vocab_size


@each_kind
def test_saved_and_loaded_it_is_the_same(make: Callable[[], Tokenizer], tmp_path: Path) -> None:
    tokenizer = make()
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json", tokenizer.foreign_special)
    assert (loaded.kind, loaded.special) == ("foreign", tokenizer.special)
    assert loaded.fingerprint == tokenizer.fingerprint
    assert loaded.to_json() == tokenizer.to_json()
    with pytest.raises(FolderError, match="Headway's tokenizers begin with"):
        Tokenizer.load(tmp_path / "tokenizer.json")


def test_other_roles_make_another_fingerprint() -> None:
    content = gpt2().to_json()
    assert Tokenizer(content, SpecialIds(0, None, None, 1, None)).fingerprint != gpt2().fingerprint


def test_one_learned_here_stays_what_it_is() -> None:
    ours = train_tokenizer(LINES, TokenizerConfig(vocab_size=300))
    again = Tokenizer(ours.to_json(), OURS)
    assert (again.kind, again.foreign_special, again.fingerprint) == ("bpe", None, ours.fingerprint)


@each_kind
def test_pieces_and_words(make: Callable[[], Tokenizer]) -> None:
    tokenizer = make()
    ids = tokenizer.encode("the foxes, the dogs")
    shown, begins = tokenizer.pieces(ids), tokenizer.word_starts(ids).tolist()
    assert len(ids) > 6, "several pieces a word"
    words = "".join(f"|{piece}" if start else piece for piece, start in zip(shown, begins, strict=True))
    assert words.replace("▁", "").replace("||", "|").strip("|") == "the|foxes|,|the|dogs"


def test_a_text_goes_on_after_a_blank_without_a_mark_before_it() -> None:
    content = json.loads(t5().to_json())
    size = t5().vocab_size
    content["added_tokens"].append(content["added_tokens"][0] | {"id": size, "content": "<mask>"})
    tokenizer = Tokenizer(json.dumps(content), SpecialIds(0, 2, 0, 1, mask=size))
    assert tokenizer.pieces(tokenizer.encode_blanks("___s it"))[:2] == ["<mask>", "s"]
    masked = bert()
    ids = masked.encode_blanks("the ___ dog " * 3)
    assert ids.count(masked.special.mask or -1) == 3
    assert len(ids) >= 9, "what it reads after a blank is not cut either"


def test_a_blank_needs_a_mask() -> None:
    assert t5().encode_blanks("the fox") == t5().encode("the fox")
    with pytest.raises(UserError, match="no token for a blank"):
        t5().encode_blanks("the ___")


def test_ids_that_are_left_out_count() -> None:
    content = json.loads(bert().to_json())
    index = content["model"]["vocab"].pop("##z")
    tokenizer = Tokenizer(json.dumps(content), bert().special)
    assert tokenizer.vocab_size == bert().vocab_size
    assert tokenizer.pieces([index]) == ["<unk>"]
    assert tokenizer.word_starts([index]).tolist() == [True]
