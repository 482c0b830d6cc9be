"""Exporting to CTranslate2, and its side of the proof."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from headway.bundle import Bundle
from headway.decoding.requests import Request
from headway.interop.ctranslate2 import Type, convert, need_ctranslate2
from headway.interop.ctranslate2_engine import Engine, open_engine
from headway.interop.proof import EXACT, Demand, Row

DEMANDS: dict[Type, Demand] = {
    "float32": EXACT,
    "float16": Demand(difference=0.01, agreement=0.0),
    "bfloat16": Demand(difference=0.03, agreement=0.0),
    "int8": Demand(difference=0.1, agreement=0.0),
}
"""What the proof asks of each type. Of coarse ones agreement is reported: it tells how sure the model is."""


@dataclass(frozen=True)
class EngineOpponent:
    """A converted model in the proof."""

    engine: Engine
    type: Type

    @property
    def name(self) -> str:
        computes = str(self.engine.handle.compute_type)
        nearest = "" if computes.startswith(self.type) else f", the nearest to {self.type} on this processor"
        return f"CTranslate2 {need_ctranslate2().__version__}, computing in {computes}{nearest}"

    def measure(self, row: Row) -> Tensor:
        """Logits at each of the inputs."""
        engine = self.engine
        inputs = engine.spelled([row.inputs])
        if not engine.has_source:
            return torch.from_numpy(np.array(engine.handle.forward_batch(inputs), np.float32))[0]
        # The whole output is forced: one more token than it has is chosen freely, and not looked at.
        (result,) = engine.handle.translate_batch(
            engine.spelled([self._request(row, 1).source or []], source=True),
            [inputs[0][1:]],
            beam_size=1,
            max_input_length=0,
            max_decoding_length=len(row.inputs),
            min_decoding_length=0,
            return_logits_vocab=True,
        )
        return torch.from_numpy(np.stack([np.array(step, np.float32) for step in result.logits[0]]))

    def search(self, row: Row, beams: int, longest: int) -> list[int] | None:
        """The best of the beams that were found, by the model's own probabilities."""
        request = self._request(row, longest)
        end = self.engine.bundle.tokenizers.target.special.end
        (written,) = self.engine.decode(
            [request], longest, 0, beam_size=beams, num_hypotheses=beams, length_penalty=0
        )
        rows = [each.ids for each in written]
        scores = [sum(each) for each in self.engine.log_probs([request] * len(rows), rows)]
        best = rows[int(np.argmax(scores))]
        return best[:-1] if best[-1:] == [end] else best

    def encode(self, text: str) -> list[int] | None:
        return None

    def _request(self, row: Row, longest: int) -> Request:
        """What the row asks for, without the special tokens that the engine adds."""
        source, target = self.engine.bundle.tokenizers
        bare = row.source
        if bare is not None and source is not None:
            bare = bare[0 if source.special.source_begin is None else 1 : -1]
        return Request(bare, row.prompt[len(target.special.start([])) :], 0, longest)


def export(bundle: Bundle, folder: Path, type: Type = "float32") -> EngineOpponent:
    """Writes the model for CTranslate2 into an empty folder, and opens it for the proof.

    Raises UserError if the engine cannot hold the model.
    """
    convert(bundle, folder, type)
    return EngineOpponent(open_engine(folder, device="cpu"), type)
