"""What can be exported where, as Markdown: `python -m headway.interop.matrix`.

The pages hold what it prints. Every cell and reason is computed from the table that the exporters use.
"""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import get_args

from headway.errors import RecipeError
from headway.interop.compatibility import FAMILIES, HOLDERS, RULES, TARGETS, verdicts
from headway.interop.family import Rule
from headway.interop.gguf_tokenizer import BYTES_ALONE, NAMED_SPLITTING, NO_NORMALIZATION
from headway.interop.rules import AS_READ
from headway.model.config import (
    Activation,
    Architecture,
    AttentionConfig,
    NormConfig,
    PositionConfig,
    TransformerConfig,
)
from headway.model.presets import PRESETS, preset_config

POSITIONS = ("sinusoidal", "learned", "rotary", "relative", "alibi", "none")
NORMS = (("post", "layer"), ("post", "rms"), ("pre", "layer"), ("pre", "rms"))
LAYERS: dict[Architecture, tuple[int, int]] = {
    "encoder-decoder": (6, 6),
    "encoder": (12, 0),
    "decoder": (0, 12),
}
VOCABULARY = 8000
VOCABULARY_RULES: dict[str, tuple[Rule, ...]] = {
    "transformers": (AS_READ,),
    "gguf": (BYTES_ALONE, NO_NORMALIZATION, NAMED_SPLITTING),
}


def matrix() -> str:
    """The generated part of docs/interop.md."""
    parts: list[str] = ["## Presets", _presets()]
    for architecture in get_args(Architecture):
        parts += [f"## transformers: {architecture}s", _classes(architecture)]
        parts += [f"What each {architecture} there asks for:", _rules(architecture)]
    parts.append("They hold every vocabulary" + _but(VOCABULARY_RULES["transformers"]))
    parts.append("## Other targets")
    for target in TARGETS:
        if target != "transformers":
            holders = [family.class_name for family in HOLDERS.get(target, ())]
            shapes = f"the shapes of {', '.join(holders)}" if holders else "every model"
            rules = (*RULES.get(target, ()), *VOCABULARY_RULES.get(target, ()))
            parts.append(f"**{target}** holds {shapes}" + _but(rules))
    return "\n\n".join(parts) + "\n"


def variants(architecture: Architecture, position: str, norm: tuple[str, str]) -> Iterator[TransformerConfig]:
    """Models with these positions and norms, in all else that rules ask for."""
    encoder, decoder = LAYERS[architecture]
    choices = product(get_args(Activation), *[(True, False)] * 6)
    for activation, bias, embedding_norm, transform, query_norm, first, scale in choices:
        try:
            yield TransformerConfig(
                vocab_size=VOCABULARY,
                encoder_layers=encoder,
                decoder_layers=decoder,
                activation=activation,
                bias=bias,
                output_transform=transform,
                scale_embeddings=scale,
                attention=AttentionConfig(normalize=query_norm),
                norm=NormConfig(
                    position=norm[0],  # type: ignore[arg-type]
                    kind=norm[1],  # type: ignore[arg-type]
                    embedding=embedding_norm,
                    first=first,
                ),
                positions=PositionConfig(kind=position),  # type: ignore[arg-type]
            )
        except RecipeError:  # contradicts itself
            continue


def _classes(architecture: Architecture) -> str:
    """For each norm and kind of positions the classes that hold some model of that kind."""
    rows = []
    for norm in NORMS:
        cells = []
        for position in POSITIONS:
            models = list(variants(architecture, position, norm))
            fitting = [
                family.class_of(each)
                for family in FAMILIES
                if family.architecture == architecture
                for each in models
                if not family.broken(each)
            ]
            cells.append("<br>".join(dict.fromkeys(fitting)) or "—")
        rows.append([f"{norm[0]}-norm, {norm[1]}", *cells])
    return _table(["norm", *POSITIONS], rows)


def _presets() -> str:
    rows = []
    for name in PRESETS:
        if name.startswith("table3-"):
            continue  # they differ in sizes
        found = verdicts(preset_config(name, VOCABULARY))
        cells = [
            (verdict.holder or "yes") if verdict.possible else "no: " + _reasons(verdict.broken)
            for verdict in found
        ]
        rows.append([name, *cells])
    return _table(["preset", *TARGETS], rows)


def _reasons(rules: Iterable[Rule]) -> str:
    return "; ".join(
        f"{rule.reason} (`{rule.change}`)" if rule.change.startswith(("model.", "text.")) else rule.reason
        for rule in rules
    )


def _rules(architecture: Architecture) -> str:
    """Each rule of the architecture's classes, and which of them have it."""
    families = [family for family in FAMILIES if family.architecture == architecture]
    rules = {(rule.reason, rule.change): rule for family in families for rule in family.rules}
    rows = [
        [reason, f"`{change}`" if change.startswith("model.") else change]
        + ["•" if rule in family.rules else "" for family in families]
        for (reason, change), rule in rules.items()
    ]
    return _table(["rule", "how to get it", *(family.name for family in families)], rows)


def _but(rules: tuple[Rule, ...]) -> str:
    return f", but: {_reasons(rules)}." if rules else "."


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    print(matrix(), end="")
