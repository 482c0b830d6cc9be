"""A blank is judged by the context that is left to it alone, and sentences say what figures say."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tour.masked_language_modelling import (
    QUICK,
    Ablation,
    Blanks,
    Found,
    blanks_of,
    cut_away,
    findings,
    in_pieces,
    run,
)
from tour.report import PAGES, Settings
from tour.text import Text, bible

from headway.batch import Tokens
from headway.data.in_memory import InMemory
from headway.model.architectures import build
from headway.model.presets import preset_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def text() -> Text:
    return bible(Settings(quick=True), vocab_size=60)


def test_pieces_are_the_texts_and_each_length_has_its_share_of_the_tokens() -> None:
    texts = InMemory([np.arange(start, start + 30_000) for start in (0, 10**6)])
    pieces = in_pieces(texts, 64, seed=1).targets
    assert np.array_equal(np.concatenate(pieces), np.concatenate(texts.targets))
    lengths = np.array([len(piece) for piece in pieces])
    assert lengths.min() == 1 and lengths.max() == 64
    shares = [lengths[(lengths > low) & (lengths <= low + 16)].sum() / 60_000 for low in (0, 16, 32, 48)]
    assert np.allclose(shares, 0.25, atol=0.04)


def test_to_cut_the_far_tokens_away_is_to_hide_them(text: Text) -> None:
    changes = {"encoder_layers": 2, "d_model": 16, "d_ff": 24}
    model = build(preset_config("masked-small", text.tokenizer.vocab_size, changes)).eval()
    special, rows = text.tokenizer.special, torch.randint(5, text.tokenizer.vocab_size, (3, 9))
    blanks = Blanks(rows, torch.ones(3, dtype=torch.bool))
    _, bits = cut_away(text, model, blanks, 2)

    near = torch.cat((rows[:, 2:4], torch.full((3, 1), special.mask), rows[:, 5:7]), dim=1)
    framed = torch.tensor([special.whole(row) for row in near.tolist()])
    whole = torch.cat((rows[:, :2], framed, rows[:, 7:]), dim=1)
    segments = torch.tensor([[1] * 2 + [2] * 7 + [3] * 2]).expand(3, -1)
    with torch.no_grad():
        log_probs = model.logits(model(Tokens(whole, segments))[:, 5]).log_softmax(dim=1)
    torch.testing.assert_close(bits, -log_probs.gather(1, rows[:, 4:5])[:, 0] / math.log(2))
    assert not torch.allclose(bits, cut_away(text, model, blanks, 3)[1], atol=1e-6), "more context tells more"


def test_blanks_are_held_out_words_with_all_their_context(text: Text) -> None:
    blanks = blanks_of(text, QUICK)
    assert blanks.rows.shape == (QUICK.blanks, 2 * max(QUICK.reaches) + 1)
    assert not (blanks.hidden == text.tokenizer.special.unknown).any()
    held_out = [ids.tolist() for ids in text.held_out.targets]
    width = blanks.rows.shape[1]
    windows = {tuple(ids[at : at + width]) for ids in held_out for at in range(len(ids) - width + 1)}
    assert {tuple(row) for row in blanks.rows.tolist()} <= windows


def found_of(bits: torch.Tensor) -> Found:
    """Blanks [seeds, reaches, N] of such bits; of two masking rates the second is better for every seed."""
    ablation = Ablation(bits < 1, bits, torch.arange(bits.shape[2]) % 2 == 0)
    return Found({0.15: [(10.0, 5.0), (12.0, 5.0)], 0.5: [(20.0, 4.0), (21.0, 4.0)]}, ablation)


def test_sentences_follow_the_figures() -> None:
    noise = torch.rand(2, 1, 400) * 1e-3
    falling = noise + torch.tensor([4.0, 3.0, 0.5])[None, :, None]
    said = findings(QUICK, found_of(falling))
    assert "50% of masking guesses most and 15% least" in said
    assert "higher for every seed (+9.5 points between the medians)" in said
    assert "either side: 2, 6. For these it cannot be said: none." in said
    assert "What a blank costs: lower for every seed (-2.500 bits between the medians)" in said
    assert "guessed of all blanks: higher for every seed (+100.0 points" in said
    said = findings(QUICK, found_of(falling.flip(1)))
    assert "either side: none. For these it cannot be said: 2, 6." in said
    assert "What a blank costs: higher for every seed (+1.000 bits between the medians)" in said


def test_a_gain_is_that_of_the_same_blanks() -> None:
    bits = torch.rand(2, 2, 50, generator=torch.Generator().manual_seed(1))
    bits[:, 1] = bits[:, 0] - 0.25
    mean, low, high = found_of(bits).ablation.gain(1)
    assert low == pytest.approx(0.25, abs=1e-6) == mean == pytest.approx(high, abs=1e-6)


def test_a_smoke_run_fills_its_page(tmp_path: Path) -> None:
    run(Settings(quick=True, seeds=1, out=tmp_path))
    page = (tmp_path / "masked-language-modelling.md").read_text("utf-8")
    for name in ("rates", "context"):
        assert f"<!-- table: {name} -->\n\n|" in page
        assert (tmp_path / "figures" / f"masked-language-modelling-{name}.svg").exists()
        assert (
            f"figures/masked-language-modelling-{name}.svg"
            in (PAGES / "masked-language-modelling.md").read_text()
        )
    figures = json.loads((tmp_path / "results" / "masked-language-modelling.json").read_text("utf-8"))
    assert [each["reach"] for each in figures["figures"]["context"]] == list(QUICK.reaches)
