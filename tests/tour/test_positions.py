"""Order is nothing without positions; the tasks ask what they say; the run fills its page."""

import json
from pathlib import Path

import pytest
import torch
from tour.positions import (
    BACK,
    KINDS,
    QUICK,
    TASKS,
    VALUES,
    Kind,
    accuracy_by_place,
    accuracy_in,
    felt_by_decoder,
    felt_by_encoder,
    findings,
    last_marked,
    model_of,
    run,
    smoothed,
    some_back,
    stretches,
)
from tour.report import PAGES, Settings

from headway.batch import NO_LABEL, Batch, Tokens

pytestmark = pytest.mark.slow

ROUNDING = 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_an_encoder_feels_order_unless_it_has_no_positions(kind: Kind) -> None:
    assert (felt_by_encoder(kind, seed=1) < ROUNDING) == (kind == "none")


@pytest.mark.parametrize("kind", KINDS)
def test_a_causal_mask_tells_order_from_the_second_layer_on(kind: Kind) -> None:
    assert (felt_by_decoder(kind, 1, seed=1) < ROUNDING) == (kind == "none")
    assert felt_by_decoder(kind, 2, seed=1) > 1e-3


def test_three_back_is_three_back() -> None:
    batch = some_back(3, 10, torch.Generator().manual_seed(1))
    assert (batch.labels[:, :BACK] == NO_LABEL).all()
    for row, labels in zip(batch.inputs.ids.tolist(), batch.labels.tolist(), strict=True):
        assert labels[BACK:] == row[:-BACK]


def test_the_last_marked_value_is_asked_for_where_one_came_before() -> None:
    batch = last_marked(8, 40, torch.Generator().manual_seed(1))
    asked = 0
    for row, labels in zip(batch.inputs.ids.tolist(), batch.labels.tolist(), strict=True):
        last = NO_LABEL
        for token, label in zip(row, labels, strict=True):
            if token >= VALUES:
                last = token - VALUES
                assert label == NO_LABEL, "a marked token asks nothing"
            else:
                assert label == last
                asked += label != NO_LABEL
    assert asked


def test_accuracy_at_a_place_is_that_of_a_row_that_ends_there() -> None:
    model = model_of("rotary", QUICK, seed=1)
    batch = some_back(20, 12, torch.Generator().manual_seed(1))
    whole = accuracy_by_place(model, batch)
    for length in (5, 9):
        part = Batch(Tokens(batch.inputs.ids[:, :length]), batch.labels[:, :length])
        assert accuracy_by_place(model, part) == whole[:length]
    assert whole[:BACK] == [None] * BACK
    assert all(0 <= share <= 1 for share in whole[BACK:] if share is not None)


def test_what_is_always_right_is_counted_as_right() -> None:
    batch = some_back(4, 8, torch.Generator().manual_seed(1))
    model = model_of("none", QUICK, seed=1)
    model.logits = lambda hidden: torch.nn.functional.one_hot(batch.labels.clamp(min=0), 16).float()  # type: ignore[method-assign]
    assert accuracy_by_place(model, batch) == [None] * BACK + [1.0] * (8 - BACK)


def test_stretches_cover_every_place_once() -> None:
    found = stretches(QUICK)
    assert found == [(1, 8), (9, 16), (17, 32)]
    assert accuracy_in([None, 0.5, 1.0, 0.0], 1, 3) == 0.75
    run_of = [None, *([1.0] * 31)]
    assert {value for _, value in smoothed(run_of)} == {1.0}
    places = [place for place, _ in smoothed(run_of)]
    assert places == sorted(places) and places[-1] <= 32


def test_findings_follow_the_figures() -> None:
    held = {"alibi": [0.95, 0.93, 0.92], "rotary": [1.0, 0.9, 0.4], "none": [0.2, 0.2, 0.2]}
    by_place = {
        kind: [
            [
                each
                for each, width in zip(held.get(kind, held["none"]), (8, 8, 16), strict=True)
                for _ in range(width)
            ]
        ]
        for kind in KINDS
    }
    figures = {"stretches": stretches(QUICK), "accuracy_by_place": dict.fromkeys(TASKS, by_place)}
    first, second, *_ = findings(figures).splitlines()
    assert first.replace("Three back", "") == second.replace("Last marked", "")
    assert "(at least 90% right): rotary, alibi; not learned: none, sinusoidal, learned, relative." in first
    assert "kept out to 32 places: alibi; lost: rotary (down to 40%)." in first


def test_a_smoke_run_fills_its_page(tmp_path: Path) -> None:
    run(Settings(quick=True, seeds=1, out=tmp_path))
    page = (tmp_path / "positions.md").read_text("utf-8")
    for name in ("law", "three-back", "last-marked"):
        assert f"<!-- table: {name} -->\n\n|" in page
    for name in ("accuracy", "waves"):
        assert (tmp_path / "figures" / f"positions-{name}.svg").exists()
        assert f"figures/positions-{name}.svg" in (PAGES / "positions.md").read_text("utf-8")
    figures = json.loads((tmp_path / "results" / "positions.json").read_text("utf-8"))["figures"]
    assert all(len(figures["accuracy_by_place"][task][kind]) == 1 for task in TASKS for kind in KINDS)
    assert len(figures["relative_bias"]) == 4
