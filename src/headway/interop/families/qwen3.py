"""Qwen3: as Llama, with the queries and keys of each head normalized and heads of any size."""

from headway.interop.families.llama_shape import COMMON_RULES, LlamaShape
from headway.interop.family import Family
from headway.interop.reparametrise import fold_embedding_scale
from headway.interop.rules import NO_BIAS, NO_OUTPUT_BIAS, QUERY_NORM

SHAPE = LlamaShape("qwen3", "decoder", query_norm=True, biases=False)

QWEN3 = Family(
    name="qwen3",
    class_name="Qwen3ForCausalLM",
    architecture="decoder",
    rules=(*COMMON_RULES, QUERY_NORM, NO_BIAS, NO_OUTPUT_BIAS),
    to_config=SHAPE.to_config,
    from_config=SHAPE.from_config,
    entries=SHAPE.entries,
    changes=(fold_embedding_scale,),
    extra=SHAPE.extra,
)
