"""What `planning.py` trains: the trials that a list of experiments asks for, and what each of them costs."""

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from model_flops import training_flops
from quality_data import Corpus

from headway.config import apply_overrides
from headway.data.loader import Loader
from headway.data.prepare import prepare
from headway.recipe import Recipe, resolve
from headway.run import with_vocabulary
from headway.trainer import build_objective

BASE = "base"


@dataclass(frozen=True)
class Experiment:
    """A kind of data: its data sets, the base recipe, the variations, what is judged beside the loss."""

    kind: str
    data: tuple[str, ...]
    measure: str
    """Of `headway evaluate`; empty = the loss alone."""
    steps: int
    base: tuple[str, ...]
    variations: Mapping[str, tuple[str, ...]]

    def settings(self, variation: str) -> dict[str, str]:
        """The recipe's keys and values under a variation."""
        changes = () if variation == BASE else self.variations[variation]
        return pairs_of((*self.base, *changes))


@dataclass(frozen=True)
class Trial:
    """One run: a variation on a data set with a seed."""

    experiment: Experiment
    data: str
    variation: str
    seed: int
    steps: int

    def key(self) -> dict[str, Any]:
        """What must be equal for a row to be this trial's."""
        return {
            "data": self.data,
            "variation": self.variation,
            "seed": self.seed,
            "steps": self.steps,
            "settings": self.experiment.settings(self.variation),
        }

    @property
    def run(self) -> str:
        """The name of its run folder, another one for other settings."""
        content = json.dumps(self.key(), sort_keys=True).encode()
        plain = self.data.replace("/", "-")
        return f"{plain}-{hashlib.sha256(content).hexdigest()[:10]}"


def pairs_of(lines: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE lines as a table; of several with one key the last counts."""
    return {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}


def read_experiments(path: Path) -> list[Experiment]:
    """The experiments of a list."""
    tables = tomllib.loads(path.read_text("utf-8"))
    return [
        Experiment(
            kind,
            tuple(table["data"]),
            table["measure"],
            table["steps"],
            tuple(table["base"]),
            {name: tuple(lines) for name, lines in table["variations"].items()},
        )
        for kind, table in tables.items()
    ]


def recipe_of(settings: Mapping[str, str], corpus: Corpus, seed: int, steps: int, cache: Path) -> Recipe:
    """The whole recipe, which nothing of Headway's own choices for this kind of data enters."""
    assert corpus.dev is not None, "experiments are judged on a development part"
    table: dict[str, Any] = {
        "seed": seed,
        "data": {"train": [str(corpus.train)], "valid": [str(corpus.dev)], "cache": str(cache)},
        "stop": {"steps": steps},
        "training": {
            "validate_every": steps,
            "save_every": min(steps, 200),
            "report_every": 1 if steps < 20 else 10,
            "samples": 0,
        },
        "runtime": {"device": "cpu", "precision": "float32", "threads": 1},
    }
    overrides = [f"{key}={value}" for key, value in settings.items()]
    return resolve(apply_overrides(Recipe, table, overrides))


def cache_of(settings: Mapping[str, str], data: str, work: Path) -> Path:
    """A folder for encoded text that all runs share which read it alike."""
    own = {key: value for key, value in settings.items() if key.startswith(("text.", "data."))}
    name = hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:8]
    return work / "encoded" / f"{data.replace('/', '-')}-{name}"


def step_flops(recipe: Recipe) -> float:
    """Floating-point operations of the matrix products of a step, on average over an epoch."""
    prepared = prepare(
        recipe.data,
        recipe.text,
        pairs=recipe.reads_pairs,
        folder=Path(recipe.data.cache),
        seed=recipe.seed,
        progress=lambda line: None,
    )
    model = with_vocabulary(recipe.model, prepared.tokenizers)
    objective = build_objective(recipe, prepared.tokenizers)
    batches = Loader(prepared.train, objective, recipe.batch, seed=recipe.seed).batches(0)
    readings = recipe.training.loss.readings
    targets = np.diff(prepared.train.starts) + 1
    if prepared.train.source_starts is None:
        total, context = int(targets.sum()), recipe.batch.context
        rows = [context] * max(1, total // context)
        return readings * training_flops(model, rows, [], sum(rows)) / batches
    sources = (np.diff(prepared.train.source_starts) + 1).tolist()
    return readings * training_flops(model, targets.tolist(), sources, int(targets.sum())) / batches


def trials_of(
    experiment: Experiment,
    data: str,
    variations: Sequence[str],
    steps: Mapping[str, int],
    seeds: int,
    base_seeds: int,
) -> list[Trial]:
    """The base model once, then the variations, then the seeds."""
    found = []
    for seed in range(1, max(seeds, base_seeds) + 1):
        for variation in variations:
            if seed <= (base_seeds if variation == BASE else seeds):
                found.append(Trial(experiment, data, variation, seed, steps[variation]))
    return found
