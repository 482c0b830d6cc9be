"""Models of transformers as the families see them: written to a folder, read, and run."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from headway.batch import Tokens
from headway.interop.family import Family, Settings
from headway.interop.weights import Weights, load_weights, weights_of
from headway.model.architectures import CausalLM, MaskedLM, build
from headway.model.config import TransformerConfig

IDS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}


def roughen(model: torch.nn.Module) -> None:
    """Weights that no two tensors share and no norm leaves at 1: a mix-up is seen."""
    with torch.no_grad():
        for parameter in model.parameters():
            scale = 0.3 if parameter.dim() > 1 else 0.5
            centre = 1.0 if parameter.dim() == 1 and bool((parameter == 1).all()) else 0.0
            parameter.copy_(centre + scale * torch.randn_like(parameter))


def written(model: Any, folder: Path) -> tuple[Settings, Weights]:
    """What their own save_pretrained writes."""
    model.save_pretrained(folder)
    return json.loads((folder / "config.json").read_text("utf-8")), load_file(folder / "model.safetensors")


def imported(family: Family, settings: Settings, weights: Weights) -> CausalLM | MaskedLM:
    model = build(family.from_config(settings))
    load_weights(model, family.import_weights(model, weights))
    assert not hasattr(model, "source_embedding")
    return model.eval()  # type: ignore[return-value]


def exported(family: Family, model: torch.nn.Module, config: TransformerConfig, folder: Path) -> Any:
    """Their model, opened by their own class from what the family says of ours."""
    import transformers

    assert family.broken(config) == []
    settings = {
        "architectures": [family.class_of(config)],
        "model_type": family.name,
        **family.to_config(config),
        **family.extra(config),
        **IDS,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(settings), "utf-8")
    weights = {
        name: tensor.clone() for name, tensor in family.export_weights(config, weights_of(model)).items()
    }
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    opened, report = getattr(transformers, family.class_of(config)).from_pretrained(
        folder, output_loading_info=True
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert not report["mismatched_keys"]
    return opened.eval()


def some_text(vocab_size: int, length: int = 11) -> Tokens:
    """Two rows, of which the second ends in padding."""
    ids = torch.randint(5, vocab_size, (2, length))
    segments = torch.ones_like(ids)
    ids[1, length - 4 :] = segments[1, length - 4 :] = 0
    return Tokens(ids, segments)


@torch.no_grad()
def our_logits(model: CausalLM | MaskedLM, tokens: Tokens) -> Tensor:
    return model.logits(model(tokens))


@torch.no_grad()
def our_states(model: CausalLM | MaskedLM, tokens: Tokens) -> Tensor:
    return model(tokens)


@torch.no_grad()
def their_logits(model: Any, tokens: Tokens) -> Tensor:
    return model(input_ids=tokens.ids, attention_mask=tokens.segments).logits


@torch.no_grad()
def their_states(model: Any, tokens: Tokens) -> Tensor:
    return model.base_model(input_ids=tokens.ids, attention_mask=tokens.segments).last_hidden_state


def difference(ours: Tensor, theirs: Tensor, tokens: Tokens) -> float:
    """The largest at real tokens, relative to the spread of the logits."""
    real = tokens.segments != 0
    return float((ours - theirs)[real].abs().max() / theirs[real].std())
