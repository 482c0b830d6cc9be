"""A plain translator: python benchmarks/quality_reference.py TRAIN TEST FOLDER MINUTES SEED BEAMS

`transformers`' MarianMTModel, shaped as OPUS-MT's models but at d_model 256 with 4+4 layers, on the same BPE
of 8,000 pieces and the same batches of 4,096 tokens as Headway would make, in a plain loop: Adam (0.9, 0.98),
the paper's rate (inverse square root after 1,000 steps of warm-up), smoothing 0.1, dropout 0.1, clipping
at 1; float32, or bfloat16 with attention of matrix products where that is faster here. After so many minutes
of training its outputs for the test part are found with beams and judged as `headway evaluate` judges. The
output is a row of quality.json.
"""

import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import transformers
from torch import Tensor, nn
from works import tensors_of

from headway.batch import NO_LABEL
from headway.data.corpus import DataConfig, read_records
from headway.data.loader import BatchConfig, Loader
from headway.data.objectives import PairsObjective
from headway.data.prepare import Prepared, prepare
from headway.evaluation.translation import translation_measures
from headway.judge import right_answers
from headway.text.tokenizer import TextConfig, Tokenizer, TokenizerConfig

D_MODEL, LAYERS, HEADS, PIECES, TOKENS = 256, 4, 4, 8000, 4096
WARMUP, SMOOTHING, CLIP = 1000, 0.1, 1.0
TIMED = 4
"""Steps by which the faster precision is found, after one."""
ROWS, SPARE = 64, 50
"""Of a batch of outputs; tokens that an output may have beyond those of the longest source."""

Batch = dict[str, Tensor]


class Reference:
    """The model and its loop in one precision."""

    def __init__(self, tokenizer: Tokenizer, seed: int, *, is_bfloat16: bool) -> None:
        torch.manual_seed(seed)
        special = tokenizer.special
        self.is_bfloat16 = is_bfloat16
        config = transformers.MarianConfig(
            vocab_size=tokenizer.vocab_size,
            d_model=D_MODEL,
            encoder_layers=LAYERS,
            decoder_layers=LAYERS,
            encoder_attention_heads=HEADS,
            decoder_attention_heads=HEADS,
            encoder_ffn_dim=4 * D_MODEL,
            decoder_ffn_dim=4 * D_MODEL,
            activation_function="swish",
            dropout=0.1,
            scale_embedding=True,
            pad_token_id=special.pad,
            eos_token_id=special.end,
            decoder_start_token_id=special.begin,
            forced_eos_token_id=None,
        )
        attention = "eager" if is_bfloat16 else None
        config._attn_implementation = attention
        self.model = transformers.MarianMTModel(config)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.0, betas=(0.9, 0.98), eps=1e-9)
        self.steps = 0

    def step(self, batch: Batch) -> float:
        """One update, and its loss."""
        self.steps += 1
        for group in self.optimizer.param_groups:
            group["lr"] = rate(self.steps)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.is_bfloat16):
            logits = self.model(
                input_ids=batch["source"],
                attention_mask=batch["source_mask"],
                decoder_input_ids=batch["inputs"],
                use_cache=False,
            ).logits
            loss = F.cross_entropy(
                logits.flatten(0, 1),
                batch["labels"].flatten(),
                ignore_index=NO_LABEL,
                label_smoothing=SMOOTHING,
            )
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        return float(loss.detach())


def rate(step: int) -> float:
    """The learning rate of a step, counted from 1 (Paper §5.3, eq. 3)."""
    return D_MODEL**-0.5 * min(step**-0.5, step * WARMUP**-1.5)


def batches_of(prepared: Prepared, seed: int, tokens: int) -> Iterator[tuple[float, Batch]]:
    """Endless batches, each with how often the text has been read before it."""
    source, target = prepared.tokenizers
    assert source is not None, "pairs have a source tokenizer"
    objective = PairsObjective(source.special, target.special)
    loader = Loader(prepared.train, objective, BatchConfig(tokens=tokens), seed=seed)
    epoch = 0
    while True:
        count = loader.batches(epoch)
        for number, several in enumerate(loader.epoch(epoch)):
            yield epoch + number / count, tensors_of(several[0])
        epoch += 1


