"""A trained model in Python: `headway.load(folder)` gives a Pipeline that takes and gives text."""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import asdict
from functools import cached_property, partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float

from headway.bundle import Bundle, load_bundle
from headway.config import apply_overrides, from_table
from headway.decoding.batches import token_batches
from headway.decoding.ensemble import ensemble_of
from headway.decoding.fill_mask import Filled, Filler
from headway.decoding.generator import Generator
from headway.decoding.hypothesis import Hypothesis
from headway.decoding.layout import preparation
from headway.decoding.processes import MOST, PART, Work, in_processes
from headway.decoding.score import Score, Scorer
from headway.decoding.settings import SearchConfig
from headway.decoding.steps import pad_encoder
from headway.errors import UserError
from headway.inspection.masks import MaskView, mask_views
from headway.inspection.positions import PositionView, position_view
from headway.inspection.record import Recording, record_attention
from headway.model.architectures import EncoderDecoder, MaskedLM
from headway.model.config import Architecture
from headway.run_folder import model_folder
from headway.runtime import choose_device

WORK_THAT_PAYS = 10**12
"""Parameters times rows times characters from which on it pays to start processes, which takes seconds."""


class Pipeline:
    """One model, or an ensemble of several, ready to use: what it does follows from how it was trained."""

    def __init__(self, *bundles: Bundle) -> None:
        self.bundle = bundles[0]
        self.ensemble = ensemble_of(bundles)
        self.search = from_table(SearchConfig, self.bundle.meta.search)
        self.open_again: Callable[[], Pipeline] | None = None
        """How other processes open the same models; None where they cannot."""

    def __repr__(self) -> str:
        device, several = self.ensemble.device.type, len(self.ensemble.models)
        among = f", first of an ensemble of {several}" if several > 1 else ""
        return f"Pipeline({self.bundle!r}, on {device}{among})"

    @property
    def architecture(self) -> Architecture:
        return self.bundle.architecture

    def with_search(self, changes: Mapping[str, Any]) -> "Pipeline":
        """The same models, with some settings of the search changed: `{"method": "sample", "top_p": 0.9}`."""
        changed = copy(self)
        changed.search = from_table(SearchConfig, {**asdict(self.search), **changes})
        if self.architecture == "encoder":
            refuse_search(changes)
        return changed

    def with_overrides(self, overrides: Sequence[str]) -> "Pipeline":
        """As `with_search`, from `KEY=VALUE` as typed."""
        table = apply_overrides(SearchConfig, asdict(self.search), overrides)
        return self.with_search({key: table[key] for key in map(key_of, overrides)})

    def predict(self, texts: str | Sequence[str]) -> Any:
        """The output for a text, or a list of them for several.

        Encoder-decoder: what the source becomes. Encoder: the text with its blanks filled. Decoder: the
        continuation of the prompt.
        """
        several = [texts] if isinstance(texts, str) else list(texts)
        if self.architecture == "encoder":
            found = [filled.text for filled in self.fill(several)]
        else:
            found = [hypotheses[0].text for hypotheses in self.hypotheses(several)]
        return found[0] if isinstance(texts, str) else found

    def predict_each(self, texts: Iterable[str], processes: int | Literal["auto"] = 1) -> Iterator[str]:
        """The output for each of any number of texts, in their order, without holding them all.

        Several `processes` share the work of a model on the CPU, and its threads; `auto` starts them where
        the texts are many enough. They start this program's main module anew, so a script that asks for them
        does its work under `if __name__ == "__main__":`.
        """
        return chain.from_iterable(self.in_parts(texts, Pipeline.predict, processes))

    def in_parts(
        self, texts: Iterable[str], answer: "Answer", processes: int | Literal["auto"] = 1
    ) -> Iterator[list[str]]:
        """As `predict_each`, part by part, and by any `answer` that pickle can name."""
        source = iter(texts)
        if processes == "auto":
            ahead = list(islice(source, 2 * PART * min(torch.get_num_threads(), MOST)))
            processes, source = self._processes_that_pay(ahead), chain(ahead, source)
        elif processes > 1 and (problem := self._alone_because()):
            raise UserError(f"{processes} processes: {problem}")
        parts = iter(lambda: list(islice(source, PART)), [])
        if processes == 1:
            return map(partial(answer, self), parts)
        assert self.open_again is not None, "as _alone_because said"
        threads = max(1, torch.get_num_threads() // processes)
        return in_processes(
            partial(_open_work, self.open_again, self.search, answer, threads), parts, processes
        )

    def _alone_because(self) -> str:
        """Why one process must do all the work; nothing if several can."""
        if self.ensemble.device.type != "cpu":
            return f"they share the cores of a processor, and this model is on {self.ensemble.device.type}"
        return "" if self.open_again else "only models that `headway.load` opened can be opened again"

    def _processes_that_pay(self, ahead: Sequence[str]) -> int:
        """One for each thread and part of the text read ahead, if together they repay their start."""
        parameters = sum(weight.numel() for model in self.ensemble.models for weight in model.parameters())
        copies = self.search.beams if self.search.method == "beam" else self.search.n_best
        work = parameters * copies * sum(map(len, ahead))
        if work < WORK_THAT_PAYS or self._alone_because():
            return 1
        return min(torch.get_num_threads(), MOST, math.ceil(len(ahead) / PART))

    def hypotheses(
        self, texts: Sequence[str], prefixes: Sequence[str] | None = None
    ) -> list[list[Hypothesis]]:
        """The best outputs for each text, with scores; `prefixes` are what they are to begin with."""
        return Generator(self.ensemble, self.search).generate(texts, prefixes)

    def stream(self, prompt: str) -> Iterator[str]:
        """The continuation of a prompt in pieces, as it grows."""
        return Generator(self.ensemble, self.search).stream(prompt)

    def prompt_that_fits(self, prompt: str) -> str:
        """A causal model's prompt, or where it leaves no room to go on, its longest end that leaves some."""
        return Generator(self.ensemble, self.search).prompt_that_fits(prompt)

    def fill(self, texts: Sequence[str], candidates: int = 5) -> list[Filled]:
        """Each text with its blanks filled, and the likeliest candidates for each blank."""
        return Filler(self.ensemble, self.search.batch_tokens).fill(texts, candidates)

    def score(self, texts: str | Sequence[str], sources: str | Sequence[str] | None = None) -> Any:
        """How likely a text is (given its source, for an encoder-decoder), token by token, in nats.

        A `Score` for a text, a list of them for several.
        """
        several = [texts] if isinstance(texts, str) else list(texts)
        given = [sources] if isinstance(sources, str) else sources
        found: list[Score] = Scorer(self.ensemble, self.search.batch_tokens).score(several, given)
        return found[0] if isinstance(texts, str) else found

    def attend(self, text: str, output: str | None = None) -> Recording:
        """What every head of the (first) model looks at in one pass over a text.

        `text` is what the model reads; `output` what an encoder-decoder is taken to have written, by default
        its own.
        """
        if self.architecture != "encoder-decoder":
            _refuse_output(output)
            return record_attention(self.bundle, None, text)
        return record_attention(self.bundle, text, self.predict(text) if output is None else output)

    def masks(self, text: str, output: str | None = None) -> list[MaskView]:
        """What each position of the (first) model may see in one pass; text and output as of `attend`."""
        if self.architecture != "encoder-decoder":
            _refuse_output(output)
            return mask_views(self.bundle, None, text)
        return mask_views(self.bundle, text, self.predict(text) if output is None else output)

    def positions(self, length: int = 100) -> PositionView:
        """How the (first) model tells the first places of a text apart."""
        return position_view(self.bundle.model, length)

    @cached_property
    def reader(self) -> MaskedLM | EncoderDecoder:
        """The first model, if it has an encoder to embed with."""
        model = self.bundle.model
        if isinstance(model, MaskedLM | EncoderDecoder):
            return model
        raise UserError(
            "a decoder alone has no encoder to embed text with: use an encoder or an encoder-decoder"
        )

    @torch.no_grad()
    def embed(self, texts: str | Sequence[str]) -> Float[np.ndarray, "*n D"]:
        """A vector for each text: the mean of the encoder's states over its tokens, <s> and </s> left out.

        A text longer than the model's context is read in windows, whose tokens count alike. An imported model
        may count special tokens and scale vectors to length 1 (`meta.embeds_frame`, `meta.embeds_unit`).
        """
        several = [texts] if isinstance(texts, str) else list(texts)
        tokenizer = self.bundle.tokenizers.source or self.bundle.tokenizers.target
        rows = [
            (i, part) for i, ids in enumerate(tokenizer.encode_batch(several)) for part in self._windows(ids)
        ]
        sums = np.zeros((len(several), self.bundle.config.d_model), np.float64)
        counts = np.zeros(len(several))
        for batch in token_batches([len(part) + 2 for _, part in rows], self.search.batch_tokens):
            states = self._states([rows[i][1] for i in batch])
            for i, state in zip(batch, states, strict=True):
                text, _ = rows[i]
                sums[text] += state.sum(axis=0)
                counts[text] += len(state)
        means = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
        if self.bundle.meta.embeds_unit:
            means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        return means[0] if isinstance(texts, str) else means

    def _windows(self, ids: list[int]) -> list[list[int]]:
        masked = isinstance(self.reader, MaskedLM)
        room = self.ensemble.context - 2 if masked else self.ensemble.source_room
        if room < 1 or len(ids) <= room:
            return [ids]
        return [ids[start : start + room] for start in range(0, len(ids), room)]

    def _states(self, rows: Sequence[list[int]]) -> list[Float[np.ndarray, "n D"]]:
        """The encoder's states at the tokens of each row that count for its vector."""
        model, (source, target) = self.reader, self.bundle.tokenizers
        around = 0
        if isinstance(model, MaskedLM):
            special = target.special
            first = len(special.start([]))
            if self.bundle.meta.embeds_frame:
                first, around = 0, len(special.whole([]))
            framed = [special.whole(row) for row in rows]
            tokens = pad_encoder(framed, special.pad, self.ensemble.device)
        else:
            assert source is not None, "an encoder-decoder has a source tokenizer"
            first = len(source.special.source([])) - 1
            tokens = self.ensemble.source_tokens(rows)
        with self.ensemble.evaluating():
            hidden = model(tokens) if isinstance(model, MaskedLM) else model.encode(tokens)
        return [
            h[first : first + len(row) + around].float().cpu().numpy()
            for h, row in zip(hidden, rows, strict=True)
        ]


Answer = Callable[[Pipeline, list[str]], list[str]]
"""Makes lines of texts."""


def _open_work(
    open_again: Callable[[], Pipeline], search: SearchConfig, answer: Answer, threads: int
) -> Work:
    """A worker's own model, and what is done with it."""
    os.environ["RAYON_NUM_THREADS"] = str(threads)  # of the tokenizer
    torch.set_num_threads(threads)
    pipeline = open_again()
    pipeline.search = search
    return partial(answer, pipeline)


def _refuse_output(output: str | None) -> None:
    if output is not None:
        raise UserError("only an encoder-decoder's output is apart from what it reads")


def key_of(override: str) -> str:
    """The key of `KEY=VALUE`."""
    return override.partition("=")[0].strip()


def refuse_search(keys: Iterable[str]) -> None:
    """Raises UserError for settings of the search that have no effect where nothing is searched for."""
    for key in keys:
        if key != "batch_tokens":
            raise UserError(f"{key}: has no effect, for nothing is searched for here; leave it out")


def load(*folders: str | Path, device: str = "auto", precision: str = "float32") -> Pipeline:
    """The model in a model or run folder, ready to use; several of one vocabulary become an ensemble.

    `precision` is `float32`, or `int8` on a CPU: faster, and a little less exact. Raises FolderError, naming
    the file and what was expected, for a damaged or foreign folder.
    """
    if not folders:
        raise UserError("name the folder of a model")
    where = choose_device(device)
    prepare = preparation(precision, where)
    bundles = [load_bundle(model_folder(Path(folder)), where) for folder in folders]
    for bundle in bundles:
        prepare(bundle.model)
    pipeline = Pipeline(*bundles)
    again = partial(load, device=device, precision=precision)
    pipeline.open_again = partial(again, *(Path(folder).resolve() for folder in folders))
    return pipeline
