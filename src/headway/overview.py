"""What a recipe or a model is, as tables for people."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from headway.bundle import load_bundle
from headway.config import apply_overrides, from_table
from headway.errors import RecipeError
from headway.interop.compatibility import Vocabulary, verdicts
from headway.model.architectures import Transformer, build
from headway.model.config import TransformerConfig
from headway.model.presets import merged, preset
from headway.recipe import Recipe, read_recipe
from headway.run_folder import model_folder
from headway.training.memory import MemoryEstimate, estimate_memory
from headway.training.schedule import peak_rate

PAPER_VOCABULARY = 37_000
"""The joint vocabulary of English and German (Paper §5.1)."""

PAPER_MILLIONS = {
    "paper-base": 65,
    "table3-base": 65,
    "table3-a-h1": 65,
    "table3-a-h4": 65,
    "table3-a-h16": 65,
    "table3-a-h32": 65,
    "table3-d-drop0.0": 65,
    "table3-d-drop0.2": 65,
    "table3-b-dk16": 58,
    "table3-b-dk32": 60,
    "table3-c-n2": 36,
    "table3-c-n4": 50,
    "table3-c-n8": 80,
    "table3-c-d256": 28,
    "table3-c-d1024": 168,
    "table3-c-ff1024": 53,
    "table3-c-ff4096": 90,
    "table3-big": 213,
    "paper-big": 213,
}
"""Paper Table 3, column params × 10⁶; blank where a row has the size of the base model."""


def of_recipe(name: str, overrides: Sequence[str]) -> Iterator[Table | str]:
    """The model that a recipe asks for, at the bound of its vocabulary, and how it trains."""
    recipe = read_recipe(name, overrides, {"data": {"train": ["any"]}})  # no text is read
    yield f"{name}: {recipe.model.architecture}, vocabularies at their upper bound"
    yield _shape(recipe.model)
    with torch.device("meta"):
        yield _parameters(build(recipe.model))
    rate = peak_rate(recipe.optimizer, recipe.schedule, recipe.model.d_model)
    facts = {
        "peak rate": f"{rate:.3g} after {recipe.schedule.warmup:,} steps, then {recipe.schedule.kind}",
        "optimizer": f"{recipe.optimizer.kind}, gradient clipped at {recipe.optimizer.clip:g}",
        "batch": f"{recipe.batch.tokens:,} tokens",
        "stop": ", ".join(f"{key} {value:g}" for key, value in asdict(recipe.stop).items() if value),
    }
    yield _table("training", facts)
    yield _memory(memory_of(recipe))
    yield _exports(recipe.model, recipe.text.target)


def of_preset(name: str, overrides: Sequence[str]) -> Iterator[Table | str]:
    """The model that a preset and `model.KEY=VALUE` describe, beside the paper's count where it has one."""
    for override in overrides:
        if not override.startswith("model."):
            raise RecipeError(f"override {override!r}: a preset is a model; write model.KEY=VALUE")
    table = {"model": merged({"vocab_size": PAPER_VOCABULARY}, preset(name))}
    config = from_table(TransformerConfig, apply_overrides(Recipe, table, overrides)["model"])
    with torch.device("meta"):
        model = build(config)
    yield f"{name}: {config.architecture}, with a vocabulary of {config.vocab_size:,}"
    yield _shape(config)
    yield _parameters(model)
    yield _exports(config)
    if name in PAPER_MILLIONS:
        ours = sum(p.numel() for p in model.parameters()) / 1e6
        paper = PAPER_MILLIONS[name]
        yield f"Table 3 of the paper says {paper} million; this has {ours:.1f}, {ours - paper:+.1f}"


def of_model(folder: Path) -> Iterator[Table | str]:
    """The model in a folder, with its vocabulary, limits and metrics."""
    bundle = load_bundle(model_folder(folder))
    yield f"{folder}: {bundle.architecture}"
    yield _shape(bundle.config)
    yield _parameters(bundle.model)
    source, target = bundle.tokenizers
    facts = {"target vocabulary" if source else "vocabulary": f"{target.vocab_size:,} ({target.kind})"}
    if source is not None:
        joint = source is target
        facts["source vocabulary"] = "the same" if joint else f"{source.vocab_size:,} ({source.kind})"
    if bundle.meta.longest_source:
        facts["longest source in training"] = f"{bundle.meta.longest_source:,} tokens"
    if bundle.meta.longest_target:
        facts["longest target or row in training"] = f"{bundle.meta.longest_target:,} tokens"
    facts |= {f"held-out {name}": f"{value:.4g}" for name, value in bundle.meta.metrics.items()}
    yield _table("text and metrics", facts)
    yield _exports(bundle.config, target)


WIDTH_OF_PAIRS = 32
"""Tokens of a row that is neither short nor long, where no text has been read."""


def memory_of(recipe: Recipe) -> MemoryEstimate:
    """What training by the recipe will take, in float32."""
    width = WIDTH_OF_PAIRS if recipe.reads_pairs else recipe.batch.context
    labelled = recipe.masking.rate if recipe.model.architecture == "encoder" else 1.0
    tokens = recipe.batch.tokens // recipe.batch.accumulate * recipe.training.loss.readings
    return estimate_memory(recipe.model, tokens, width, labelled, recompute=recipe.runtime.recompute)


def _memory(estimate: MemoryEstimate) -> Table:
    parts = {
        "weights, gradients, optimizer": estimate.weights,
        "a batch on its way": estimate.activations,
        "all, with the program itself": estimate.total,
    }
    facts = {name: f"{size / 2**20:,.0f} MiB" for name, size in parts.items()}
    return _table("memory of training, about", facts)


def _shape(config: TransformerConfig) -> Table:
    facts: dict[str, str] = {}
    for key, value in asdict(config).items():
        if isinstance(value, dict):
            facts |= {f"{key}.{inner}": str(each) for inner, each in value.items() if each is not None}
        elif value is not None:
            facts[key] = str(value)
    return _table("model", facts)


def _parameters(model: Transformer) -> Table:
    table = Table(title="parameters", title_justify="left")
    table.add_column("part")
    table.add_column("number", justify="right")
    seen: set[Any] = set()
    for name, part in model.named_children():
        own = [p for p in part.parameters() if p not in seen]
        seen.update(own)
        tied = "" if own or not any(True for _ in part.parameters()) else "  (tied)"
        table.add_row(name + tied, f"{sum(p.numel() for p in own):,}")
    table.add_row("all", f"{sum(p.numel() for p in model.parameters()):,}", style="bold")
    return table


def _exports(config: TransformerConfig, text: Vocabulary | None = None) -> Table:
    """Where the model can be exported, why not, and what would change that."""
    table = Table(title="exports", title_justify="left")
    for column in ("target", "possible", "as, or why not", "what to change"):
        table.add_column(column, overflow="fold")
    for verdict in verdicts(config, text):
        reasons = "; ".join(rule.reason for rule in verdict.broken)
        nearest = f"{verdict.holder} comes nearest, but {reasons}" if verdict.holder else reasons
        why = verdict.holder if verdict.possible else nearest
        changes = " ".join(rule.change for rule in verdict.broken if rule.change)
        table.add_row(verdict.target, "yes" if verdict.possible else "no", why, changes)
    return table


def _table(title: str, facts: dict[str, str]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    for name, value in facts.items():
        table.add_row(name, value)
    return table
