"""What is said of vectors is so for vectors of which it is known."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize
from tour.embedding import (
    GROUPS,
    INVENTED_GROUPS,
    QUICK,
    VARIANTS,
    findings,
    known,
    loudness,
    neighbours,
    projection,
    run,
    shape,
    togetherness,
)
from tour.learn import fresh
from tour.report import Settings
from tour.text import Text, bible, invented

from headway.data.in_memory import InMemory
from headway.text.tokenizer import TokenizerConfig, train_tokenizer

pytestmark = pytest.mark.slow

WORDS = {"one": {"a": 0, "b": 1}, "other": {"c": 2, "d": 3}}


def test_togetherness_is_whole_for_groups_apart_and_half_for_chance() -> None:
    apart = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert togetherness(apart, WORDS) == 1.0
    assert togetherness(apart[[0, 2, 1, 3]], WORDS) == 0.0
    many = {str(group): {str(word): 10 * group + word for word in range(10)} for group in range(6)}
    random = normalize(torch.randn(60, 64, generator=torch.Generator().manual_seed(1)), dim=-1)
    assert togetherness(random, many) == pytest.approx(0.5, abs=0.05)


def test_a_projection_keeps_what_lies_in_a_plane() -> None:
    flat = torch.randn(4, 2, generator=torch.Generator().manual_seed(1))
    turned = torch.linalg.qr(torch.randn(6, 2, generator=torch.Generator().manual_seed(2))).Q
    found = projection(flat @ turned.T, WORDS)
    assert {name: len(points) for name, points in found.items()} == {"one": 2, "other": 2}
    points = torch.tensor([*found["one"], *found["other"]])
    torch.testing.assert_close(torch.cdist(points, points), torch.cdist(flat, flat), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(points.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    assert points[:, 0].var() >= points[:, 1].var(), "the widest direction first"


def text_of(*texts: str) -> Text:
    tokenizer = train_tokenizer(texts, TokenizerConfig(kind="words", vocab_size=40))
    encoded = InMemory([np.array(ids) for ids in tokenizer.encode_batch(texts)])
    return Text(tokenizer, encoded, encoded)


def test_neighbours_are_words_that_are_no_rarity() -> None:
    text = text_of("king queen queen rare . . king three three")
    words = ("king", "queen", "rare", "three", ".")
    ids = {word: text.tokenizer.encode(word)[0] for word in words}
    unit = torch.zeros(text.tokenizer.vocab_size, 2)
    for word, turn in (("king", 0.0), ("rare", 0.1), ("queen", 0.2), ("three", 0.3)):
        unit[ids[word]] = torch.tensor([turn, 1.0 - turn])
    unit[text.tokenizer.encode("king .")[-1]] = torch.tensor([0.0, 1.0])
    found = neighbours(text, torch.flip(unit, (0,)), normalize(unit, dim=-1), least_count=2)
    assert found["king"]["after"][:2] == ["queen", "three"], "neither a sign, nor a rare word, nor itself"


def test_only_whole_words_of_the_vocabulary_are_known() -> None:
    text = text_of("the king saw bread")
    assert list(known(text, {"a": ("king", "emperor", "saw bread"), "b": ("nothing",)}).get("a", {})) == [
        "king"
    ]
    assert "b" not in known(text, {"b": ("nothing",)})


@pytest.mark.parametrize(("scaled", "size"), [(True, 1.0), (False, 0.02)])
def test_a_word_is_as_loud_as_the_page_says(scaled: bool, size: float) -> None:
    config = replace(shape(QUICK, 500), scale_embeddings=scaled)
    assert loudness(fresh(config, 1)) == pytest.approx(size, rel=0.05)


def test_the_invented_text_is_the_same_each_time_and_has_its_words() -> None:
    assert invented(1) == invented(1) != invented(2)
    text = bible(Settings(quick=True), vocab_size=40)
    assert known(text, INVENTED_GROUPS).keys() == INVENTED_GROUPS.keys()
    assert len(text.train) == 30 and len(text.held_out) == 10
    assert not set(GROUPS["numbers"]) & set(GROUPS["metals"])


def figures_of(after: float, losses: dict[str, float]) -> dict[str, Any]:
    return {
        "trained": [
            {"togetherness": {"before": 0.5 + change, "after": after + change}}
            for change in (-0.02, 0.0, 0.02)
        ],
        "variants": {
            name: [{"losses": [9.0, losses.get(name, 3.0) + change]} for change in (-0.1, 0.0, 0.1)]
            for name in VARIANTS
        },
    }


def test_sentences_follow_from_figures() -> None:
    found = findings(figures_of(0.8, {"tied, scaled": 2.0, "not tied, not scaled": 5.0}))
    assert "**what is used alike comes to lie together.**" in found
    assert "Scaling by √d_model: *tied, scaled* ends lower than *tied, not scaled* with every seed" in found
    assert "Tying: *tied, scaled* ends lower than *not tied, scaled*" in found
    found = findings(figures_of(0.52, {"tied, scaled": 4.0}))
    assert "does not show" in found
    assert "*tied, scaled* ends higher than *tied, not scaled*" in found
    assert "between *not tied, scaled* and *not tied, not scaled* the seeds do not decide" in found


def test_a_smoke_run_fills_its_page(tmp_path: Path) -> None:
    run(Settings(quick=True, seeds=1, out=tmp_path))
    page = (tmp_path / "embedding.md").read_text("utf-8")
    for name in ("neighbours", "variants"):
        assert f"<!-- table: {name} -->\n\n|" in page
    figures = json.loads((tmp_path / "results" / "embedding.json").read_text("utf-8"))["figures"]
    assert findings(figures) in page
    sizes = {name: runs[0]["parameters"] for name, runs in figures["variants"].items()}
    vocabulary = figures["vocabulary"]
    assert sizes["not tied, scaled"] - sizes["tied, scaled"] == vocabulary * QUICK.d_model
    assert len(list((tmp_path / "figures").glob("embedding-*.svg"))) == 2
