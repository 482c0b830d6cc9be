"""Without the causal mask the answer is read off; with it, it cannot be. Hidden padding changes nothing."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from tour.attention_masking import (
    NAMES,
    QUICK,
    Size,
    bits,
    continued,
    guessed_in_steps,
    repeated,
    run,
    surprise,
    train,
)
from tour.learn import score
from tour.padding import PADDED, beside_padding, padded
from tour.report import PAGES, Settings
from tour.text import Text, bible
from tour.unmasked import seeing

from headway.batch import Tokens
from headway.data.in_memory import InMemory
from headway.model.architectures import CausalLM, build
from headway.model.backends import sdpa
from headway.model.presets import preset_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def text() -> Text:
    return bible(Settings(quick=True), vocab_size=280, kind="bpe")


def model_of(kind: str = "causal-small") -> CausalLM:
    layers = "decoder_layers" if kind.startswith("causal") else "encoder_layers"
    return build(preset_config(kind, 30, {layers: 2, "d_model": 16, "d_ff": 24})).eval()  # type: ignore[return-value]


@torch.no_grad()
def test_the_future_is_seen_inside_the_block_only() -> None:
    model, ids = model_of(), torch.arange(5, 11)[None]
    other = ids.clone()
    other[:, -1] += 1

    def differ() -> bool:
        return not torch.equal(model(Tokens(ids))[:, :-1], model(Tokens(other))[:, :-1])

    assert not differ()
    with seeing(model, future=True):
        assert differ()
    with seeing(model, future=False):
        assert not differ()
    assert not differ() and model.decoder.backend is sdpa


@pytest.fixture
def shapes_unchecked() -> Iterator[None]:
    """Hundreds of passes of shapes that the laws of the models check."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.mark.usefixtures("shapes_unchecked")
def test_what_nobody_can_predict_is_learned_where_it_can_be_seen(text: Text) -> None:
    chance = np.random.default_rng(1)
    texts = [chance.integers(5, 15, 200) for _ in range(40)]
    noise = Text(text.tokenizer, InMemory(texts[:30]), InMemory(texts[30:]))
    size = Size(d_model=32, row=8, tokens=128, steps=110, rate=2e-2)
    rows = torch.from_numpy(np.stack([ids[:8] for ids in noise.held_out.targets]))
    fair = math.log(10)
    for masked in (True, False):
        learned = train(noise, size, masked, seed=1)
        late = learned.curve.losses[-1]
        assert late > 0.9 * fair if masked else late < 0.8 * fair
        assert guessed_in_steps(learned.model, rows) < 0.4, "chance is one in ten"
        assert surprise(learned.model, rows) > 0.9 * bits(fair)


@torch.no_grad()
def test_read_step_by_step_is_read_with_the_mask() -> None:
    model, rows = model_of(), torch.randint(5, 30, (4, 8))
    logits = model.logits(model(Tokens(rows))).argmax(dim=2)
    assert guessed_in_steps(model, rows) == float((logits[:, 3:-1] == rows[:, 4:]).float().mean())


def test_what_a_model_writes_continues_the_beginnings(text: Text) -> None:
    model = build(preset_config("causal-small", 280, {"decoder_layers": 1, "d_model": 16, "d_ff": 24})).eval()
    rows = torch.randint(5, 280, (3, 10))
    written = continued(model, rows, text)  # type: ignore[arg-type]
    assert written.shape == rows.shape and torch.equal(written[:, :5], rows[:, :5])
    assert not (written == text.tokenizer.special.end).any()


def test_repetition_is_counted_in_second_halves() -> None:
    rows = torch.tensor([[9] * 8 + [1, 2, 3, 4, 1, 2, 3, 4], [9] * 8 + [1, 2, 3, 4, 5, 6, 7, 8]])
    assert repeated(rows) == 1 / 10


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("kind", ["causal-small", "masked-small"])
def test_hidden_padding_changes_no_number(kind: str, left: bool) -> None:
    model, rows = model_of(kind), torch.randint(5, 30, (3, 7))
    losses = [score(model, [beside_padding(rows, n, 0, left=left, hidden=True)]).loss for n in (0, 1, 40)]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)
    seen = score(model, [beside_padding(rows, 40, 0, left=left, hidden=False)]).loss
    assert (seen == pytest.approx(losses[0], rel=1e-5)) == (kind == "causal-small" and not left)


def test_of_all_ways_of_padding_those_that_see_it_change() -> None:
    models, rows = {True: model_of(), False: model_of()}, torch.randint(5, 30, (3, 7))
    found = padded(rows, (0, 20), 0, models)
    assert set(found) == set(PADDED)
    changed = {name for name, (alone, beside) in found.items() if beside != pytest.approx(alone, rel=1e-5)}
    assert changed == {"causal, padding on the left, seen", "sees both sides, padding on the right, seen"}


def test_a_smoke_run_fills_its_page(tmp_path: Path) -> None:
    run(Settings(quick=True, seeds=1, out=tmp_path))
    page = (tmp_path / "attention-masking.md").read_text("utf-8")
    for name in ("leak", "written", "padding"):
        assert f"<!-- table: {name} -->\n\n|" in page
    for name in ("leak", "padding"):
        assert (tmp_path / "figures" / f"attention-masking-{name}.svg").exists()
        assert f"figures/attention-masking-{name}.svg" in (PAGES / "attention-masking.md").read_text("utf-8")
    figures = json.loads((tmp_path / "results" / "attention-masking.json").read_text("utf-8"))["figures"]
    assert {len(curve) for curves in figures["curves"].values() for curve in curves} == {QUICK.steps}
    assert set(figures["curves"]) == set(figures["measures"]) == set(NAMES.values())
