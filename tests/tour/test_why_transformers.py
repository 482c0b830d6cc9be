"""The task asks what it says, the opponents are equal, and the sentences follow from the figures."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from tour.learn import parameters_of
from tour.recall import Task, first_come
from tour.recurrent import RecurrentLM, hidden_for, recurrent_parameters
from tour.report import Settings
from tour.why_transformers import (
    LSTM,
    QUICK,
    TRANSFORMER,
    Sizes,
    accuracies,
    contestants,
    findings,
    run,
    timed_batch,
    train,
)

from headway.batch import NO_LABEL, Tokens
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig

pytestmark = pytest.mark.slow

TASK = Task(fillers=3, keys=12, values=4, every=4)
CONFIG = TransformerConfig(
    vocab_size=TASK.vocab_size,
    encoder_layers=0,
    decoder_layers=1,
    d_model=8,
    d_ff=8,
    dropout=0.0,
    attention=AttentionConfig(num_heads=2),
    norm=NormConfig(position="pre"),
    positions=PositionConfig(kind="none"),
)


def test_every_answer_stands_where_its_distance_says() -> None:
    batch, distances = TASK.rows(50, 40, seed=1)
    rows, places = (batch.labels != NO_LABEL).nonzero(as_tuple=True)
    far = distances[rows, places]
    facts = batch.inputs.ids[rows, places - far] - TASK.first_fact
    questions = batch.inputs.ids[rows, places] - TASK.first_question
    assert torch.equal(facts // TASK.values, questions)
    assert torch.equal(TASK.first_answer + facts % TASK.values, batch.labels[rows, places])
    assert torch.equal(distances > 0, batch.labels != NO_LABEL)


def test_nothing_but_its_one_fact_tells_an_answer() -> None:
    batch, _ = TASK.rows(50, 40, seed=2)
    for ids, labels in zip(batch.inputs.ids.tolist(), batch.labels.tolist(), strict=True):
        keys = [(each - TASK.first_fact) // TASK.values for each in ids if each >= TASK.first_fact]
        asked = [
            each - TASK.first_question for each in ids if TASK.first_question <= each < TASK.first_answer
        ]
        assert len(set(keys)) == len(keys) <= 10
        assert len(set(asked)) == len(asked) == sum(label != NO_LABEL for label in labels)
        assert set(asked) <= set(keys)
        assert not [each for each in ids if TASK.first_answer <= each < TASK.first_fact], "no answer is shown"
    answers = batch.labels[batch.labels != NO_LABEL] - TASK.first_answer
    assert (answers.bincount(minlength=TASK.values) > 0.15 * len(answers)).all(), "none is much the likeliest"


def test_a_place_goes_to_the_first_who_wants_it() -> None:
    found = first_come(torch.tensor([[3, 1, 3, 0], [2, 2, 2, 1]]), 5)
    assert found.tolist() == [[True, True, False, True], [True, False, False, True]]


def test_the_same_seed_asks_the_same() -> None:
    first, again, other = (TASK.rows(4, 20, seed) for seed in (1, 1, 2))
    assert torch.equal(first.batch.inputs.ids, again.batch.inputs.ids)
    assert torch.equal(first.batch.labels, again.batch.labels)
    assert not torch.equal(first.batch.inputs.ids, other.batch.inputs.ids)


def test_all_distances_are_asked_about_as_often() -> None:
    sizes = Sizes()
    far = Task().rows(sizes.test_rows, max(sizes.train_lengths), seed=0).distances
    counts = [int(((far >= a) & (far < b)).sum()) for a, b in pairwise(sizes.octaves)]
    assert min(counts) > 0.8 * max(counts) and min(counts) > 500
    assert int(far.max()) < sizes.octaves[-1]


def test_both_models_have_as_many_parameters() -> None:
    models = {each.name: each.make(1) for each in contestants(Task())}
    ours, theirs = (parameters_of(models[name]) for name in (TRANSFORMER, LSTM))
    assert abs(ours - theirs) < 0.02 * ours
    assert parameters_of(models[TRANSFORMER].embedding) == parameters_of(models[LSTM].embedding)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_parameters_of_an_lstm_are_those_that_torch_makes(layers: int) -> None:
    model = RecurrentLM(CONFIG, layers, 6)
    made = parameters_of(model.lstm) + parameters_of(model.back)
    assert recurrent_parameters(CONFIG, layers, 6) == made
    assert hidden_for(CONFIG, layers, made) == 6


def test_an_lstm_sees_no_future_and_all_of_the_past() -> None:
    torch.manual_seed(1)
    model = RecurrentLM(CONFIG, 1, 6).eval()
    ids = torch.randint(0, TASK.vocab_size, (1, 7))
    other = ids.clone()
    other[0, 3] = (other[0, 3] + 1) % TASK.vocab_size
    one, changed = (model(Tokens(each)) for each in (ids, other))
    torch.testing.assert_close(one[:, :3], changed[:, :3])
    assert ((one - changed).abs().amax(-1)[0, 3:] > 1e-7).all()


def test_its_forget_gates_begin_open() -> None:
    model = RecurrentLM(CONFIG, 2, 6)
    plain = 6**-0.5  # torch draws a bias from between plus and minus this
    for layer in range(2):
        both = getattr(model.lstm, f"bias_ih_l{layer}") + getattr(model.lstm, f"bias_hh_l{layer}")
        gates = both.detach().unflatten(0, (4, 6)).mean(-1)
        assert gates[1] > 1 - 2 * plain and gates[1] > max(gates[0], gates[2], gates[3])


def test_batches_of_all_lengths_that_are_timed_are_of_equal_size() -> None:
    sizes = Sizes()
    batches = [timed_batch(length, sizes, Task()) for length in sizes.lengths]
    assert {each.labels.numel() for each in batches} == {sizes.timed_tokens}
    assert [each.labels.shape[1] for each in batches] == list(sizes.lengths)


class Oracle(nn.Module):
    """Looks the answer up, but for distances from `blind` on."""

    def __init__(self, task: Task, blind: int) -> None:
        super().__init__()
        self.task, self.blind = task, blind

    def forward(self, inputs: Tokens) -> Tensor:
        found = torch.zeros(*inputs.ids.shape, self.task.vocab_size)
        for row, ids in enumerate(inputs.ids.tolist()):
            facts = {
                (each - self.task.first_fact) // self.task.values: at
                for at, each in enumerate(ids)
                if each >= self.task.first_fact
            }
            for place, each in enumerate(ids):
                at = facts.get(each - self.task.first_question)
                if each >= self.task.first_question and at is not None and place - at < self.blind:
                    found[
                        row,
                        place,
                        self.task.first_answer + (ids[at] - self.task.first_fact) % self.task.values,
                    ] = 1
        return found

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden


def test_accuracies_are_those_of_each_octave() -> None:
    questions = TASK.rows(40, 40, seed=3)
    octaves = (2, 8, 16, 32)
    assert accuracies(Oracle(TASK, 1000), questions, octaves) == [1.0, 1.0, 1.0]  # type: ignore[arg-type]
    assert accuracies(Oracle(TASK, 8), questions, octaves) == [1.0, 0.0, 0.0]  # type: ignore[arg-type]


def test_both_see_the_same_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int, int]] = []
    rows = Task.rows

    def noted(task: Task, count: int, length: int, seed: int) -> Any:
        seen.append((count, length, seed))
        return rows(task, count, length, seed)

    monkeypatch.setattr(Task, "rows", noted)
    for each in contestants(TASK):
        _, curve = train(each, 1, 1e-3, replace(QUICK, tokens=40, train_lengths=(10, 20)), TASK)
        assert curve.steps == QUICK.steps
    half = len(seen) // 2
    assert seen[:half] == seen[half:]
    assert {(count, length) for count, length, _ in seen} == {(4, 10), (2, 20)}
    assert len({seed for _, _, seed in seen}) == half, "no batch comes twice"


def figures_of(ours: list[float], theirs: list[float], speeds: list[float]) -> dict[str, Any]:
    """Three seeds that differ a little, and an LSTM with a speed of 100."""
    runs = {
        name: [{"accuracy": [share + change for share in shares], "steps": 10} for change in (-0.01, 0, 0.01)]
        for name, shares in ((TRANSFORMER, ours), (LSTM, theirs))
    }
    return {
        "distances": ["8–15", "16–31"],
        "trained": runs,
        "lengths": [64, 2048],
        "tokens_per_second": {TRANSFORMER: [[speed] for speed in speeds], LSTM: [[100.0], [100.0]]},
    }


@pytest.mark.parametrize(
    ("shares", "speeds", "told"),
    [
        (
            ([1.0, 0.95], [0.9, 0.3]),
            [200, 300],
            [
                "at distances 8–15, 16–31.",
                "half of the Transformer's at distances 16–31.",
                "about distance holds here",
                "2.0 times",
                "3.0 times",
                "parallel training holds here",
            ],
        ),
        (
            ([0.5, 0.5], [0.9, 0.5]),
            [50, 300],
            [
                "at none of the distances.",
                "At no distance is",
                "about distance does not hold",
                "holds in part",
                "at 2048 tokens alone",
            ],
        ),
        (
            ([0.5, 0.4], [0.9, 0.9]),
            [50, 50],
            ["about distance does not hold", "parallel training does not hold"],
        ),
        (([0.9, 0.9], [0.2, 0.2]), [50, 50], ["distance is not what makes the difference"]),
    ],
)
def test_sentences_follow_from_figures(
    shares: tuple[list[float], list[float]], speeds: list[float], told: list[str]
) -> None:
    found = findings(figures_of(*shares, speeds))
    for each in told:
        assert each in found


def test_a_smoke_run_fills_its_page(tmp_path: Path) -> None:
    run(Settings(quick=True, seeds=1, out=tmp_path))
    page = (tmp_path / "why-transformers.md").read_text("utf-8")
    for name in ("recall", "training", "speed"):
        assert f"<!-- table: {name} -->\n\n|" in page
    figures = json.loads((tmp_path / "results" / "why-transformers.json").read_text("utf-8"))["figures"]
    assert all(0 <= share <= 1 for runs in figures["trained"].values() for share in runs[0]["accuracy"])
    assert figures["trained"][LSTM][0]["steps"] == figures["trained"][TRANSFORMER][0]["steps"] == QUICK.steps
    assert findings(figures) in page
    assert len(list((tmp_path / "figures").glob("why-transformers-*.svg"))) == 2
