from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.data.masking import Masked, Masking, TokenKeys
from headway.errors import RecipeError
from headway.text.special import OURS
from headway.text.tokenizer import MASK, SPECIAL_TOKENS

VOCABULARY = 1000
LENGTHS = st.lists(st.integers(0, 12), min_size=1, max_size=20)


def masked(
    masking: Masking, lengths: list[int], epoch: int = 0, progress: float = 0.0
) -> tuple[np.ndarray, Masked]:
    """Pieces of text that are examples 0, 1, …, and their masked form."""
    examples = np.repeat(np.arange(len(lengths)), lengths)
    positions = np.concatenate([np.arange(length) for length in lengths])
    ids = 5 + (examples * 31 + positions * 7) % (VOCABULARY - 5)
    keys = TokenKeys(3, epoch, examples, positions)
    return ids, masking.apply(ids, np.array(lengths), keys, progress)


def every(count: int) -> Callable[[np.ndarray], np.ndarray]:
    """Words of so many tokens, whatever they are."""
    return lambda ids: np.arange(len(ids)) % count == 0


@given(LENGTHS)
def test_each_piece_has_a_mask_and_only_chosen_tokens_change(lengths: list[int]) -> None:
    ids, (shown, chosen) = masked(Masking(special=OURS, vocab_size=VOCABULARY, rate=0.05), lengths)
    assert (shown == ids)[~chosen].all()
    ends = np.cumsum(lengths)
    for length, end in zip(lengths, ends, strict=True):
        assert chosen[end - length : end].any() == (length > 0)


def test_chosen_tokens_are_masked_replaced_or_kept_as_80_10_10() -> None:
    ids, (shown, chosen) = masked(Masking(special=OURS, vocab_size=VOCABULARY), [1000] * 100)
    assert chosen.mean() == pytest.approx(0.15, abs=0.005)
    kept = shown[chosen] == ids[chosen]
    mask = shown[chosen] == MASK
    random = shown[chosen][~kept & ~mask]
    assert mask.mean() == pytest.approx(0.8, abs=0.015)
    assert kept.mean() == pytest.approx(0.1, abs=0.015)
    assert random.min() >= len(SPECIAL_TOKENS)
    assert random.max() < VOCABULARY
    assert len(np.unique(random)) > VOCABULARY / 2


def test_the_one_certain_mask_of_a_short_piece_can_fall_on_any_token() -> None:
    _, (_, chosen) = masked(Masking(special=OURS, vocab_size=VOCABULARY, rate=0.01), [4] * 4000)
    shares = chosen.reshape(-1, 4).mean(axis=0)
    assert np.allclose(shares, 0.25, atol=0.03)


@given(LENGTHS, st.integers(2, 5))
def test_words_share_one_fate(lengths: list[int], size: int) -> None:
    masking = Masking(special=OURS, vocab_size=VOCABULARY, rate=0.3, word_starts=every(size))
    ids, (shown, chosen) = masked(masking, lengths)
    starts = every(size)(ids)
    starts[(np.cumsum(lengths) - lengths)[np.array(lengths) > 0]] = True
    for word in np.split(np.arange(len(ids)), np.flatnonzero(starts)[1:]):
        assert chosen[word].all() or not chosen[word].any()
        assert (shown[word] == MASK).all() or not (shown[word] == MASK).any()


def test_no_word_reaches_over_from_one_piece_into_the_next() -> None:
    masking = Masking(
        special=OURS, vocab_size=VOCABULARY, word_starts=lambda ids: np.zeros(len(ids), dtype=np.bool_)
    )
    _, (shown, chosen) = masked(masking, [2] * 500)
    assert chosen.all(), "each piece is one word, and one word of it is certain"
    masks = (shown == MASK).reshape(-1, 2)
    assert (masks[:, 0] == masks[:, 1]).all()
    assert masks.mean() == pytest.approx(0.8, abs=0.06)


def test_whole_words_keep_the_shares() -> None:
    masking = Masking(special=OURS, vocab_size=VOCABULARY, word_starts=every(3))
    ids, (shown, chosen) = masked(masking, [999] * 100)
    assert chosen.mean() == pytest.approx(0.15, abs=0.01)
    assert (shown[chosen] == MASK).mean() == pytest.approx(0.8, abs=0.025)
    assert (shown[chosen] == ids[chosen]).mean() == pytest.approx(0.1, abs=0.02)


def test_the_rate_goes_in_a_line() -> None:
    masking = Masking(special=OURS, vocab_size=VOCABULARY, rate=0.3, rate_end=0.1)
    for progress, rate in ((0.0, 0.3), (0.5, 0.2), (1.0, 0.1), (1.5, 0.1)):
        _, (_, chosen) = masked(masking, [1000] * 50, progress=progress)
        assert chosen.mean() == pytest.approx(rate, abs=0.01)


def test_masks_move_with_the_epoch() -> None:
    masking = Masking(special=OURS, vocab_size=VOCABULARY)
    (_, first), (_, again), (_, second) = (masked(masking, [500] * 10, epoch) for epoch in (0, 0, 1))
    assert (first.chosen == again.chosen).all()
    assert (first.ids == again.ids).all()
    both = (first.chosen & second.chosen).sum() / first.chosen.sum()
    assert both == pytest.approx(0.15, abs=0.07)


def test_text_without_tokens_stays_so() -> None:
    _, (shown, chosen) = masked(Masking(special=OURS, vocab_size=VOCABULARY), [0, 0])
    assert len(shown) == len(chosen) == 0


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": 1.5}, {"rate_end": -0.1}, {"rate": float("nan")}])
def test_an_impossible_rate_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match=f"masking.{next(iter(wrong))} = "):
        Masking(special=OURS, vocab_size=VOCABULARY, **wrong)


def test_a_vocabulary_of_special_tokens_is_refused() -> None:
    with pytest.raises(RecipeError, match="vocabulary"):
        Masking(special=OURS, vocab_size=len(SPECIAL_TOKENS))
