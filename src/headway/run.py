"""A run: from a recipe, or from where it stopped, to a model folder."""

import json
import math
import os
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from headway.api import Pipeline
from headway.batch import Batch
from headway.bundle import Bundle, BundleInfo, save_bundle
from headway.data.corpus import DataConfig
from headway.data.fingerprint import encoded_fingerprint
from headway.data.loader import Loader
from headway.data.objectives import CausalObjective, MaskedObjective, Objective, PairsObjective
from headway.data.prepare import Prepared, prepare, save_tokenizers, saved_tokenizers
from headway.errors import FolderError, RecipeError, UserError
from headway.model.architectures import Transformer, build
from headway.model.config import TransformerConfig
from headway.model_card import model_card
from headway.recipe import Recipe, read_whole_recipe, recipe_text
from headway.run_folder import RunFolder
from headway.runtime import Precision, autocast, choose_device, choose_precision
from headway.samples import held_out_samples
from headway.text.tokenizer import Tokenizers
from headway.training.average import mean_of, set_weights, start_average
from headway.training.checkpoint import Checkpoints
from headway.training.interrupt import interruption
from headway.training.loop import Batches, Plan, Reporter, Validation, train
from headway.training.loss import token_loss
from headway.training.optimizer import build_optimizer
from headway.training.report import LivePanel, MetricsFile, PlainLines, Reporters, TensorBoard
from headway.training.schedule import peak_rate
from headway.training.state import TrainState

BASELINE_EXAMPLES = 200_000
"""Training examples that are counted for the baselines of evaluation."""

