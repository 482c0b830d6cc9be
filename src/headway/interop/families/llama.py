"""Llama: a decoder with RMS norms before sub-layers, rotary positions and gated feed-forward networks."""

from headway.interop.families.llama_shape import COMMON_RULES, LlamaShape
from headway.interop.families.parts import WHOLE_HEADS
from headway.interop.family import Family
from headway.interop.reparametrise import fold_embedding_scale
from headway.interop.rules import NO_OUTPUT_BIAS, NO_QUERY_NORM

SHAPE = LlamaShape("llama", "decoder")

LLAMA = Family(
    name="llama",
    class_name="LlamaForCausalLM",
    architecture="decoder",
    rules=(*COMMON_RULES, NO_QUERY_NORM, NO_OUTPUT_BIAS, WHOLE_HEADS),
    to_config=SHAPE.to_config,
    from_config=SHAPE.from_config,
    entries=SHAPE.entries,
    changes=(fold_embedding_scale,),
    extra=SHAPE.extra,
)
