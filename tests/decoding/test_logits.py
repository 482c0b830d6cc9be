"""What is left to choose from."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from headway.decoding.logits import forbid, mark_seen, min_p, penalize_repetition, sharpen, top_k, top_p
from headway.decoding.settings import SearchConfig
from headway.text.special import OURS
from headway.text.tokenizer import BEGIN, END, MASK, PAD, UNKNOWN


def rows_of(seed: int, rows: int = 3, vocabulary: int = 17) -> torch.Tensor:
    return 3 * torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(seed))


def kept(logits: torch.Tensor) -> list[set[int]]:
    return [set(row.isfinite().nonzero()[:, 0].tolist()) for row in logits]


def test_tokens_without_text_are_never_chosen_and_the_others_stay_as_they_are() -> None:
    logits = rows_of(0)
    allowed = forbid(logits, OURS, torch.tensor([True, False, False]))
    everything = set(range(17)) - {PAD, UNKNOWN, BEGIN, MASK}
    assert kept(allowed) == [everything - {END}, everything, everything]
    finite = allowed.isfinite()
    assert torch.equal(allowed[finite], logits[finite])
    assert logits.isfinite().all(), "the caller's numbers were changed"


@given(seed=st.integers(0, 10**6), k=st.integers(1, 20))
def test_top_k_keeps_the_k_highest(seed: int, k: int) -> None:
    logits = rows_of(seed)
    for row, left in zip(logits, kept(top_k(logits, k)), strict=True):
        assert left == set(row.argsort(descending=True)[:k].tolist())


@given(seed=st.integers(0, 10**6), p=st.floats(0.01, 0.99))
def test_top_p_keeps_the_fewest_that_hold_the_share(seed: int, p: float) -> None:
    logits = rows_of(seed)
    for row, left in zip(logits.softmax(1), kept(top_p(logits, p)), strict=True):
        order = row.argsort(descending=True).tolist()
        assert left == set(order[: len(left)])
        assert float(row[order[: len(left)]].sum()) >= p - 1e-5
        assert len(left) == 1 or float(row[order[: len(left) - 1]].sum()) < p + 1e-5


@given(seed=st.integers(0, 10**6), share=st.floats(0.01, 1))
def test_min_p_keeps_what_is_likely_beside_the_likeliest(seed: int, share: float) -> None:
    logits = rows_of(seed)
    for row, left in zip(logits.softmax(1), kept(min_p(logits, share)), strict=True):
        assert left == set((row >= row.max() * share).nonzero()[:, 0].tolist())
        assert int(row.argmax()) in left


def test_repetition_raises_the_probability_of_what_was_seen_to_a_power() -> None:
    log_probs = rows_of(1).log_softmax(1)
    seen = mark_seen(torch.zeros_like(log_probs, dtype=torch.bool), torch.tensor([[3, 5], [2, 2], [0, 16]]))
    changed = penalize_repetition(log_probs, seen, 1.5)
    assert [set(row.nonzero()[:, 0].tolist()) for row in seen] == [{3, 5}, {2}, {0, 16}]
    torch.testing.assert_close(changed[seen].exp(), log_probs[seen].exp() ** 1.5)
    assert torch.equal(changed[~seen], log_probs[~seen])


def test_each_filter_works_on_what_the_one_before_it_left() -> None:
    config = SearchConfig(method="sample", temperature=0.5, top_k=8, top_p=0.9, min_p=0.05)
    logits = rows_of(2)
    expected = min_p(top_p(top_k(logits / 0.5, 8), 0.9), 0.05)
    assert torch.equal(sharpen(logits, config), expected)
    assert torch.equal(sharpen(logits, SearchConfig(method="sample")), logits)
