"""The reference works of the benchmarks of training: text, recipe, batches, and a model for the peers."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w
import torch

from headway.batch import NO_LABEL, Batch, Tokens
from headway.bundle import Bundle, BundleInfo
from headway.data.loader import Loader
from headway.data.prepare import Prepared, prepare
from headway.demos.bible import chapters, installed_bible
from headway.demos.fill import PACKAGE
from headway.demos.simplify import SIMPLIFY
from headway.interop.huggingface import write_transformers
from headway.model.architectures import build
from headway.recipe import Recipe, read_recipe
from headway.run import with_vocabulary
from headway.trainer import build_objective

MOST_PAIRS = 40_000
"""Of a large file so many are enough, and spare the time to learn a vocabulary of all."""
NEVER = 10**6

SMALL = {"d_model": 256, "d_ff": 1024, "attention": {"num_heads": 4}}
SHAPES: dict[str, dict[str, Any]] = {
    "small": {**SMALL, "encoder_layers": 4, "decoder_layers": 4},
    "base": {},
    "masked": {**SMALL, "encoder_layers": 4},
}
PRESETS = {"small": "paper-base", "base": "paper-base", "masked": "bert"}
QUICK = {"d_model": 32, "d_ff": 64, "encoder_layers": 1, "attention": {"num_heads": 2}}


@dataclass(frozen=True)
class Work:
    """A recipe with its text in a folder."""

    folder: Path
    recipe: Recipe

    @property
    def prepared(self) -> Prepared:
        return prepare(
            self.recipe.data,
            self.recipe.text,
            pairs=self.recipe.reads_pairs,
            folder=self.folder / "data",
            seed=self.recipe.seed,
            progress=lambda _: None,
        )


def write_work(name: str, data: Path | None, folder: Path, *, quick: bool) -> Work:
    """Text and recipe of a work, as files in the folder."""
    if name == "masked":
        file, text = folder / "train.txt", book(data)[: 40_000 if quick else None]
        cut = len(text) * 19 // 20
        file.write_text(text[:cut], "utf-8")
        (folder / "valid.txt").write_text(text[cut:], "utf-8")
    else:
        file = folder / "train.tsv"
        file.write_text("".join(pairs(data, folder)[: 2000 if quick else MOST_PAIRS]), "utf-8")
    shape = SHAPES[name]
    if quick:
        both = {} if name == "masked" else {"decoder_layers": 1}
        shape = {**shape, **QUICK, **both}
    recipe = {
        "preset": PRESETS[name],
        "data": (
            {"train": [str(file)], "valid": [str(folder / "valid.txt")], "layout": "file"}
            if name == "masked"
            else {"train": [str(file)], "layout": "pairs"}
        ),
        "text": {"target": {"kind": "bpe", "vocab_size": 400 if quick else 8000}},
        "model": shape,
        "batch": {"tokens": 512 if quick else 4096, **({"context": 128} if name == "masked" else {})},
        "optimizer": {"kind": "adam", "rate": 5e-4, "clip": 1.0},
        "schedule": {"kind": "constant", "warmup": 100},
        "stop": {"steps": NEVER},
        "training": {
            "label_smoothing": 0.0 if name == "masked" else 0.1,
            "validate_every": NEVER,
            "save_every": NEVER,
        },
    }
    (folder / "recipe.toml").write_text(tomli_w.dumps(recipe), "utf-8")
    return read_work(folder)


def read_work(folder: Path) -> Work:
    """What `write_work` wrote, with the sizes that its vocabulary has."""
    work = Work(folder, read_recipe(folder / "recipe.toml"))
    model = with_vocabulary(work.recipe.model, work.prepared.tokenizers)
    return Work(folder, replace(work.recipe, model=model))


def pairs(data: Path | None, folder: Path) -> list[str]:
    """Lines of source TAB target: `*.train.tsv` of a folder, else verses of two Bibles."""
    if data is not None:
        return sorted(data.glob("*.train.tsv"))[0].read_text("utf-8").splitlines(keepends=True)
    with tempfile.TemporaryDirectory() as written:
        SIMPLIFY.write(Path(written))
        return Path(written, SIMPLIFY.train).read_text("utf-8").splitlines(keepends=True)


def book(data: Path | None) -> str:
    """One long text: `*.train.txt` of a folder, or its `input.txt`; else the Bible in Basic English."""
    if data is None:
        found = chapters(installed_bible(PACKAGE))
        return "\n".join("\n".join(verses) for verses in found.values())
    return sorted([*data.glob("*.train.txt"), *data.glob("input.txt")])[0].read_text("utf-8")


def batches_of(work: Work, count: int) -> list[Batch]:
    """The first batches that training gets."""
    recipe, prepared = work.recipe, work.prepared
    objective = build_objective(recipe, prepared.tokenizers)
    loader = Loader(prepared.train, objective, recipe.batch, seed=recipe.seed)
    found: list[Batch] = []
    epoch = 0
    while len(found) < count:
        found += [batch for step in loader.epoch(epoch) for batch in step]
        epoch += 1
    return found[:count]


def write_for_peers(work: Work, batches: list[Batch]) -> None:
    """Batches, shape and, for `transformers`, a fresh model with the same weights as ours begins with."""
    torch.save([tensors_of(batch) for batch in batches], work.folder / "batches.pt")
    config = work.recipe.model
    shape = {
        "vocabulary": config.vocab_size,
        "d_model": config.d_model,
        "d_ff": config.d_ff,
        "heads": config.attention.num_heads,
        "layers": config.encoder_layers,
    }
    (work.folder / "shape.json").write_text(json.dumps(shape), "utf-8")
    torch.manual_seed(work.recipe.seed)
    bundle = Bundle(config, build(config), work.prepared.tokenizers, BundleInfo())
    (work.folder / "model").mkdir()
    write_transformers(bundle, work.folder / "model")


def tensors_of(batch: Batch) -> dict[str, torch.Tensor]:
    """A batch as plain tensors, 1 in a mask for what is real."""
    found = {"labels": batch.labels}
    for side, tokens in (("inputs", batch.inputs), ("source", batch.source)):
        if tokens is not None:
            found[side] = tokens.ids
            found[f"{side}_mask"] = (
                torch.ones_like(tokens.ids) if tokens.segments is None else (tokens.segments != 0).long()
            )
    return found


def lengths(tokens: Tokens | None, labels: torch.Tensor | None = None) -> list[int]:
    """How many real tokens each row has; a decoder's rows without segments end with their last label."""
    if tokens is None:
        return []
    if tokens.segments is not None:
        return tokens.segments.count_nonzero(dim=1).tolist()
    if labels is not None:
        return (labels != NO_LABEL).sum(dim=1).tolist()
    return [tokens.ids.shape[1]] * len(tokens.ids)


@contextmanager
def workplace(kept: Path | None) -> Iterator[Path]:
    """A folder for the files of a benchmark: a temporary one where none is named."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)
