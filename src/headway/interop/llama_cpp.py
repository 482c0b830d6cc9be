"""A GGUF file that llama.cpp opened and runs: the other side of the proof."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headway.batch import Tokens
from headway.bundle import Bundle
from headway.interop.gguf import read_gguf, write_gguf
from headway.interop.proof import EXACT, Demand, Opponent, Row
from headway.text.tokenizer import Tokenizer

FIRST_ROOM = 256
"""Tokens."""
ROUGHLY = Demand(difference=5e-3, agreement=0.9)
"""Where the activation is GELU, which llama.cpp looks up in a table of half-precision numbers."""


def export(bundle: Bundle, folder: Path) -> tuple[Opponent, Demand]:
    """Writes the file; who runs it for the proof, and what that must show.

    Without the package llama-cpp-python the file is read back, which proves its tensors and settings alone.
    """
    path = write_gguf(bundle, folder)
    other = opened(bundle, path)
    rough = bundle.config.activation == "gelu_tanh"
    return (ReadBack(path), EXACT) if other is None else (other, ROUGHLY if rough else EXACT)


def opened(bundle: Bundle, path: Path) -> Opponent | None:
    """The file as llama.cpp runs it; None without the package llama-cpp-python."""
    try:
        import llama_cpp
    except ImportError:
        return None
    return LlamaCppModel(llama_cpp, path, bundle)


class _Continues:
    """Greedy search with whatever computes logits."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def measure(self, row: Row) -> Tensor:
        return self._logits(row.inputs)

    def search(self, row: Row, beams: int, longest: int) -> list[int] | None:
        if beams > 1:
            return None  # llama.cpp has no beams
        special, written = self._tokenizer.special, list[int]()
        while len(written) < longest:
            logits = self._logits([*row.prompt, *written])[-1, : self._tokenizer.vocab_size]
            logits[special.never_chosen] = -torch.inf
            token = int(logits.argmax())
            if token == special.end:
                break
            written.append(token)
        return written

    def _logits(self, ids: list[int]) -> Tensor:
        """After each of the ids [T, V]."""
        raise NotImplementedError


class LlamaCppModel(_Continues):
    """An opponent (`interop.proof`): the file, in float32 throughout."""

    def __init__(self, llama_cpp: Any, path: Path, bundle: Bundle) -> None:
        super().__init__(bundle.tokenizers.target)
        self._library, self._path = llama_cpp, path
        learned = bundle.config.positions.kind == "learned"
        self._model = self._open(bundle.config.positions.max_length if learned else FIRST_ROOM)
        self.name = f"llama.cpp, by llama-cpp-python {llama_cpp.__version__}"

    def encode(self, text: str) -> list[int] | None:
        foreign = self._tokenizer.kind == "foreign"
        begins = self._tokenizer.special.begin is not None
        return list(self._model.tokenize(text.encode(), add_bos=begins, special=foreign))

    def _open(self, room: int) -> Any:
        """The model with room for so many tokens; it keeps the logits of each."""
        self._room, self._read = room, list[int]()  # what its cache holds
        threads = torch.get_num_threads()
        return self._library.Llama(
            model_path=str(self._path),
            n_ctx=room,
            logits_all=True,
            flash_attn=False,
            type_k=self._library.GGML_TYPE_F32,
            type_v=self._library.GGML_TYPE_F32,
            n_gpu_layers=0,
            n_threads=threads,
            n_threads_batch=threads,
            verbose=False,
        )

    def _logits(self, ids: list[int]) -> Tensor:
        if len(ids) > self._room:
            self._model = self._open(2 * len(ids))
        known = len(self._read)
        if known >= len(ids) or ids[:known] != self._read:
            self._model.reset()
            known = 0
        self._model.eval(ids[known:])
        self._read = list(ids)
        return torch.from_numpy(np.array(self._model.scores[: len(ids)]))


class ReadBack(_Continues):
    """An opponent that is our own reader: it proves that the file holds what it should, not who runs it."""

    name = "the file read back, tensor by tensor (llama-cpp-python is not installed)"

    def __init__(self, path: Path) -> None:
        bundle = read_gguf(path)
        super().__init__(bundle.tokenizers.target)
        self._model = bundle.model

    def encode(self, text: str) -> list[int] | None:
        return self._tokenizer.special.start(self._tokenizer.encode(text))

    def _logits(self, ids: list[int]) -> Tensor:
        with torch.no_grad():
            return self._model.logits(self._model(Tokens(torch.tensor([ids])))[0])
