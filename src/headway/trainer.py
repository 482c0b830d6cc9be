"""The parts of a run, put together from its recipe: model, batches, checkpoints, reports."""

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
import torch
from rich.console import Console
from safetensors.torch import save_file
from torch import Tensor

from headway.api import Pipeline
from headway.batch import Batch
from headway.bundle import Bundle, BundleInfo, Model, save_bundle
from headway.data.fingerprint import encoded_fingerprint
from headway.data.loader import Loader
from headway.data.objectives import CausalObjective, MaskedObjective, Objective, PairsObjective
from headway.data.prepare import Prepared, save_tokenizers, saved_tokenizers
from headway.data.token_file import TokenFile
from headway.diagnosis.inside import look_inside
from headway.diagnosis.watch import Watch, new_findings
from headway.errors import FolderError, RecipeError
from headway.model.architectures import Transformer, build
from headway.model_card import model_card
from headway.preflight.finding import Preflight
from headway.preflight.preflight import preflight
from headway.preflight.trial import Start
from headway.recipe import Recipe, recipe_text
from headway.run_folder import RunFolder
from headway.runtime import Precision, autocast, choose_device, choose_precision
from headway.samples import held_out_samples
from headway.sealed_folder import write_whole, writing
from headway.start_from import load_start
from headway.text.tokenizer import Tokenizers
from headway.training.average import mean_of, set_weights, start_average
from headway.training.checkpoint import Checkpoints
from headway.training.distributed import ALONE, Ranks
from headway.training.freeze import freeze
from headway.training.guard import DivergedError
from headway.training.interrupt import Interruption, interruption
from headway.training.kernel import choose_kernel, compile_layers, recompute_layers, use_kernel
from headway.training.loop import Batches, LookStoppedError, Plan, Reporter, Validation, train
from headway.training.loss import token_loss
from headway.training.optimizer import build_optimizer
from headway.training.parallel import is_sharded, spread
from headway.training.report import LivePanel, MetricsFile, PlainLines, Reporters, TensorBoard
from headway.training.schedule import peak_rate
from headway.training.state import TrainState

BASELINE_EXAMPLES = 200_000
"""Training examples that are counted for the baselines of evaluation."""

FAILED_BATCH = "failed-batch.safetensors"

Say = Callable[[str], None]


