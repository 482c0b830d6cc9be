"""The proof sees every kind of difference, and nothing where there is none."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from headway.bundle import Bundle
from headway.errors import UserError
from headway.interop import proof
from headway.interop.proof import EXACT, Demand, Proof, Row, Texts, generated_texts, prove
from headway.interop.proof import _Ours as Ours  # the double of our own side
from headway.model.config import AttentionConfig, PositionConfig, TransformerConfig
from tests.interop.random_models import bundle_of

SIZES: dict[str, Any] = {
    "vocab_size": 1,
    "d_model": 16,
    "d_ff": 24,
    "attention": AttentionConfig(num_heads=2),
}
SHAPES = {
    "encoder-decoder": TransformerConfig(**SIZES, encoder_layers=1, decoder_layers=1, source_vocab_size=1),
    "decoder": TransformerConfig(**SIZES, encoder_layers=0, decoder_layers=1),
    "encoder": TransformerConfig(**SIZES, encoder_layers=1, decoder_layers=0),
}
TEXTS = Texts(["".join(letters) for letters in zip("mnop", "nopq", "abcd", strict=True)], "letters")


@dataclass
class Double:
    """Our own model once more, with something changed."""

    bundle: Bundle
    change_logits: Callable[[Tensor], Tensor] = lambda logits: logits
    change_text: Callable[[list[int]], list[int]] = lambda ids: ids
    change_tokens: Callable[[list[int]], list[int] | None] = lambda ids: ids
    name: str = "the double"

    def __post_init__(self) -> None:
        self.ours = Ours(self.bundle)

    def measure(self, row: Row) -> Tensor:
        return self.change_logits(self.ours.measure(row))

    def search(self, row: Row, beams: int, longest: int) -> list[int] | None:
        return self.change_text(self.ours.search(row, beams))

    def encode(self, text: str) -> list[int] | None:
        return self.change_tokens(self.ours.framed(text))


def ending_soon(config: TransformerConfig) -> Bundle:
    """A random model that likes to end a text, so that searches are short."""
    bundle = bundle_of(replace(config, output_bias=True), roughness=0.5)
    with torch.no_grad():
        bundle.model.output.bias[bundle.tokenizers.target.special.end] += 4
    return bundle


def proof_of(architecture: str, demand: Demand = EXACT, **changes: Any) -> Proof:
    bundle = ending_soon(SHAPES[architecture])
    return prove(bundle, Double(bundle, **changes), TEXTS, demand)


@pytest.mark.parametrize("architecture", SHAPES)
def test_the_same_model_is_proved(architecture: str) -> None:
    found = proof_of(architecture)
    assert found.failures == []
    assert found.difference == 0
    assert found.greedy == found.tokens == 1
    assert found.beam == (None if architecture == "encoder" else 1)
    assert found.texts == 4
    assert any("4 texts, letters" in line for line in found.lines())


@pytest.mark.parametrize("architecture", SHAPES)
def test_a_logit_that_differs_is_seen(architecture: str) -> None:
    found = proof_of(
        architecture, change_logits=lambda logits: logits + 1e-3 * logits.max() * torch.eye(*logits.shape)
    )
    assert "logits differ" in found.failures[0]


@pytest.mark.parametrize("architecture", SHAPES)
def test_what_is_no_number_fails(architecture: str) -> None:
    found = proof_of(architecture, change_logits=lambda logits: logits * torch.nan)
    assert "logits differ" in found.failures[0]


@pytest.mark.parametrize("architecture", ["encoder-decoder", "decoder"])
def test_an_output_that_differs_is_seen(architecture: str) -> None:
    found = proof_of(architecture, change_text=lambda ids: [*ids[:-1], 7 if ids[-1:] != [7] else 8])
    assert [failure.partition(" of the ")[2] for failure in found.failures] == [
        "greedy outputs are the same",
        "best beams are the same",
    ]


def test_fillings_that_differ_are_seen() -> None:
    found = proof_of("encoder", Demand(difference=9.0), change_logits=lambda logits: -logits)
    assert found.failures == ["only 0.0% of the greedy outputs are the same"]


def test_other_tokens_are_seen_and_none_are_not_asked_for() -> None:
    found = proof_of("decoder", change_tokens=lambda ids: ids[1:])
    assert found.failures == ["only 0.0% of the texts become the same tokens"]
    assert proof_of("decoder", change_tokens=lambda _: None).tokens is None


def test_a_coarser_demand_accepts_more() -> None:
    changes: dict[str, Any] = {"change_logits": lambda logits: logits + 0.01}
    assert proof_of("decoder", **changes).failures
    assert not proof_of("decoder", Demand(difference=0.1), **changes).failures


def test_log_probabilities_are_compared_where_there_are_no_logits() -> None:
    bundle = ending_soon(SHAPES["decoder"])

    class Silent(Double):
        def measure(self, row: Row) -> Tensor:
            log_probs = self.ours.measure(row).log_softmax(dim=-1)
            return self.change_logits(log_probs.gather(1, torch.tensor(row.labels)[:, None])[:, 0])

    assert not prove(bundle, Silent(bundle), TEXTS).failures
    assert prove(bundle, Silent(bundle, lambda each: each + 0.01), TEXTS).failures


def test_equally_likely_outputs_are_both_right() -> None:
    bundle = ending_soon(SHAPES["decoder"])
    with torch.no_grad():  # two tokens that no model can tell apart
        bundle.model.embedding.tokens.weight[6] = bundle.model.embedding.tokens.weight[5]
    swapped = Double(bundle, change_text=lambda ids: [{5: 6, 6: 5}.get(each, each) for each in ids])
    found = prove(bundle, swapped, Texts(["aaaa", "abab", "bbab"], "ties"))
    assert found.greedy == found.beam == 1


def test_texts_that_do_not_fit_are_left_out() -> None:
    config = replace(SHAPES["decoder"], positions=PositionConfig(kind="learned", max_length=8))
    bundle = ending_soon(config)
    found = prove(bundle, Double(bundle), Texts(["a" * 30, "abcd", "", "  abcd  "], "some"))
    assert found.texts == 1
    with pytest.raises(UserError, match="no line of the text has tokens and fits"):
        prove(bundle, Double(bundle), Texts(["a" * 30, ""], "none"))


@pytest.mark.parametrize("architecture", SHAPES)
def test_generated_text_serves_and_says_so(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "ROWS", 2)
    bundle = ending_soon(SHAPES[architecture])
    texts = generated_texts(bundle)
    assert "not real text" in texts.origin
    assert prove(bundle, Double(bundle), texts).failures == []
