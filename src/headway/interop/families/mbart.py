"""mBART (Liu et al. 2020): BART that normalizes before each sub-layer, and once more after each stack."""

from headway.interop.families.bart_shape import COMMON_RULES, BartShape
from headway.interop.family import Family
from headway.interop.rules import EMBEDDING_NORM, LEARNED, PRE_NORM

SHAPE = BartShape("mbart", "pre", "learned", embedding_norm=True, offset=2)

MBART = Family(
    name="mbart",
    class_name="MBartForConditionalGeneration",
    architecture="encoder-decoder",
    rules=(PRE_NORM, LEARNED, EMBEDDING_NORM, *COMMON_RULES),
    to_config=SHAPE.to_config,
    from_config=SHAPE.from_config,
    entries=SHAPE.entries,
    extra=SHAPE.extra,
)