def faster(tokenizer: Tokenizer, some: Sequence[Batch], seed: int) -> bool:
    """Whether bfloat16 is the faster precision here."""
    taken = []
    for is_bfloat16 in (False, True):
        tried = Reference(tokenizer, seed, is_bfloat16=is_bfloat16)
        tried.model.train()
        tried.step(some[0])
        start = time.perf_counter()
        for batch in some[1:]:
            tried.step(batch)
        taken.append(time.perf_counter() - start)
    return taken[1] < taken[0]


def train(
    prepared: Prepared, minutes: float, seed: int, tokens: int = TOKENS
) -> tuple[Reference, dict[str, Any]]:
    """The trained reference, and what its training was."""
    batches = batches_of(prepared, seed, tokens)
    tokenizer = prepared.tokenizers.target
    is_bfloat16 = faster(tokenizer, [next(batches)[1] for _ in range(TIMED + 1)], seed)
    reference = Reference(tokenizer, seed, is_bfloat16=is_bfloat16)
    reference.model.train()
    start, predicted, passes, loss = time.perf_counter(), 0, 0.0, math.nan
    for read, batch in batches_of(prepared, seed, tokens):
        if reference.steps and time.perf_counter() - start >= 60 * minutes:
            break
        loss, passes = reference.step(batch), read
        predicted += int((batch["labels"] != NO_LABEL).sum())
    seconds = time.perf_counter() - start
    return reference, {
        "steps": reference.steps,
        "epochs": round(passes, 2),
        "seconds": round(seconds, 2),
        "parameters": sum(p.numel() for p in reference.model.parameters()),
        "tokens_per_second": round(predicted / seconds),
        "last_loss": round(loss, 4),
        "recipe": {
            "precision": "bfloat16" if is_bfloat16 else "float32",
            "transformers": transformers.__version__,
        },
    }


@torch.no_grad()
def translate(reference: Reference, prepared: Prepared, sources: Sequence[str], beams: int) -> list[str]:
    """The outputs for the sources, by `generate`."""
    tokenizer, target = prepared.tokenizers.source, prepared.tokenizers.target
    assert tokenizer is not None, "pairs have a source tokenizer"
    encoded = [[*ids, tokenizer.special.end] for ids in tokenizer.encode_batch(sources)]
    order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
    outputs = [""] * len(encoded)
    reference.model.eval()
    for start in range(0, len(order), ROWS):
        some = order[start : start + ROWS]
        width = max(len(encoded[index]) for index in some)
        ids = torch.tensor([encoded[i] + [tokenizer.special.pad] * (width - len(encoded[i])) for i in some])
        found = reference.model.generate(
            input_ids=ids,
            attention_mask=(ids != tokenizer.special.pad).long(),
            num_beams=beams,
            max_new_tokens=width + SPARE,
            do_sample=False,
        )
        for index, row in zip(some, found.tolist(), strict=True):
            outputs[index] = target.decode(row)
    return outputs


def main() -> None:
    files, (minutes, seed, beams) = [Path(each) for each in sys.argv[1:4]], map(float, sys.argv[4:7])
    train_file, test_file, folder = files
    prepared = prepare(
        DataConfig(train=(str(train_file),), layout="pairs"),
        TextConfig(target=TokenizerConfig(kind="bpe", vocab_size=PIECES)),
        pairs=True,
        folder=folder / "data",
        seed=int(seed),
        progress=lambda line: print(line, file=sys.stderr),
    )
    reference, found = train(prepared, minutes, int(seed))
    records = read_records(DataConfig(train=(str(test_file),), layout="pairs"), [str(test_file)], pairs=True)
    sources, references = right_answers(list(records))
    outputs = translate(reference, prepared, sources, int(beams))
    (folder / "outputs.txt").write_text("".join(f"{line}\n" for line in outputs), "utf-8")
    bleu = translation_measures(outputs, references)[0]
    print(json.dumps({**found, "measure": vars(bleu)}))


if __name__ == "__main__":
    main()
