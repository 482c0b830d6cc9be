"""EuroBERT: a Llama that sees both sides, with a plain projection to the vocabulary.

Ours may scale embeddings that are also the output projection. Dividing the last norm for that would change
the states that people embed text with, so that both matrices are written instead. A folder of EuroBertModel,
which has no head, is read as one whose head is its embeddings, and written with that.
"""

import math

from headway.interop.families.llama_shape import COMMON_RULES, LlamaShape
from headway.interop.families.parts import WHOLE_HEADS
from headway.interop.family import Family, Rule, Settings
from headway.interop.reparametrise import Rewrite, fold_embedding_scale
from headway.interop.rules import NO_QUERY_NORM
from headway.interop.weights import Entry
from headway.model.config import TransformerConfig

OUTPUT_BIAS_AS_ELSEWHERE = Rule(
    lambda config: config.bias or not config.output_bias,
    "its output projection has a bias only where its other linear layers have",
    "model.output_bias=false",
)

SHAPE = LlamaShape("eurobert", "encoder", output_bias=True, epsilon=1e-5)


BARE = "EuroBertModel"


def _from_config(settings: Settings) -> TransformerConfig:
    bare = settings.get("architectures") == [BARE]
    return SHAPE.from_config(settings | ({"tie_word_embeddings": True} if bare else {}))


def _needs_both(config: TransformerConfig) -> bool:
    return config.tie_output and config.scale_embeddings


def _to_config(config: TransformerConfig) -> Settings:
    return SHAPE.to_config(config) | {"tie_word_embeddings": config.tie_output and not _needs_both(config)}


def _entries(config: TransformerConfig) -> list[Entry]:
    embeddings, *others = SHAPE.entries(config)
    if not _needs_both(config):
        return [embeddings, *others]
    scale = math.sqrt(config.d_model)
    both = Entry(
        (embeddings.theirs[0], "lm_head.weight"),
        embeddings.ours,
        lambda tensors: [tensors[0] * scale, tensors[0]],
        lambda tensors, _: [tensors[1]],
    )
    return [both, *others]


def _fold(config: TransformerConfig) -> Rewrite:
    return Rewrite(dict, dict) if _needs_both(config) else fold_embedding_scale(config)


EUROBERT = Family(
    name="eurobert",
    class_name="EuroBertForMaskedLM",
    architecture="encoder",
    rules=(*COMMON_RULES, NO_QUERY_NORM, OUTPUT_BIAS_AS_ELSEWHERE, WHOLE_HEADS),
    to_config=_to_config,
    from_config=_from_config,
    entries=_entries,
    changes=(_fold,),
    extra=SHAPE.extra,
)
