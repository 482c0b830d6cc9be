"""What each layer would say, were it the last: the output head read after every layer."""

import torch

from headway.bundle import Bundle
from headway.inspection.capture import capture_layers, twin
from headway.inspection.reading import Row, read
from headway.model.stack import Stack

Guesses = list[tuple[str, float]]
"""Tokens with their probabilities, the likeliest first."""


def layer_guesses(
    bundle: Bundle, source: str | None, text: str, count: int = 5
) -> tuple[Row, list[list[Guesses]]]:
    """What was read, and for each layer and each position its `count` likeliest tokens.

    A decoder guesses the token after each position, a masked model the token at it. Layers before the last
    were never trained to be read so, and what stands last is what the model says.
    """
    reading = read(bundle, source, text)
    model = twin(bundle.model)
    stack = model.get_submodule("encoder" if bundle.architecture == "encoder" else "decoder")
    assert isinstance(stack, Stack)
    tokenizer = bundle.tokenizers.target
    layers = []
    with torch.no_grad(), capture_layers(stack) as found:
        model(reading.inputs, reading.source_inputs)
        for hidden in found:
            logits = model.logits(stack.norm(hidden[0])).float()[:, : tokenizer.vocab_size]
            best = logits.softmax(-1).topk(min(count, logits.shape[-1]))
            layers.append(
                [
                    list(zip(tokenizer.pieces(ids), values, strict=True))
                    for ids, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
                ]
            )
    return reading.target, layers
