"""A run that starts from a model: its shape and vocabularies are given, and a recipe may ask for no other."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from headway.bundle import load_bundle, open_model_folder
from headway.config import Table, from_table, table_of
from headway.errors import FolderError, RecipeError, did_you_mean
from headway.model.architectures import Transformer
from headway.model.config import TransformerConfig
from headway.model.presets import merged, preset
from headway.run_folder import model_folder
from headway.text.tokenizer import TextConfig, TokenizerConfig, Tokenizers, other_than
from headway.training.average import set_weights, start_average

MAY_CHANGE = "dropout"
"""The one setting of a model that its weights do not know."""

SIZES = ("vocab_size", "source_vocab_size")


@dataclass(frozen=True)
class Start:
    """A model to start from, without its weights."""

    folder: Path
    config: TransformerConfig
    tokenizers: Tokenizers


def read_start(folder: str | Path) -> Start:
    """The shape and vocabularies in a model or run folder. Raises FolderError."""
    place = model_folder(Path(folder).expanduser())
    try:
        content, tokenizers = open_model_folder(place)
    except FolderError as error:
        if place.exists() and not (place / "manifest.json").is_file():
            more = f"; another program's model is imported first: headway import {place}"
            raise FolderError(f"{error}{more}") from error
        raise
    return Start(place, content.model, tokenizers)


def started(table: Table) -> Table:
    """The table of a recipe that names `start_from`, with that model's shape.

    Raises RecipeError if it asks for another model or other vocabularies, with what the model has.
    """
    start = read_start(table["start_from"])
    asked, model = table.get("text"), table.get("model", {})
    if asked is not None:
        _refuse_other_text(start, from_table(TextConfig, asked))
    if not isinstance(model, Mapping):
        return table  # which is told with the rest
    held = asdict(start.config)
    for key, wanted in _asked(table.get("preset"), model, start.config):
        _compare(start, key, wanted, held)
    changed = {MAY_CHANGE: model[MAY_CHANGE]} if MAY_CHANGE in model else {}
    kept = {key: value for key, value in table.items() if key not in ("text", "preset")}
    return {**kept, "model": {**table_of(start.config), **changed}}


def load_start(model: Transformer, folder: str | Path, tokenizers: Tokenizers) -> None:
    """Gives the model the weights in the folder. Raises FolderError if another model lies there by now."""
    place = model_folder(Path(folder).expanduser())
    bundle = load_bundle(place)
    same_shape = replace(bundle.config, dropout=model.config.dropout) == model.config
    if not same_shape or _prints(bundle.tokenizers) != _prints(tokenizers):
        raise FolderError(f"{place}: is another model than the one with which the run began")
    set_weights(model, start_average(bundle.model))


def _prints(tokenizers: Tokenizers) -> list[str]:
    return [each.fingerprint for each in tokenizers if each is not None]


def _asked(name: Any, model: Mapping[str, Any], held: TransformerConfig) -> Iterator[tuple[str, Any]]:
    """The fields that a recipe asks for: all of a preset if it names one, else those it names."""
    wanted = dict(model)
    if isinstance(name, str):
        sizes = {size: getattr(held, size) for size in SIZES}
        whole = from_table(TransformerConfig, merged(merged(sizes, preset(name)), model))
        wanted = table_of(whole) | wanted
    yield from ((key, value) for key, value in wanted.items() if key != MAY_CHANGE)


def _compare(start: Start, key: str, wanted: Any, held: Mapping[str, Any]) -> None:
    """`held` is the group of the model's settings in which the last part of `key` is one."""
    name = key.rpartition(".")[2]
    if name not in held:
        raise RecipeError(f"unknown key 'model.{key}': {did_you_mean(name, held)}")
    there = held[name]
    if isinstance(wanted, Mapping) and isinstance(there, Mapping):
        for inner, value in wanted.items():
            _compare(start, f"{key}.{inner}", value, there)
    elif wanted != there:
        has = "has none" if there is None else f"has {there!r}"
        raise RecipeError(
            f"model.{key} = {wanted!r}: the model in {start.folder} {has}, and its weights fit no other; "
            "leave it out"
        )


def _refuse_other_text(start: Start, asked: TextConfig) -> None:
    source, target = start.tokenizers
    own = None if source is target else source
    reason = other_than(target, asked.target)
    if not reason and (asked.source is None) != (own is None):
        reason = "it has one for both sides" if own is None else "it has another one for the source"
    if not reason and own is not None:
        reason = other_than(own, asked.source or TokenizerConfig())
    if reason:
        raise RecipeError(
            f"text: the model in {start.folder} knows its own vocabulary alone ({reason}); leave text out"
        )
