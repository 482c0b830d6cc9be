"""RoFormer: BERT with rotary positions that turn neighbours (2i, 2i+1)."""

from collections.abc import Iterable

import torch
from torch import Tensor

from headway.interop.families.bert_shape import COMMON_RULES, TOKEN_TYPES, BertShape
from headway.interop.family import Family, Settings
from headway.interop.reparametrise import fold_embedding_scale, interleave_rotary
from headway.interop.rules import ROTARY, WAVE_BASE
from headway.interop.weights import Entry, constant
from headway.model.config import PositionConfig, TransformerConfig
from headway.model.positions import wave_angles


def _positions_and_types(prefix: str, config: TransformerConfig) -> Iterable[Entry]:
    def table() -> Tensor:
        angles = wave_angles(config.positions.max_length, config.d_key, config.positions.base)
        return torch.cat((angles.sin(), angles.cos()), dim=1)

    yield constant(f"{prefix}encoder.embed_positions.weight", table)
    yield _token_types(f"{prefix}embeddings.token_type_embeddings.weight", config.d_model)


def _token_types(theirs: str, d_model: int) -> Entry:
    """Zeros; read only if that of type 0, which every token of one text has, is zero. Type 1 is not read."""

    def to_ours(tensors: list[Tensor], _: list[torch.Size]) -> list[Tensor]:
        if bool(tensors[0][0].any()):
            raise ValueError("adds a vector to every token, and there is no place for it in this model")
        return []

    return Entry((theirs,), (), lambda _: [torch.zeros(TOKEN_TYPES, d_model)], to_ours)


def _to_config(config: TransformerConfig) -> Settings:
    return {**SHAPE.to_config(config), "embedding_size": config.d_model, "rotary_value": False}


SHAPE = BertShape("roformer", "RoFormerForMaskedLM", PositionConfig(kind="rotary"), _positions_and_types)

ROFORMER = Family(
    name="roformer",
    class_name=SHAPE.class_name,
    architecture="encoder",
    rules=(*COMMON_RULES, ROTARY, WAVE_BASE),
    to_config=_to_config,
    from_config=SHAPE.from_config,
    entries=SHAPE.entries,
    changes=(fold_embedding_scale, interleave_rotary),
    bare_name=SHAPE.bare_name,
)
