"""Every law holds of models as they are, and catches one that breaks it."""

from dataclasses import replace
from itertools import product

import pytest
import torch

from headway.batch import Tokens
from headway.decoding.ensemble import Ensemble
from headway.decoding.hypothesis import Hypothesis
from headway.decoding.settings import SearchConfig
from headway.decoding.steps import CachedSteps
from headway.model import architectures
from headway.model.config import AttentionConfig, NormConfig, PositionConfig
from headway.model.mask import AttentionMask
from headway.model.positions import Positions
from headway.verification import keeping, visibility
from headway.verification import subject as subject_module
from headway.verification.invariance import cached_as_uncached, padding_and_batch, same_output
from headway.verification.keeping import finite_numbers, saved_and_loaded
from headway.verification.searching import beam_below_greedy
from headway.verification.subject import Subject
from headway.verification.verify import COMPUTED
from headway.verification.visibility import both_sides_seen, documents_apart, no_future_leak, source_seen

from .models import backend_that, broken, stack_of, subject_of

SHAPES = {
    "sinusoidal": (),
    "short table": (PositionConfig(kind="learned", max_length=20), NormConfig(position="pre")),
    "rotary, local": (PositionConfig(kind="rotary"), AttentionConfig(window=2, global_every=2)),
    "alibi, shared keys": (PositionConfig(kind="alibi"), AttentionConfig(num_kv_heads=2)),
    "relative": (PositionConfig(kind="relative"), NormConfig(kind="rms", position="pre")),
}


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in {"ROWS": 2, "LONGEST": 12, "MOST_WRITTEN": 4}.items():
        monkeypatch.setattr(subject_module, name, most)
    monkeypatch.setattr(visibility, "CUTS", 3)


FAST = [("pairs", "rotary, local"), ("causal", "short table"), ("masked", "alibi, shared keys")]
REST = [each for each in product(("pairs", "causal", "masked"), SHAPES) if each not in FAST]


@pytest.mark.parametrize(
    ("kind", "shape"), [*FAST, *(pytest.param(*each, marks=pytest.mark.slow) for each in REST)]
)
def test_laws_hold_of_every_shape(kind: str, shape: str) -> None:
    subject = subject_of(kind, *SHAPES[shape])
    for check in (finite_numbers, *COMPUTED[subject.architecture]):
        law = check(subject)
        assert law.holds is (None if check is beam_below_greedy else True), law


@pytest.mark.parametrize("kind", ["pairs", "causal"])
@pytest.mark.parametrize("change", ["no mask", "one ahead"])
def test_a_leak_of_the_future_is_caught(kind: str, change: str) -> None:
    subject = subject_of(kind)

    def leaky(mask: AttentionMask) -> AttentionMask:
        if change == "no mask":
            return replace(mask, causal=False)
        return replace(mask, offset=mask.offset + 1) if mask.causal else mask

    stack_of(subject.bundle, "decoder").backend = backend_that(leaky)
    line = broken(no_future_leak(subject))
    assert "every later token changed" in line
    assert "is accepted" in line


@pytest.mark.parametrize(
    ("kind", "stack"), [("pairs", "encoder"), ("pairs", "decoder"), ("masked", "encoder")]
)
def test_padding_and_documents_that_are_seen_are_caught(kind: str, stack: str) -> None:
    subject = subject_of(kind)
    blind = backend_that(lambda mask: replace(mask, query_segments=None, key_segments=None))
    stack_of(subject.bundle, stack).backend = blind
    assert "rows alone, padded, and in another order" in broken(padding_and_batch(subject))
    assert "rows of two documents against each alone" in broken(documents_apart(subject))


def test_documents_of_a_decoder_that_see_each_other_are_caught() -> None:
    subject = subject_of("causal")
    blind = backend_that(lambda mask: replace(mask, query_segments=None, key_segments=None))
    stack_of(subject.bundle, "decoder").backend = blind
    broken(documents_apart(subject))
    assert padding_and_batch(subject).holds, "there causality hides the padding"


def test_an_encoder_that_sees_one_side_only_is_caught() -> None:
    subject = subject_of("masked")
    stack_of(subject.bundle, "encoder").backend = backend_that(lambda mask: replace(mask, causal=True))
    law = both_sides_seen(subject)
    assert law.figures["right"] == 0
    assert "after it by 0 (medians of 2" in broken(law)


def test_a_source_that_is_not_seen_is_caught() -> None:
    subject = subject_of("pairs")
    for name, parameter in subject.bundle.model.named_parameters():
        if "memory_attention.output" in name:
            parameter.data.zero_()
    assert "another source" in broken(source_seen(subject))


