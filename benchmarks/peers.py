"""Training loops of others, as contenders: python benchmarks/peers.py KIND FOLDER BATCHES

They import nothing of Headway, so that the Python of another environment can run them. FOLDER holds
`batches.pt` and, for the library `transformers`, the model; BATCHES are those of one window.
"""

import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from side_by_side import serve
from torch import Tensor, nn

NO_LABEL = -100
SMOOTHING, RATE, CLIP = 0.1, 5e-4, 1.0

Batch = dict[str, Tensor]


def marian(folder: Path) -> tuple[nn.Module, Callable[[Batch], Tensor], dict[str, str]]:
    """`MarianMTModel`, and its logits for a batch."""
    import transformers

    attention = "eager" if os.environ.get("PEER_BF16") else None
    model = transformers.MarianMTModel.from_pretrained(folder / "model", attn_implementation=attention)

    def logits(batch: Batch) -> Tensor:
        return model(
            input_ids=batch["source"],
            attention_mask=batch["source_mask"],
            decoder_input_ids=batch["inputs"],
            use_cache=False,
        ).logits

    return model, logits, {"transformers": transformers.__version__}


def bert(folder: Path) -> tuple[nn.Module, Callable[[Batch], Tensor], dict[str, str]]:
    """`BertForMaskedLM`, and its logits for a batch."""
    import transformers

    attention = "eager" if os.environ.get("PEER_BF16") else None
    model = transformers.BertForMaskedLM.from_pretrained(folder / "model", attn_implementation=attention)

    def logits(batch: Batch) -> Tensor:
        return model(input_ids=batch["inputs"], attention_mask=batch["inputs_mask"]).logits

    return model, logits, {"transformers": transformers.__version__}


class TorchTransformer(nn.Module):
    """`torch.nn.Transformer` with one matrix for both embeddings and the output, as its tutorial wires it."""

    def __init__(self, shape: Mapping[str, int]) -> None:
        super().__init__()
        self.d_model = shape["d_model"]
        self.tokens = nn.Embedding(shape["vocabulary"], self.d_model)
        nn.init.normal_(self.tokens.weight, std=self.d_model**-0.5)
        self.transformer = nn.Transformer(
            self.d_model,
            shape["heads"],
            shape["layers"],
            shape["layers"],
            shape["d_ff"],
            dropout=0.1,
            batch_first=True,
        )
        self.dropout = nn.Dropout(0.1)
        place = torch.arange(1024)[:, None]
        rate = torch.exp(torch.arange(0, self.d_model, 2) * (-math.log(10_000) / self.d_model))
        self.waves = torch.zeros(1024, self.d_model)
        self.waves[:, 0::2], self.waves[:, 1::2] = (place * rate).sin(), (place * rate).cos()

    def embed(self, ids: Tensor) -> Tensor:
        return self.dropout(self.tokens(ids) * math.sqrt(self.d_model) + self.waves[: ids.shape[1]])

    def forward(self, batch: Batch) -> Tensor:
        width = batch["inputs"].shape[1]
        causal = nn.Transformer.generate_square_subsequent_mask(width)
        padding = batch["source_mask"] == 0
        hidden = self.transformer(
            self.embed(batch["source"]),
            self.embed(batch["inputs"]),
            tgt_mask=causal,
            src_key_padding_mask=padding.float().masked_fill(padding, -torch.inf),
            memory_key_padding_mask=padding.float().masked_fill(padding, -torch.inf),
            tgt_is_causal=True,
        )
        return F.linear(hidden, self.tokens.weight)


def torch_transformer(folder: Path) -> tuple[nn.Module, Callable[[Batch], Tensor], dict[str, str]]:
    model = TorchTransformer(json.loads((folder / "shape.json").read_text("utf-8")))
    return model, model, {}


KINDS = {"marian": marian, "bert": bert, "torch.nn.Transformer": torch_transformer}


class Loop:
    """The plain loop: forward, loss, backward, clip, Adam."""

    def __init__(self, kind: str, folder: Path, count: int) -> None:
        self.kind, self.folder, self.count = kind, folder, count
        self.smoothing = 0.0 if kind == "bert" else SMOOTHING
        self.first_loss: float | None = None

    def ready(self) -> Mapping[str, Any]:
        torch.manual_seed(1)
        self.batches: list[Batch] = torch.load(self.folder / "batches.pt", weights_only=True)
        self.model, self.logits, versions = KINDS[self.kind](self.folder)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=RATE, betas=(0.9, 0.98))
        self.model.eval()
        with torch.no_grad():
            first = float(self.loss(self.batches[0], 0.0))
        self.model.train()
        return {
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "first_loss": round(first, 4),
            "precision": "bfloat16" if os.environ.get("PEER_BF16") else "float32",
            "versions": {"python": platform.python_version(), "torch": torch.__version__, **versions},
        }

    def loss(self, batch: Batch, smoothing: float) -> Tensor:
        logits, labels = self.logits(batch).flatten(0, 1), batch["labels"].flatten()
        return F.cross_entropy(logits, labels, ignore_index=NO_LABEL, label_smoothing=smoothing)

    def work(self, job: str, number: int) -> Mapping[str, Any]:
        loss = 0.0
        for i in range(number * self.count, (number + 1) * self.count):
            self.optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=bool(os.environ.get("PEER_BF16"))):
                value = self.loss(self.batches[i % len(self.batches)], self.smoothing)
            value.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
            self.optimizer.step()
            loss = float(value.detach())
        return {"loss": round(loss, 4)}


