"""Marian: the paper's encoder-decoder, post-norm with sinusoids."""

from headway.interop.families.bart_shape import COMMON_RULES, BartShape
from headway.interop.family import Family
from headway.interop.reparametrise import split_waves
from headway.interop.rules import NO_EMBEDDING_NORM, POST_NORM, SINUSOIDAL, WAVE_BASE

SHAPE = BartShape("marian", "post", "sinusoidal", tables_saved=False, own_vocabularies=True)

MARIAN = Family(
    name="marian",
    class_name="MarianMTModel",
    architecture="encoder-decoder",
    rules=(POST_NORM, SINUSOIDAL, WAVE_BASE, NO_EMBEDDING_NORM, *COMMON_RULES),
    to_config=SHAPE.to_config,
    from_config=SHAPE.from_config,
    entries=SHAPE.entries,
    changes=(split_waves,),
    extra=SHAPE.extra,
)
