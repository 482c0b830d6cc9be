"""Pegasus: an encoder-decoder with sinusoids that normalizes before each sub-layer."""

from headway.interop.families.bart_shape import COMMON_RULES, BartShape
from headway.interop.family import Family
from headway.interop.reparametrise import split_waves
from headway.interop.rules import NO_EMBEDDING_NORM, PRE_NORM, SINUSOIDAL, WAVE_BASE

SHAPE = BartShape("pegasus", "pre", "sinusoidal")

PEGASUS = Family(
    name="pegasus",
    class_name="PegasusForConditionalGeneration",
    architecture="encoder-decoder",
    rules=(PRE_NORM, SINUSOIDAL, WAVE_BASE, NO_EMBEDDING_NORM, *COMMON_RULES),
    to_config=SHAPE.to_config,
    from_config=SHAPE.from_config,
    entries=SHAPE.entries,
    changes=(split_waves,),
    extra=SHAPE.extra,
)
