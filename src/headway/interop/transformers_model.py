"""A model that `transformers` opened and runs: the other side of the proof."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headway.errors import UserError
from headway.interop.proof import Row
from headway.model.config import Architecture


class TransformersModel:
    """An opponent (`interop.proof`): the exported folder, opened as anybody would open it."""

    def __init__(self, folder: Path, architecture: Architecture) -> None:
        """Raises UserError if the library is not installed, or misses a tensor or does not know one."""
        try:
            import transformers
            from transformers.utils import logging
        except ImportError as error:
            raise UserError(
                "proving the export needs the package transformers: pip install 'headway[interop]'"
            ) from error
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        classes = transformers.AutoConfig.from_pretrained(folder, local_files_only=True).architectures
        self._bare = architecture == "encoder" and [each[-5:] for each in classes or ()] == ["Model"]
        automatic: Any = {
            "encoder-decoder": transformers.AutoModelForSeq2SeqLM,
            "encoder": transformers.AutoModel if self._bare else transformers.AutoModelForMaskedLM,
            "decoder": transformers.AutoModelForCausalLM,
        }[architecture]
        model, report = automatic.from_pretrained(
            folder, output_loading_info=True, local_files_only=True, dtype=torch.float32
        )
        for what, names in report.items():
            if names:
                first, *more = sorted(map(str, names))
                also = f" and {len(more)} more" if more else ""
                raise UserError(f"transformers found {what.replace('_', ' ')}: {first}{also}")
        self._model = model.eval()
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._pairs = architecture == "encoder-decoder"
        self.name = f"transformers {transformers.__version__}, {type(model).__name__}"

    def measure(self, row: Row) -> Tensor:
        with torch.no_grad():
            inputs = torch.tensor([row.inputs])
            if self._bare:  # its states are compared as what they say of each token
                states = self._model(input_ids=inputs).last_hidden_state[0]
                return states @ self._model.get_input_embeddings().weight.T
            if not self._pairs:
                return self._model(input_ids=inputs).logits[0]
            source = torch.tensor([row.source])
            return self._model(input_ids=source, decoder_input_ids=inputs).logits[0]

    def search(self, row: Row, beams: int, longest: int) -> list[int] | None:
        settings: dict[str, Any] = {
            "num_beams": beams,
            "do_sample": False,
            "length_penalty": 0.0,
            "max_new_tokens": longest,
            "max_length": None,
        }
        ids = torch.tensor([row.source if self._pairs else row.prompt])
        with torch.no_grad():
            found = self._model.generate(ids, attention_mask=torch.ones_like(ids), **settings)
        written = found[0, len(row.prompt) :].tolist()
        end = self._model.generation_config.eos_token_id
        return written[: written.index(end)] if end in written else written

    def encode(self, text: str) -> list[int] | None:
        return list(self._tokenizer(text)["input_ids"])