INTERRUPTED = 130
"""What a shell expects of a process that Ctrl-C ended."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """How a run ended: with a model folder, or asked to stop by a signal."""

    folder: RunFolder
    reason: str
    metrics: dict[str, float]
    exit_status: int = 0


def start(recipe: Recipe, folder: Path, say: Say) -> Outcome:
    """Train by the recipe in a new folder. Raises FolderError if something is there."""
    if folder.exists() and any(folder.iterdir()):
        raise FolderError(
            f"{folder}: is there already; go on with it by `headway train {folder}`, or name another"
        )
    ours = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    run = RunFolder(folder)
    recipe = replace(recipe, data=_with_paths(recipe.data, os.path.expanduser))
    try:
        with run.locked():
            try:
                _begin(run, recipe)
                return _go_on(run, recipe, say)
            except UserError:
                if ours and not run.checkpoints.exists():
                    run.take_back()
                raise
    finally:
        if ours:
            with suppress(OSError):  # something is in it
                folder.rmdir()


def resume(folder: Path, say: Say) -> Outcome:
    """Go on with the run in a folder from its newest whole checkpoint, or from the start if it has none."""
    run = RunFolder(folder)
    if not run.exists:
        raise FolderError(f"{folder}: is no run folder, since {run.recipe.name} is missing")
    with run.locked():
        return _go_on(run, read_whole_recipe(run.recipe), say)


def _begin(run: RunFolder, recipe: Recipe) -> None:
    """Write what a run is known by: the recipe with whole paths, to go on from wherever, and facts."""
    whole = replace(recipe, data=_with_paths(recipe.data, lambda path: str(Path(path).absolute())))
    run.recipe.write_text(recipe_text(whole), "utf-8")
    facts = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": recipe.seed,
        "versions": {name: version(name) for name in ("headway", "torch", "tokenizers", "numpy")},
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    (run.path / "run.json").write_text(json.dumps(facts, indent=2) + "\n", "utf-8")


def _with_paths(data: DataConfig, change: Callable[[str], str]) -> DataConfig:
    """The same data with its paths changed; standard input and what is empty are no paths."""
    train, valid, (cache,) = (
        tuple(path if path in ("", "-") else change(path) for path in paths)
        for paths in (data.train, data.valid, (data.cache,))
    )
    return replace(data, train=train, valid=valid, cache=cache)


def _go_on(run: RunFolder, recipe: Recipe, say: Say) -> Outcome:
    """Prepare the text and train; the tokenizers with which the run began stay, even if the text changes."""
    if recipe.runtime.threads:
        torch.set_num_threads(recipe.runtime.threads)
    try:
        prepared = prepare(
            recipe.data,
            recipe.text,
            pairs=recipe.reads_pairs,
            folder=Path(recipe.data.cache) if recipe.data.cache else run.data,
            seed=recipe.seed,
            progress=say,
            tokenizers=saved_tokenizers(run.tokenizers, recipe.text, recipe.reads_pairs),
        )
        for line in prepared.report:
            say(line)
        recipe = replace(recipe, model=with_vocabulary(recipe.model, prepared.tokenizers))
        check_positions(recipe, prepared)
        return _Training(run, recipe, prepared, say).run()
    except KeyboardInterrupt:
        return Outcome(run, "stopped at once", {}, INTERRUPTED)


def with_vocabulary(model: TransformerConfig, tokenizers: Tokenizers) -> TransformerConfig:
    """The model at the sizes that its tokenizers really have."""
    source, target = tokenizers
    own = source.vocab_size if source is not None and source is not target else None
    return replace(model, vocab_size=target.vocab_size, source_vocab_size=own)


def check_positions(recipe: Recipe, prepared: Prepared) -> None:
    """Raises RecipeError if a text is longer than the table of learned positions."""
    positions = recipe.model.positions
    if positions.kind != "learned":
        return
    needed, remedy = recipe.batch.context, "choose a shorter batch.context"
    if recipe.reads_pairs:
        files = (prepared.train, prepared.valid)
        sides = [side for file in files for side in (file.lengths, file.source_lengths) if side is not None]
        needed = max(int(side.max()) for side in sides) + 1
        remedy = "leave longer pairs out by data.max_source and data.max_target"
    if needed > positions.max_length:
        raise RecipeError(
            f"model.positions.max_length = {positions.max_length}: rows of {needed} tokens need as many "
            f"learned positions; raise it, or {remedy}"
        )


class _Training:
    """The parts of a run, put together."""

    def __init__(self, folder: RunFolder, recipe: Recipe, prepared: Prepared, say: Say) -> None:
        self.folder, self.recipe, self.prepared, self.say = folder, recipe, prepared, say
        self.device = choose_device(recipe.runtime.device)
        self.precision: Precision = choose_precision(recipe.runtime.precision, self.device)
        torch.manual_seed(recipe.seed)
        model = build(recipe.model).to(self.device)
        self.model = model
        rate = peak_rate(recipe.optimizer, recipe.schedule, recipe.model.d_model)
        average = start_average(model) if recipe.training.ema else None
        self.state = TrainState(model, build_optimizer(model, recipe.optimizer, rate), average=average)
        self.plan = Plan(
            training=recipe.training,
            optimizer=recipe.optimizer,
            schedule=recipe.schedule,
            stop=recipe.stop,
            peak_rate=rate,
            precision=self.precision,
        )
        training = recipe.training
        self.checkpoints = Checkpoints(folder.checkpoints, training.keep_last, say, training.save_every)
        objective = build_objective(recipe, prepared.tokenizers)
        self.train_batches = Loader(prepared.train, objective, recipe.batch, seed=recipe.seed)
        self.held_out = Loader(prepared.valid, objective, recipe.batch, seed=recipe.seed)

    def run(self) -> Outcome:
        self._begin_or_restore()
        counters = self.state.counters
        parameters = sum(p.numel() for p in self.model.parameters())
        self.say(
            f"{self.recipe.model.architecture} of {parameters:,} parameters, {self.device}, {self.precision}"
        )
        with interruption() as asked, self._reporters(counters.step) as reporter:
            batches: Batches = self.train_batches
            train(self.state, batches, self.plan, self._validate, self.checkpoints.save, reporter, asked)
        if not counters.finished:
            return Outcome(self.folder, "stopped when asked to", {}, asked.exit_status)
        metrics = self._finish()
        self.say(
            f"{counters.step:,} steps, {counters.tokens:,} predicted tokens in {counters.seconds:,.0f} s of "
            f"training; the gradient was clipped in {counters.clipped / counters.step:.0%} of steps"
            + (f", and {counters.skipped:,} steps were left out" if counters.skipped else "")
        )
        return Outcome(self.folder, counters.finished, metrics)

    def _begin_or_restore(self) -> None:
        """Take up the newest checkpoint, if there is one, and make sure that it goes with this text."""
        recipe, tokenizers = self.recipe, self.prepared.tokenizers
        now = (encoded_fingerprint("", tokenizers), self.prepared.train.fingerprint)
        newest = self.checkpoints.newest_whole()
        if newest is not None:
            self.checkpoints.restore(self.state, newest)
            self.say(f"going on from step {newest:,}")
        counters = self.state.counters
        if counters.tokenizers not in ("", now[0]):
            raise FolderError(
                f"{self.folder.path}: its tokenizers are not those that the run began with; "
                f"put them and the table text of {self.folder.recipe.name} back, or start a new run"
            )
        if counters.text not in ("", now[1]):
            self.say(
                "warning: the text, or the way it is read, has changed since the run began; what is held out "
                "now may have been learned before, so held-out figures are no longer clean"
            )
        counters.tokenizers = now[0]
        counters.text = counters.text or now[1]
        save_tokenizers(self.folder.tokenizers, tokenizers, recipe.text, recipe.reads_pairs)

    @cached_property
    def commonest(self) -> dict[str, Any]:
        """What a prediction without looking would be, for the baselines of evaluation."""
        train, target = self.prepared.train, self.prepared.tokenizers.target
        match self.recipe.model.architecture:
            case "encoder-decoder":
                some = range(min(len(train), BASELINE_EXAMPLES))
                [(ids, _)] = Counter(train.ids(i).tobytes() for i in some).most_common(1)
                return {"commonest_target": target.decode(np.frombuffer(ids, train.ids(0).dtype).tolist())}
            case "encoder":
                counts = train.counts(target.vocab_size, BASELINE_EXAMPLES)
                return {"commonest_token": int(counts.argmax())}
            case "decoder":
                return {}

    @contextmanager
    def _reporters(self, step: int) -> Iterator[Reporter]:
        every = self.recipe.training.report_every
        several: list[Reporter] = [MetricsFile(self.folder.path, every, step)]
        if self.recipe.training.tensorboard:
            several.append(TensorBoard(self.folder.path / "tensorboard", every))
        console = Console(stderr=True)
        if console.is_terminal:
            with LivePanel(console) as panel:
                yield Reporters([*several, panel])
        else:
            yield Reporters([*several, PlainLines()])

    def _validate(self, state: TrainState) -> Validation:
        metrics = held_out_loss(state.model, self.held_out.ordered(), self.precision)
        pipeline = Pipeline(self._bundle({}))
        samples = held_out_samples(pipeline, self.prepared.valid, self.recipe.training.samples)
        return Validation(metrics, samples)

    def _bundle(self, metrics: dict[str, float]) -> Bundle:
        lengths, sources = self.prepared.train.lengths, self.prepared.train.source_lengths
        pairs = sources is not None
        info = BundleInfo(
            longest_source=int(sources.max()) if sources is not None else 0,
            longest_target=int(lengths.max()) if pairs else self.recipe.batch.context,
            **self.commonest,
            search=asdict(self.recipe.search),
            metrics=metrics,
        )
        return Bundle(self.recipe.model, self.model, self.prepared.tokenizers, info)

    def _finish(self) -> dict[str, float]:
        """Give the model the weights that the recipe asks for, judge it, and write the model folder."""
        training, counters = self.recipe.training, self.state.counters
        averaged = bool(training.ema)
        if training.final == "average":
            steps = self.checkpoints.to_average(training.average, counters.step)
            set_weights(self.model, mean_of([self.checkpoints.weights(step) for step in steps]))
        else:
            best = training.final == "best" and counters.best_step is not None
            step = counters.best_step if best else counters.step
            assert step is not None
            set_weights(self.model, self.checkpoints.weights(step, averaged))
        metrics = held_out_loss(self.model, self.held_out.ordered(), self.precision)
        bundle = self._bundle(metrics)
        title = self.folder.path.resolve().name
        card = model_card(bundle, title=title, data=self.prepared.report, recipe=recipe_text(self.recipe))
        save_bundle(bundle, self.folder.model, card)
        return metrics


def build_objective(recipe: Recipe, tokenizers: Tokenizers) -> Objective:
    """The objective that the model's architecture learns by."""
    match recipe.model.architecture:
        case "encoder-decoder":
            return PairsObjective()
        case "decoder":
            return CausalObjective()
        case "encoder":
            masking, target = recipe.masking, tokenizers.target
            starts = target.word_starts if masking.whole_words else None
            return MaskedObjective(
                target.vocab_size, rate=masking.rate, rate_end=masking.rate_end, word_starts=starts
            )


@torch.no_grad()
def held_out_loss(model: Transformer, batches: Iterator[Batch], precision: Precision) -> dict[str, float]:
    """Loss in nats per label without smoothing, its exponential, and the share of labels predicted right."""
    device = next(model.parameters()).device
    total, labels, correct = 0.0, 0, 0
    model.eval()
    for batch in batches:
        with autocast(device, precision):
            loss = token_loss(model, batch.to(device))
        total, labels = total + float(loss.total), labels + int(loss.labels)
        correct += int(loss.correct)
    mean = total / max(1, labels)
    perplexity = math.exp(mean) if mean < 700 else math.inf
    return {"loss": mean, "perplexity": perplexity, "accuracy": correct / max(1, labels)}


def say_on_stderr(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
