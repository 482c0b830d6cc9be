"""Layers' guesses: those of the last layer are the model's own."""

import pytest
import torch

from headway.inspection.guesses import layer_guesses
from headway.inspection.reading import read
from headway.model.config import NormConfig

from .bundles import LAYERS, TEXT, bundle_of, source_of


@pytest.mark.parametrize("position", ["post", "pre"])
@pytest.mark.parametrize("kind", ["pairs", "causal", "masked"])
def test_the_last_layers_guesses_are_the_models(kind: str, position: str) -> None:
    bundle = bundle_of(kind, norm=NormConfig(position=position))  # type: ignore[arg-type]
    row, layers = layer_guesses(bundle, source_of(kind), TEXT)
    assert len(layers) == (LAYERS[kind][0] if kind == "masked" else LAYERS[kind][1])
    reading = read(bundle, source_of(kind), TEXT)
    tokenizer = bundle.tokenizers.target
    with torch.no_grad():
        logits = bundle.model.logits(bundle.model(reading.inputs, reading.source_inputs))[0]
    best = logits[:, : tokenizer.vocab_size].softmax(-1).topk(5)
    assert [[text for text, _ in each] for each in layers[-1]] == [
        tokenizer.pieces(ids) for ids in best.indices.tolist()
    ]
    values = torch.tensor([[value for _, value in each] for each in layers[-1]])
    assert torch.allclose(values, best.values)
    assert len(row.tokens) == len(values)


def test_layers_differ_and_each_guess_is_a_probability() -> None:
    _, layers = layer_guesses(bundle_of("causal"), None, TEXT, count=3)
    assert layers[0] != layers[1]
    for guesses in (each for layer in layers for each in layer):
        assert len(guesses) == 3
        values = [value for _, value in guesses]
        assert values == sorted(values, reverse=True)
        assert 0 < sum(values) <= 1


def test_no_hook_stays() -> None:
    bundle = bundle_of("causal")
    layer_guesses(bundle, None, TEXT)
    assert not any(module._forward_hooks for module in bundle.model.modules())
