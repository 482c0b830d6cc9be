"""BART (Lewis et al. 2019): post-norm, with learned positions and normalized embeddings."""

from headway.interop.families.bart_shape import COMMON_RULES, BartShape
from headway.interop.family import Family
from headway.interop.rules import EMBEDDING_NORM, LEARNED, POST_NORM

SHAPE = BartShape("bart", "post", "learned", embedding_norm=True, offset=2)

BART = Family(
    name="bart",
    class_name="BartForConditionalGeneration",
    architecture="encoder-decoder",
    rules=(POST_NORM, LEARNED, EMBEDDING_NORM, *COMMON_RULES),
    to_config=SHAPE.to_config,
    from_config=SHAPE.from_config,
    entries=SHAPE.entries,
    extra=SHAPE.extra,
)
