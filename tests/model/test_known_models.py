"""Presets named after published models have as many parameters as transformers' classes of these models."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
import torch
import transformers
from torch import nn

from headway.model.architectures import build
from headway.model.presets import KNOWN, preset_config


class Published(NamedTuple):
    """A model that others have published, and what its class counts otherwise than we do."""

    kind: Any
    config: Any
    parameters: int
    """Of the class at the published vocabulary, as transformers counts them."""
    theirs_alone: Mapping[str, int] = {}
    """Parameters of the class that our model has not, and how many of their rows."""
    ours_alone: tuple[str, ...] = ()
    """Parameters of ours that the class keeps as a buffer."""


POSITIONS = [f"model.{stack}.embed_positions.weight" for stack in ("encoder", "decoder")]
BART = {
    "encoder_layers": 6,
    "decoder_layers": 6,
    "encoder_attention_heads": 12,
    "decoder_attention_heads": 12,
}
OPUS = {"encoder_layers": 6, "decoder_layers": 6, "encoder_attention_heads": 8, "decoder_attention_heads": 8}

PUBLISHED: dict[str, Published] = {
    "t5": Published(  # t5-base
        transformers.T5ForConditionalGeneration,
        lambda: transformers.T5Config(d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12),
        222_903_552,
    ),
    "bart": Published(  # bart-base; its first two positions are kept free for what pads
        transformers.BartForConditionalGeneration,
        lambda: transformers.BartConfig(d_model=768, encoder_ffn_dim=3072, decoder_ffn_dim=3072, **BART),
        139_420_416,
        dict.fromkeys(POSITIONS, 2),
    ),
    "marian": Published(  # opus-mt-en-de; its sinusoids are computed, its output bias was trained elsewhere
        transformers.MarianMTModel,
        lambda: transformers.MarianConfig(
            vocab_size=58_101,
            pad_token_id=58_100,
            d_model=512,
            encoder_ffn_dim=2048,
            decoder_ffn_dim=2048,
            max_position_embeddings=512,
            **OPUS,
        ),
        74_410_496,
        dict.fromkeys(POSITIONS, 512),
        ("final_logits_bias",),
    ),
    "bert": Published(  # bert-base-uncased; without its pooler, and it tells first and second texts apart
        transformers.BertForMaskedLM,
        transformers.BertConfig,
        109_514_298,
        {"bert.embeddings.token_type_embeddings.weight": 2},
    ),
    "modernbert": Published(transformers.ModernBertForMaskedLM, transformers.ModernBertConfig, 149_655_232),
    "gpt2": Published(transformers.GPT2LMHeadModel, transformers.GPT2Config, 124_439_808),
    "llama": Published(transformers.LlamaForCausalLM, transformers.LlamaConfig, 6_738_415_616),
    "qwen3": Published(  # Qwen3-0.6B
        transformers.Qwen3ForCausalLM,
        lambda: transformers.Qwen3Config(
            hidden_size=1024,
            intermediate_size=3072,
            num_hidden_layers=28,
            num_attention_heads=16,
            num_key_value_heads=8,
            head_dim=128,
            tie_word_embeddings=True,
        ),
        596_049_920,
    ),
}


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_every_known_model_is_compared() -> None:
    assert set(PUBLISHED) == set(KNOWN)


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_has_the_parameters_of_its_source(name: str) -> None:
    published = PUBLISHED[name]
    settings = published.config()
    with torch.device("meta"):  # no memory, no time
        theirs = published.kind(settings)
        ours = build(preset_config(name, settings.vocab_size))
    assert count(theirs) == published.parameters
    fewer = sum(
        rows * theirs.get_parameter(place)[0].numel() for place, rows in published.theirs_alone.items()
    )
    more = sum(theirs.get_buffer(place).numel() for place in published.ours_alone)
    assert count(ours) == count(theirs) - fewer + more