@pytest.mark.parametrize("kind", ["pairs", "causal"])
def test_a_cache_that_is_one_off_is_caught(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Only steps make positions so; a whole pass has them from `positions_of`.
    monkeypatch.setattr(architectures, "Positions", lambda index, bound: Positions(index + 1, bound + 1))
    assert "steps with kept keys and values against one pass" in broken(cached_as_uncached(subject_of(kind)))


def test_rows_of_a_cache_that_are_mixed_up_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = CachedSteps.keep
    monkeypatch.setattr(CachedSteps, "keep", lambda self, rows: keep(self, rows.flip(0)))
    broken(cached_as_uncached(subject_of("causal")))


def test_an_output_that_depends_on_its_batch_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Ensemble.begin

    def turned(self: Ensemble, *given: object) -> object:
        steps, first = begin(self, *given)  # type: ignore[arg-type]
        return steps, first.roll(1, dims=0)

    monkeypatch.setattr(Ensemble, "begin", turned)
    line = broken(same_output(subject_of("causal")))
    assert "of 2 greedy outputs the same" in line


def test_a_filling_that_depends_on_its_batch_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    log_probs = Ensemble.log_probs
    monkeypatch.setattr(Ensemble, "log_probs", lambda *given: log_probs(*given).roll(1, dims=0))
    assert "blanks filled the same" in broken(same_output(subject_of("masked")))


def test_equally_likely_outputs_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    turn = iter(range(9))

    def one_or_other(*_: object) -> list[Hypothesis]:
        token, likelihood = (7, -1.0) if next(turn) % 2 else (8, -1.0 + 1e-7)
        return [Hypothesis([5, token], "", 0, True, [-0.5, likelihood, -3.0])]

    subject = subject_of("causal")
    monkeypatch.setattr(subject, "prompts", ["a"])
    monkeypatch.setattr(subject, "search", one_or_other)
    assert same_output(subject).holds
    monkeypatch.setattr(subject, "spread", 1e-4)
    assert not same_output(subject).holds


def test_a_model_that_is_not_what_was_saved_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    load = keeping.load_bundle

    def changed(*given: object) -> object:
        bundle = load(*given)  # type: ignore[arg-type]
        bundle.model.output.weight.data[0, 0] += 1e-7
        return bundle

    monkeypatch.setattr(keeping, "load_bundle", changed)
    line = broken(saved_and_loaded(subject_of("causal")))
    assert "32 of 34 tensors the same bits" in line


def test_weights_that_lie_otherwise_in_memory_are_the_same_model() -> None:
    subject = subject_of("causal")
    weight = subject.bundle.model.output.weight
    weight.data = weight.data.t().contiguous().t()
    assert saved_and_loaded(subject).holds
    assert not weight.is_contiguous(), "it is left as it was"


def test_a_weight_that_is_no_number_is_named() -> None:
    subject = subject_of("masked")
    subject.bundle.model.get_parameter("encoder.layers.1.feed_forward.inner.weight").data[0, 0] = torch.nan
    line = broken(finite_numbers(subject))
    assert "encoder.layers.1.feed_forward.inner.weight is not finite" in line


def test_inputs_that_give_no_number_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = subject_of("masked")
    forward = type(subject.bundle.model).forward

    def fails_when_empty(self: torch.nn.Module, inputs: Tokens, source: Tokens | None = None) -> torch.Tensor:
        hidden = forward(self, inputs, source)  # type: ignore[arg-type]
        return hidden * torch.nan if inputs.ids.shape[1] == 2 else hidden

    monkeypatch.setattr(type(subject.bundle.model), "forward", fails_when_empty)
    assert "the emptiest input, of 0 tokens, gives what is no number" in broken(finite_numbers(subject))


def test_numbers_that_overflow_in_a_text_are_told() -> None:
    subject = subject_of("pairs")
    model = subject.bundle.model
    model.output.weight.data[:] = 3e38
    assert "no number" in broken(finite_numbers(subject))


def test_beams_below_greedy_are_counted_and_break_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[SearchConfig] = []

    def found(self: Subject, texts: object, search: SearchConfig) -> list[Hypothesis]:
        asked.append(search)
        scores = (-1.0, -2.0, -3.0) if search.method == "greedy" else (-1.5, -2.0, -1.0)
        return [Hypothesis([], "", score, True, [score]) for score in scores]

    monkeypatch.setattr(Subject, "search", found)
    subject = subject_of("causal")
    monkeypatch.setattr(subject, "prompts", ["a", "b", "c"])
    law = beam_below_greedy(subject)
    assert law.holds is None
    assert (law.figures["below"], law.figures["above"], law.figures["share"]) == (1, 1, 1 / 3)
    assert "less likely than the greedy output for 1 of 3 texts (33.3%)" in law.found
    assert {search.length_penalty for search in asked} == {0.0}
