"""The one table of what can be exported where: `inspect` shows it, exporters refuse by it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from headway.errors import UserError
from headway.interop.ctranslate2 import RULES as CTRANSLATE2_RULES
from headway.interop.families.bart import BART
from headway.interop.families.bert import BERT
from headway.interop.families.blenderbot import BLENDERBOT
from headway.interop.families.eurobert import EUROBERT
from headway.interop.families.gpt2 import GPT2
from headway.interop.families.gpt_neox import GPT_NEOX
from headway.interop.families.llama import LLAMA
from headway.interop.families.marian import MARIAN
from headway.interop.families.mbart import MBART
from headway.interop.families.modernbert import MODERNBERT
from headway.interop.families.opt import OPT
from headway.interop.families.pegasus import PEGASUS
from headway.interop.families.qwen3 import QWEN3
from headway.interop.families.roformer import ROFORMER
from headway.interop.families.t5 import T5
from headway.interop.family import Family, Rule, refused
from headway.interop.gguf import RULES as GGUF_RULES
from headway.interop.gguf_tokenizer import broken as broken_in_gguf
from headway.interop.rules import AS_READ
from headway.model.config import TransformerConfig
from headway.text.tokenizer import Tokenizer, TokenizerConfig

Target = Literal["transformers", "ctranslate2", "onnx", "gguf", "torch"]
TARGETS: tuple[Target, ...] = get_args(Target)

FAMILIES: tuple[Family, ...] = (
    *(MARIAN, PEGASUS, BLENDERBOT, BART, MBART, T5),
    *(BERT, EUROBERT, MODERNBERT, ROFORMER),
    *(GPT2, OPT, GPT_NEOX, LLAMA, QWEN3),
)
"""Of two that can hold a model, the first does."""

HOLDERS: dict[Target, tuple[Family, ...]] = {"transformers": FAMILIES, "gguf": (GPT2, LLAMA, QWEN3)}
"""Targets that hold the shapes of some families only."""

RULES: dict[Target, tuple[Rule, ...]] = {"ctranslate2": CTRANSLATE2_RULES, "gguf": GGUF_RULES}
"""What else a target asks for."""

Vocabulary = Tokenizer | TokenizerConfig
"""That of the target, or of all: learned already, or as it will be."""


def broken_in_transformers(text: Vocabulary) -> list[Rule]:
    """What stands against a vocabulary there."""
    composes = text.composes if isinstance(text, Tokenizer) else text.normalize == "letters"
    return [AS_READ] if composes else []


OF_VOCABULARIES: dict[Target, Callable[[Vocabulary], list[Rule]]] = {
    "transformers": broken_in_transformers,
    "gguf": broken_in_gguf,
}
"""Targets that hold some vocabularies only: the rules that one breaks."""


@dataclass(frozen=True)
class Verdict:
    """Whether a target can hold a model, and as what; `broken` are the rules that stand against it."""

    target: Target
    holder: str
    """The class or format: the one that holds it, or that comes nearest."""
    broken: tuple[Rule, ...] = ()

    @property
    def possible(self) -> bool:
        return not self.broken


def verdicts(config: TransformerConfig, text: Vocabulary | None = None) -> list[Verdict]:
    """One for each target, in their order."""
    return [verdict(target, config, text) for target in TARGETS]


def verdict(target: Target, config: TransformerConfig, text: Vocabulary | None = None) -> Verdict:
    """Whether the target can hold such a model: as a shape that it knows, or else against the nearest.

    Without `text` any vocabulary is right.
    """
    further = [rule for rule in RULES.get(target, ()) if not rule.holds(config)]
    if text is not None and target in OF_VOCABULARIES:
        further += OF_VOCABULARIES[target](text)
    holders = HOLDERS.get(target)
    if holders is None:
        return Verdict(target, "", tuple(further))
    alike = [family for family in holders if family.architecture == config.architecture]
    if not alike:
        kinds = " and ".join(sorted({f"{family.architecture}s" for family in holders}))
        return Verdict(target, "", (Rule(lambda _: False, f"it holds {kinds} only", ""),))
    nearest = min(alike, key=lambda family: len(family.broken(config)))
    return Verdict(target, nearest.class_of(config), (*nearest.broken(config), *further))


def family_of(config: TransformerConfig, target: Target = "transformers") -> Family:
    """The first family that can hold the model. Raises UserError with what stands against the nearest."""
    refuse(target, config)
    return next(family for family in HOLDERS[target] if not family.broken(config))


def refuse(target: Target, config: TransformerConfig, text: Vocabulary | None = None) -> None:
    """Raises UserError, with the table's reasons, if the target cannot hold the model."""
    found = verdict(target, config, text)
    if not found.possible:
        against = f"{found.holder} comes nearest, but " if found.holder else ""
        raise UserError(f"{target} cannot hold this model: {against}{refused(found.broken)}")
