"""The page's tables are what its matrices make; shares add up; the run fills its page."""

import json
import math
import re
from pathlib import Path

import pytest
import torch
from tour.learn import score
from tour.report import PAGES, Settings
from tour.self_attention import (
    KINDS,
    QUICK,
    SPECIAL,
    Found,
    Head,
    even,
    findings,
    heads_of,
    held_out,
    model_of,
    most_special,
    places_of,
    run,
    shares,
    weights_of,
    without_head,
)
from tour.text import Text, bible

pytestmark = pytest.mark.slow

PAGE = (PAGES / "self-attention.md").read_text("utf-8")
WORDS = ("small", "cats", "chase", "mice")


def table(corner: str) -> list[list[float]]:
    """The numbers of the page's table with this first heading."""
    rows = PAGE.partition(f"| {corner} |")[2].split("\n\n")[0].splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == list(WORDS)
    return [[float(n) for n in re.split(r"[|\s]+", row.replace("−", "-"))[2:-1]] for row in rows]


def test_the_tables_of_the_page_follow_from_its_first() -> None:
    """Equation 1 in plain Python, from the words' properties and what the text says that they ask for."""
    x = table("$x$")
    queries_and_keys = table("word")
    asks = [[0, 2, 4, 0], [4, 0, 2, 0], [4, 0, 0, 0]]  # of a thing, an action, a quality
    q = [[sum(word[p] * asks[p][i] for p in range(3)) for i in range(4)] for word in x]
    k = [[*word[:3], 0] for word in x]
    assert queries_and_keys == [[*a, *b] for a, b in zip(q, k, strict=True)]
    scores = [[sum(a * b for a, b in zip(one, other, strict=True)) / 2 for other in k] for one in q]
    assert table(r"$q \cdot k / 2$") == scores
    exponents = [[math.exp(score) for score in row] for row in scores]
    weights = [[each / sum(row) for each in row] for row in exponents]
    assert table("weights") == [pytest.approx(row, abs=5e-4) for row in weights]
    sums = [[sum(w * word[i] for w, word in zip(row, x, strict=True)) for i in range(4)] for row in weights]
    assert table("out") == [pytest.approx(row, abs=5e-4) for row in sums]


@pytest.fixture(scope="module")
def text() -> Text:
    return bible(Settings(quick=True), kind="characters", vocab_size=200)


def test_each_weight_counts_once() -> None:
    ids = torch.tensor([[2, 5, 6, 9, 5, 6, 5, 5, 9, 6]])
    places = places_of(ids, blank=9)
    every = sum(where.int() for where in places.values())
    assert every.max() == 1 and not every.triu(1).any()
    last = {kind: where[0, 9].nonzero().flatten().tolist() for kind, where in places.items()}
    assert last == {
        "itself": [9],
        "one before": [8],
        "two before": [7],
        "the last blank": [],  # the blank is the one before
        "after the same letter": [3, 6],  # letter 6 stood at 2 and 5
        "the same letter": [2, 5],
    }
    assert places["the last blank"][0, 7].nonzero().flatten().tolist() == [3]


def test_shares_add_up_to_one_and_know_a_head_that_copies() -> None:
    ids = torch.randint(5, 9, (3, 12))
    before = torch.diag(torch.ones(11), -1)
    before[0, 0] = 1
    weights = torch.stack([before, even(12)[0, 0]]).expand(3, -1, -1, -1)
    copies, spread_out = shares(weights, places_of(ids, blank=5))
    assert copies["one before"] == 1
    assert sum(spread_out.values()) == pytest.approx(1)
    assert spread_out["itself"] == pytest.approx(spread_out["one before"])
    assert spread_out["itself"] == pytest.approx(sum(1 / n for n in range(5, 13)) / 8)


def test_a_head_that_is_taken_away_comes_back(text: Text) -> None:
    model, batch = model_of(text, QUICK, seed=1).eval(), held_out(text, QUICK)
    loss = score(model, [batch]).loss
    with without_head(model, layer=1, head=0):
        lost = score(model, [batch]).loss
        weights_of(model, batch.inputs)
    assert lost != loss
    assert score(model, [batch]).loss == loss


def test_without_all_heads_no_token_sees_another(text: Text) -> None:
    model, (rows, labels) = model_of(text, QUICK, seed=1).eval(), (held_out(text, QUICK).inputs, None)
    assert labels is None
    with (
        without_head(model, 0, 0),
        without_head(model, 0, 1),
        without_head(model, 1, 0),
        without_head(model, 1, 1),
    ):
        whole, alone = model(rows), model(type(rows)(rows.ids[:, 5:6]))
    torch.testing.assert_close(whole[:, 5:6], alone)


def test_every_head_is_told_of(text: Text) -> None:
    batch = held_out(text, QUICK)
    heads = heads_of(model_of(text, QUICK, seed=1), batch, text.tokenizer.encode(" ")[0], seed=1)
    assert [(head.layer, head.head) for head in heads] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    for head in heads:
        assert sum(head.shares.values()) == pytest.approx(1, abs=1e-5)
        assert 0 < head.entropy < head.most_entropy < math.log2(QUICK.context)


def head_of(seed: int, layer: int, entropy: float = 1.0, **shares_of: float) -> Head:
    named = dict.fromkeys((*KINDS, "elsewhere"), 0.0)
    return Head(
        seed, layer, 1, named | {k.replace("_", " "): v for k, v in shares_of.items()}, entropy, 5.0, 1.0, 0.1
    )


def test_a_head_is_named_after_what_most_of_its_weight_is_on() -> None:
    assert head_of(1, 1, itself=SPECIAL + 0.1, one_before=SPECIAL).kind == "itself"
    assert head_of(1, 1, entropy=4.9, itself=0.2).kind == "everywhere"
    assert head_of(1, 1, itself=0.2).kind == "mixed"
    chosen = most_special(
        [head_of(1, 1, itself=0.9), head_of(1, 2, itself=0.8), head_of(1, 3, one_before=0.5)], 2
    )
    assert [head.layer for head in chosen] == [1, 3]


def test_findings_follow_the_figures() -> None:
    heads = [
        head_of(1, 1, itself=0.9),
        head_of(1, 2),
        head_of(2, 1, itself=0.5),
        head_of(2, 2, one_before=0.6),
    ]
    text = findings(Found(heads, [head_of(1, 1, entropy=4.0)] * 2, {}, [1.5, 1.7]))
    assert "**itself**: with 2 of 2 seeds, 1 [1–1] of 2 heads" in text
    assert "**one before**: with 1 of 2 seeds" in text
    assert "No head of any seed has so much on: two before, the last blank, " in text
    assert "Before training, 0 of 2 heads" in text


def test_a_smoke_run_fills_its_page(tmp_path: Path) -> None:
    run(Settings(quick=True, seeds=1, out=tmp_path))
    page = (tmp_path / "self-attention.md").read_text("utf-8")
    assert "<!-- table: heads -->\n\n|" in page
    for name in ("heads", "shares"):
        assert (tmp_path / "figures" / f"self-attention-{name}.svg").exists()
        assert f"figures/self-attention-{name}.svg" in PAGE
    figures = json.loads((tmp_path / "results" / "self-attention.json").read_text("utf-8"))["figures"]
    assert len(figures["heads"]) == QUICK.layers * QUICK.heads