class CharGPT(nn.Module):
    """Characters, one after the other: pre-norm, learned positions, GELU, no biases, tied output."""

    def __init__(self, vocabulary: int, context: int, layers: int, heads: int, d_model: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, d_model), nn.Embedding(context, d_model)
        self.layers = nn.ModuleList(CharLayer(d_model, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(d_model, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                deep = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / (math.sqrt(2 * layers) if deep else 1))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.places.weight[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return F.linear(self.norm(x), self.tokens.weight)


class CharLayer(nn.Module):
    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(d_model, bias=False), nn.LayerNorm(d_model, bias=False)
        self.qkv, self.out = (
            nn.Linear(d_model, 3 * d_model, bias=False),
            nn.Linear(d_model, d_model, bias=False),
        )
        self.up, self.down = (
            nn.Linear(d_model, 4 * d_model, bias=False),
            nn.Linear(4 * d_model, d_model, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            each.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for each in self.qkv(self.first(x)).chunk(3, dim=-1)
        )
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(-2)
        x = x + self.out(seen)
        return x + self.down(F.gelu(self.up(self.second(x))))


CHARS = {"context": 64, "batch": 12, "layers": 4, "heads": 4, "d_model": 128, "steps": 2000}
"""What nanoGPT's page names for a processor without a GPU (Karpathy 2022); no dropout."""
CHARS_RATE, CHARS_LEAST, CHARS_WARMUP, CHARS_DECAY = 1e-3, 1e-4, 100, 0.1
LOOK_EVERY, LOOK_BATCHES = 250, 20


def chars(folder: Path, steps: int) -> dict[str, Any]:
    """Train so on train.txt, looking at both parts now and then, and at last at all of valid.txt."""
    torch.manual_seed(1337)
    texts = [(folder / f"{part}.txt").read_text("utf-8") for part in ("train", "valid")]
    index = {character: i for i, character in enumerate(sorted(set("".join(texts))))}
    train, valid = (torch.tensor([index[character] for character in text]) for text in texts)
    context, rows = CHARS["context"], CHARS["batch"]
    model = CharGPT(len(index), context, CHARS["layers"], CHARS["heads"], CHARS["d_model"])
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    groups = [
        {"params": matrices, "weight_decay": CHARS_DECAY},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=CHARS_RATE, betas=(0.9, 0.99))

    def some(text: Tensor) -> tuple[Tensor, Tensor]:
        starts = torch.randint(len(text) - context, (rows,))
        return tuple(  # type: ignore[return-value]
            torch.stack([text[i + shift : i + shift + context] for i in starts]) for shift in (0, 1)
        )

    def loss(inputs: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(model(inputs).flatten(0, 1), labels.flatten())

    for step in range(steps):
        if step % LOOK_EVERY == 0:
            with torch.no_grad():
                for text in (train, valid):
                    sum(float(loss(*some(text))) for _ in range(LOOK_BATCHES))
        share = min(1.0, (step - CHARS_WARMUP) / max(1, steps - CHARS_WARMUP))
        falling = CHARS_LEAST + 0.5 * (1 + math.cos(math.pi * share)) * (CHARS_RATE - CHARS_LEAST)
        rate = CHARS_RATE * (step + 1) / (CHARS_WARMUP + 1) if step < CHARS_WARMUP else falling
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss(*some(train)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    whole = (len(valid) - 1) // context * context
    inputs, labels = valid[:whole].view(-1, context), valid[1 : whole + 1].view(-1, context)
    with torch.no_grad():
        parts = zip(inputs.split(64), labels.split(64), strict=True)
        total = sum(float(loss(a, b)) * b.numel() for a, b in parts)
    return {"loss": total / whole, "parameters": sum(p.numel() for p in model.parameters())}


def main() -> None:
    kind, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if kind == "chars":
        start = time.perf_counter()
        found = chars(folder, count)
        print(json.dumps({**found, "seconds_inside": time.perf_counter() - start}))
        return
    loop = Loop(kind, folder, count)
    serve(loop.ready, loop.work)


if __name__ == "__main__":
    main()
