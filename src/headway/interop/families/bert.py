"""BERT: a post-norm encoder with learned positions and a prediction head.

Its token types tell two texts apart; ours reads one text. Type 0, which every token of one text has, is
written as zeros and read into the table of positions, to which it is always added. Type 1 occurs only where
a second text follows, so it is written as zeros and not read.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from headway.interop.families.bert_shape import COMMON_RULES, TOKEN_TYPES, BertShape
from headway.interop.families.parts import POSITION_TABLE, position_table
from headway.interop.family import Family, Settings
from headway.interop.reparametrise import fold_embedding_scale
from headway.interop.weights import Entry
from headway.model.config import PositionConfig, TransformerConfig


def _positions_and_types(prefix: str, config: TransformerConfig) -> Iterable[Entry]:
    table = position_table(f"{prefix}embeddings.position_embeddings.weight", config)

    def to_theirs(tensors: list[Tensor]) -> list[Tensor]:
        [positions] = table.to_theirs(tensors)
        return [positions, positions.new_zeros(TOKEN_TYPES, config.d_model)]

    def to_ours(tensors: list[Tensor], shapes: list[torch.Size]) -> list[Tensor]:
        positions, types = tensors
        return table.to_ours([positions + types[0]], shapes)

    theirs = (*table.theirs, f"{prefix}embeddings.token_type_embeddings.weight")
    yield Entry(theirs, table.ours, to_theirs, to_ours)


def _extra(config: TransformerConfig) -> Settings:
    """What CTranslate2's own converter asks for."""
    return {"position_embedding_type": "absolute"}


SHAPE = BertShape(
    "bert", "BertForMaskedLM", PositionConfig(kind="learned"), _positions_and_types, pooled=True
)

BERT = Family(
    name="bert",
    class_name=SHAPE.class_name,
    architecture="encoder",
    rules=(*COMMON_RULES, POSITION_TABLE),
    to_config=SHAPE.to_config,
    from_config=SHAPE.from_config,
    entries=SHAPE.entries,
    changes=(fold_embedding_scale,),
    extra=_extra,
    bare_name=SHAPE.bare_name,
)
