"""Blanks filled by a masked model."""

from dataclasses import replace

import pytest
import torch

from headway.batch import Tokens
from headway.decoding.fill_mask import Filler, has_blank
from headway.errors import UserError
from headway.text.tokenizer import BEGIN, END, MASK, TokenizerConfig, split_at_blanks, train_tokenizer

from .toys import byte_pairs, letters, tiny


def test_one_blank_gets_the_models_likeliest_tokens() -> None:
    ensemble = tiny(2, 0)
    [filled] = Filler(ensemble).fill(["ab___de"], candidates=4)
    ids = [*letters().encode("ab"), MASK, *letters().encode("de")]
    model = ensemble.models[0].eval()
    with torch.no_grad():
        hidden = model(Tokens(torch.tensor([[BEGIN, *ids, END]])))
    log_probs = model.logits(hidden)[0, 3].detach().log_softmax(-1)
    best = sorted(range(5, len(log_probs)), key=lambda token: -float(log_probs[token]))[:4]
    assert [each.id for each in filled.blanks[0]] == best
    assert [each.log_prob for each in filled.blanks[0]] == pytest.approx(log_probs[best].tolist(), abs=1e-5)
    assert filled.text == "ab" + letters().decode(best[:1]) + "de"
    assert filled.score == filled.blanks[0][0].log_prob
    assert filled.blanks[0][0].probability == pytest.approx(float(log_probs.softmax(0)[best[0]]), abs=1e-5)


def test_several_blanks_are_filled_one_by_one_the_surest_first() -> None:
    ensemble = tiny(2, 0)
    text = "a___c<mask>e[MASK]"
    [filled] = Filler(ensemble).fill([text])
    assert len(filled.blanks) == 3
    assert filled.text == "a{}c{}e{}".format(*(blank[0].text for blank in filled.blanks))
    assert filled.score == pytest.approx(joint(ensemble, text)[1], abs=1e-5)
    assert filled.text == joint(ensemble, text)[0]


def joint(ensemble, text: str) -> tuple[str, float]:
    """The same written plainly: one text, one pass a round."""
    ids, total = letters().encode_blanks(text), 0.0
    model = ensemble.models[0].eval()
    while MASK in ids:
        with torch.no_grad():
            hidden = model(Tokens(torch.tensor([[BEGIN, *ids, END]])))
        log_probs = model.logits(hidden)[0, 1:-1].detach().log_softmax(-1)
        log_probs[:, :5] = -torch.inf
        place = max(
            (i for i, token in enumerate(ids) if token == MASK), key=lambda i: float(log_probs[i].max())
        )
        total += float(log_probs[place].max())
        ids[place] = int(log_probs[place].argmax())
    return letters().decode(ids), total


def test_texts_are_filled_the_same_alone_and_together() -> None:
    filler = Filler(tiny(2, 0), batch_tokens=30)
    texts = ["a___", "ab___cd___ef___gh", "___", "a___b___"]
    for text, filled in zip(texts, filler.fill(texts), strict=True):
        [alone] = filler.fill([text])
        assert filled.text == alone.text
        assert filled.score == pytest.approx(alone.score, abs=1e-5)


def test_the_text_around_blanks_stays_as_it_was_given() -> None:
    tokenizer = train_tokenizer(
        ["the cat sat on the mat", "the dog sat on a mat"],
        TokenizerConfig(kind="words", vocab_size=30, lowercase=True),
    )
    [filled] = Filler(tiny(1, 0, tokenizer)).fill(["The  zebra ____ ON\tthe ___, twice."], candidates=3)
    first, second = (blank[0].text for blank in filled.blanks)
    assert filled.text == f"The  zebra {first} ON\tthe {second}, twice."
    assert all(each.text == each.text.strip() and each.text for blank in filled.blanks for each in blank)


def test_a_long_text_is_seen_around_each_blank() -> None:
    text = "abcdefgh" * 6 + "___" + "abcdefgh" * 6 + "___" + "a"
    narrow = Filler(replace(tiny(2, 0), longest_target=12))
    [filled] = narrow.fill([text])
    assert filled.text.startswith("abcdefgh" * 6)
    [near] = narrow.fill(["defgh___abcd"])
    for ours, theirs in zip(filled.blanks[0], near.blanks[0], strict=True):
        assert (ours.id, ours.text) == (theirs.id, theirs.text)
        assert ours.log_prob == pytest.approx(theirs.log_prob, abs=1e-5)
    assert len(Filler(tiny(1, 0, shape="learned")).fill([text])[0].blanks) == 2


def test_targets_alone_fill_a_blank_with_the_scores_that_they_have_among_all() -> None:
    filler = Filler(tiny(1, 0, byte_pairs()))
    pieces = filler.ensemble.tokenizers.target.pieces
    text, words = "the ___ sat on___ and ___", ["the", "cat", "at"]
    targets = filler.targets_of(text, words)
    assert [pieces(ids) for ids in targets] == [
        ["▁the", "▁cat", "at"],
        ["the", "cat", "at"],
        ["▁the", "▁cat", "at"],
    ]
    assert [pieces(ids) for ids in filler.targets_of("___ sat", words)] == [["the", "cat", "at"]]
    for one, only in (("a ___ b", ["cat", "the"]), ("a b ___", ["the"])):
        [allowed] = filler.targets_of(one, only)
        [[whole]] = [each.blanks for each in filler.fill([one], candidates=1000)]
        [[few]] = [each.blanks for each in filler.fill([one], 5, [[allowed]])]
        expected = [(each.id, each.log_prob) for each in whole if each.id in allowed]
        assert [(each.id, each.log_prob) for each in few] == [
            (id, pytest.approx(value)) for id, value in expected
        ]
    [filled] = filler.fill([text], 5, [targets])
    assert [{each.id for each in blank} for blank in filled.blanks] == [set(ids) for ids in targets]
    for word in ("fat cat", "", "<mask>"):
        with pytest.raises(UserError, match="not one token"):
            filler.targets_of(text, [word])


def test_what_cannot_be_filled_is_said() -> None:
    with pytest.raises(UserError, match="no blank in 'abc'"):
        Filler(tiny(1, 0)).fill(["a___", "abc"])
    with pytest.raises(UserError, match="masked"):
        Filler(tiny(0, 1))
    with pytest.raises(UserError, match="at least 1"):
        Filler(tiny(1, 0)).fill(["___"], candidates=0)
    assert Filler(tiny(1, 0)).fill([]) == []


@pytest.mark.parametrize("text", ["a___b", "______", "<mask>[MASK]", "a_b__c_____", "plain", "___ ___"])
def test_blanks_are_those_that_the_tokenizer_sees(text: str) -> None:
    blanks = letters().encode_blanks(text).count(MASK)
    assert len(split_at_blanks(text)) - 1 == blanks
    assert has_blank(text) == (blanks > 0)
