"""Blenderbot: an encoder-decoder with learned positions that normalizes before each sub-layer."""

from headway.interop.families.bart_shape import COMMON_RULES, BartShape
from headway.interop.family import Family
from headway.interop.rules import LEARNED, NO_EMBEDDING_NORM, PRE_NORM

SHAPE = BartShape("blenderbot", "pre", "learned")

BLENDERBOT = Family(
    name="blenderbot",
    class_name="BlenderbotForConditionalGeneration",
    architecture="encoder-decoder",
    rules=(PRE_NORM, LEARNED, NO_EMBEDDING_NORM, *COMMON_RULES),
    to_config=SHAPE.to_config,
    from_config=SHAPE.from_config,
    entries=SHAPE.entries,
)