class Trainer:
    """Trains by a recipe on prepared text, alone or as one of several processes."""

    def __init__(self, folder: RunFolder, recipe: Recipe, prepared: Prepared, say: Say, ranks: Ranks) -> None:
        self.folder, self.recipe, self.prepared, self.say, self.ranks = folder, recipe, prepared, say, ranks
        self.asked = Interruption()
        self.place = folder.path.stat()
        self.device = choose_device(recipe.runtime.device)
        training = recipe.training
        self.checkpoints = Checkpoints(folder.checkpoints, training.keep_last, say, training.save_every)
        newest = self.checkpoints.newest_whole() if ranks.is_first else None
        self.newest: int | None = ranks.first_says(newest)
        self.model = self._new_model()
        self.state = self._new_state(self.model)
        objective = build_objective(recipe, prepared.tokenizers)
        self.train_batches = self._loader(prepared.train, objective)
        self.held_out = self._loader(prepared.valid, objective)

    def _loader(self, text: TokenFile, objective: Objective) -> Loader:
        recipe, ranks = self.recipe, self.ranks
        return Loader(text, objective, recipe.batch, seed=recipe.seed, rank=ranks.rank, world=ranks.world)

    def _new_model(self) -> Model:
        torch.manual_seed(self.recipe.seed)
        model = build(self.recipe.model).to(self.device)
        if self.recipe.start_from is not None and self.newest is None:
            load_start(model, self.recipe.start_from, self.prepared.tokenizers)
        freeze(model, self.recipe.training.freeze)
        return model

    def _new_state(self, model: Model) -> TrainState:
        recipe, ranks = self.recipe, self.ranks
        if recipe.optimizer.kind == "muon" and recipe.runtime.parallel == "fsdp" and ranks.world > 1:
            raise RecipeError("optimizer.kind = 'muon' needs whole matrices: choose runtime.parallel = 'ddp'")
        if recipe.runtime.recompute:
            recompute_layers(model)
        if recipe.runtime.compile:
            compile_layers(model)
        trainee = spread(model, ranks, recipe.runtime.parallel)
        average = start_average(model) if recipe.training.ema else None
        optimizer = build_optimizer(model, recipe.optimizer, self.peak_rate)
        return TrainState(model, optimizer, average=average, ranks=ranks, spread=trainee)

    @property
    def peak_rate(self) -> float:
        return peak_rate(self.recipe.optimizer, self.recipe.schedule, self.recipe.model.d_model)

    def run(self) -> tuple[str, dict[str, float]]:
        """Train to the end, and why it ended, with the model's metrics; or until asked to stop: then neither.

        Raises DivergedError, with the batch beside the run, where too many steps were left out.
        """
        self._begin_or_restore()
        if self.newest is None and self.recipe.training.checks:
            self._pass_checks()
        counters = self.state.counters
        plan = Plan(
            training=self.recipe.training,
            optimizer=self.recipe.optimizer,
            schedule=self.recipe.schedule,
            stop=self.recipe.stop,
            peak_rate=self.peak_rate,
            precision=self.precision,
            seed=self.recipe.seed,
        )
        self.say(self._describe())
        with interruption() as self.asked, self._reporters(counters.step) as reporter:
            batches: Batches = self.train_batches
            try:
                train(self.state, batches, plan, self._validate, self._save, reporter, self.asked)
            except DivergedError as error:
                raise DivergedError(f"{error}. {self._keep(error.batches)}", error.batches) from None
        if not counters.finished or self.ranks.sum([bool(self.asked)])[0]:
            return "", {}
        metrics = self._finish() if self.ranks.is_first else {}
        metrics = self.ranks.first_says(metrics)
        self.say(
            f"{counters.step:,} steps, {counters.tokens:,} predicted tokens in {counters.seconds:,.0f} s of "
            f"training; the gradient was clipped in {counters.clipped / counters.step:.0%} of steps"
            + (f", and {counters.skipped:,} steps were left out" if counters.skipped else "")
        )
        return counters.finished, metrics

    def check(self) -> Preflight:
        """What is to be said of text, held-out text and model before the first step; nothing is trained."""
        self._begin_or_restore()
        return self._look()

    def _look(self) -> Preflight:
        model = None if is_sharded(self.model) else self.model
        batches = next(self.train_batches.epoch(0))
        return preflight(Start(self.recipe, self.prepared, model, batches, self.precision, self.peak_rate))

    def _pass_checks(self) -> None:
        """Raises UserError for what makes training meaningless; the first process looks for all."""
        found: Preflight = self.ranks.first_says(self._look() if self.ranks.is_first else None)
        if self.ranks.is_first:
            write_whole(self.folder.preflight, found.to_json())
        for line in found.told():
            self.say(line)
        found.refuse_faults()

    @property
    def precision(self) -> Precision:
        """That with which the run began, whatever would be measured now."""
        return self.state.counters.precision or "float32"

    def _describe(self) -> str:
        several = [p.numel() for p in self.model.parameters()]
        frozen = sum(p.numel() for p in self.model.parameters() if not p.requires_grad)
        return (
            f"{self.recipe.model.architecture} of {sum(several):,} parameters"
            + (f", of which {frozen:,} stay as they are" if frozen else "")
            + f", {self.device}, {self.precision}"
            + (f", {self.ranks.world} processes" if self.ranks.world > 1 else "")
        )

    def _begin_or_restore(self) -> None:
        """Take up the newest checkpoint, if there is one, and make sure that it goes with this text."""
        recipe, tokenizers = self.recipe, self.prepared.tokenizers
        now = (encoded_fingerprint("", tokenizers), self.prepared.train.fingerprint)
        if self.newest is not None:
            self.checkpoints.restore(self.state, self.newest)
            self.say(f"going on from step {self.newest:,}")
        counters = self.state.counters
        if counters.precision is None:
            chosen = choose_precision(recipe.runtime.precision, self.device)
            counters.precision = self.ranks.first_says(chosen)
        if counters.attention is None:
            kernel = choose_kernel(recipe.runtime.attention, self.device, counters.precision)
            counters.attention = self.ranks.first_says(kernel)
        use_kernel(self.model, counters.attention)
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
        if self.ranks.is_first and not self._has_tokenizers():
            save_tokenizers(self.folder.tokenizers, tokenizers, recipe.text, recipe.reads_pairs)

    def _has_tokenizers(self) -> bool:
        """Whether the run folder has them; then they are not written again, and cannot get lost in that."""
        saved = saved_tokenizers(self.folder.tokenizers, self.recipe.text, self.recipe.reads_pairs)
        now = encoded_fingerprint("", self.prepared.tokenizers)
        return saved is not None and encoded_fingerprint("", saved) == now

    def _save(self, state: TrainState) -> None:
        self._check_place()
        self.checkpoints.save(state)

    def _check_place(self) -> None:
        """Raises FolderError if the run folder is gone, and where another one has its name."""
        path = self.folder.path
        if not path.is_dir() or not os.path.samestat(path.stat(), self.place):
            raise FolderError(f"{path}: was removed or replaced while the run was going on")

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
        if not self.ranks.is_first:
            yield Reporters([])
            return
        every = self.recipe.training.report_every
        several: list[Reporter] = [MetricsFile(self.folder.path, every, step)]
        if self.recipe.training.tensorboard:
            several.append(TensorBoard(self.folder.path / "tensorboard", every))
        console = Console(stderr=True)
        if console.is_terminal:
            with LivePanel(console) as panel:
                yield self._watched([*several, panel])
        else:
            yield self._watched([*several, PlainLines()])

    def _watched(self, several: list[Reporter]) -> Reporter:
        """Reporters that are warned of signs of trouble in what they have written."""
        told = Reporters(several)
        return Reporters([told, Watch(self.folder.path, told)])

    def _validate(self, state: TrainState) -> Validation:
        batches = self._until_asked(self.held_out.ordered())
        metrics = held_out_loss(state.model, batches, self.precision, self.ranks)
        if not self.ranks.is_first or is_sharded(state.model):  # shards cannot decode apart from each other
            return Validation(metrics)
        pipeline = Pipeline(self._bundle(self.model, {}))
        samples = held_out_samples(pipeline, self.prepared.valid, self.recipe.training.samples)
        inside = look_inside(state, self.held_out.objective, self.prepared.valid, self.peak_rate)
        return Validation(metrics, samples, inside)

    def _until_asked(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            if self.ranks.sum([bool(self.asked)])[0]:
                raise LookStoppedError
            yield batch

    def _keep(self, batches: Sequence[Batch]) -> str:
        """Writes batches beside the run, for whoever looks into them; says where."""
        path = self.folder.path / FAILED_BATCH
        tensors: dict[str, Tensor] = {}
        for number, batch in enumerate(batches):
            tensors[f"{number}/labels"] = batch.labels
            for side, tokens in (("inputs", batch.inputs), ("source", batch.source)):
                if tokens is not None:
                    tensors[f"{number}/{side}"] = tokens.ids
                if tokens is not None and tokens.segments is not None:
                    tensors[f"{number}/{side}_segments"] = tokens.segments
        if self.ranks.is_first:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
        return f"The last one's batch is in {path}"

    def _bundle(self, model: Model, metrics: dict[str, float]) -> Bundle:
        text, pairs = self.prepared.train, self.recipe.reads_pairs
        info = BundleInfo(
            longest_source=text.longest_source,
            longest_target=text.longest if pairs else self.recipe.batch.context,
            **self.commonest,
            search=asdict(self.recipe.search),
            metrics=metrics,
        )
        return Bundle(self.recipe.model, model, self.prepared.tokenizers, info)

    def _finish(self) -> dict[str, float]:
        """A model with the weights that the recipe asks for, judged, and written as the model folder."""
        training, counters = self.recipe.training, self.state.counters
        if training.final == "average":
            steps = self.checkpoints.to_average(training.average, counters.step)
            weights = mean_of([self.checkpoints.weights(step) for step in steps])
        else:
            best = training.final == "best" and counters.best_step is not None
            step = counters.best_step if best else counters.step
            assert step is not None
            weights = self.checkpoints.weights(step, averaged=bool(training.ema))
        model = build(self.recipe.model).to(self.device) if is_sharded(self.model) else self.model
        set_weights(model, weights)
        alone = Loader(self.prepared.valid, self.held_out.objective, self.recipe.batch, seed=self.recipe.seed)
        metrics = held_out_loss(model, alone.ordered(), self.precision)
        bundle = self._bundle(model, metrics)
        title = self.folder.path.resolve().name
        card = model_card(bundle, title=title, data=self.prepared.report, recipe=recipe_text(self.recipe))
        self._check_place()
        with writing(self.folder.model):
            save_bundle(bundle, self.folder.model, card)
        for finding in new_findings(self.folder.path, counters.step):
            self.say(f"warning: {finding}")
        return metrics


def build_objective(recipe: Recipe, tokenizers: Tokenizers) -> Objective:
    """The objective that the model's architecture learns by."""
    match recipe.model.architecture:
        case "encoder-decoder":
            source, target = tokenizers
            assert source is not None, "pairs have a source tokenizer"
            return PairsObjective(source.special, target.special)
        case "decoder":
            return CausalObjective(tokenizers.target.special)
        case "encoder":
            masking, target = recipe.masking, tokenizers.target
            starts = target.word_starts if masking.whole_words else None
            return MaskedObjective(
                target.special,
                target.vocab_size,
                rate=masking.rate,
                rate_end=masking.rate_end,
                word_starts=starts,
            )


@torch.no_grad()
def held_out_loss(
    model: Transformer, batches: Iterator[Batch], precision: Precision, ranks: Ranks = ALONE
) -> dict[str, float]:
    """Loss in nats per label without smoothing, its exponential, and the share of labels predicted right."""
    device = next(model.parameters()).device
    total, labels, correct = 0.0, 0.0, 0.0
    model.eval()
    for batch in batches:
        with autocast(device, precision):
            loss = token_loss(model, batch.to(device))
        total, labels = total + float(loss.total), labels + int(loss.labels)
        correct += int(loss.correct)
    total, labels, correct = ranks.sum([total, labels, correct])
    mean = total / max(1, labels)
    perplexity = math.exp(mean) if mean < 700 else math.inf
    return {"loss": mean, "perplexity": perplexity, "accuracy": correct / max(1, labels)}
