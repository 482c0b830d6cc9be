"""Training computes layers as was asked for, else as is faster here; the gradient is the same."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from headway.batch import Tokens
from headway.model.architectures import build
from headway.model.backends import matmul, sdpa
from headway.model.config import AttentionConfig, TransformerConfig
from headway.model.layer import Layer
from headway.model.stack import Stack
from headway.training import kernel
from headway.training.kernel import choose_kernel, compile_layers, recompute_layers, use_kernel
from headway.training.loss import token_loss
from headway.training.settings import LossConfig
from tests.commands.program import headway_process
from tests.tiny import PAIRS, write_pairs

from .toys import VOCABULARY, random_batch, tiny_model

CPU = torch.device("cpu")
CONFIG = TransformerConfig(
    vocab_size=VOCABULARY, d_model=16, d_ff=32, dropout=0.3, attention=AttentionConfig(num_heads=2)
)


def test_what_is_asked_for_is_used() -> None:
    assert choose_kernel("matmul", CPU, "float32") == "matmul"
    assert choose_kernel("sdpa", CPU, "bfloat16") == "sdpa"
    assert choose_kernel("auto", torch.device("cuda"), "bfloat16") == "sdpa"


def test_the_faster_one_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for speedup, chosen in ((1.6, "matmul"), (1.1, "sdpa"), (0.5, "sdpa")):
        monkeypatch.setattr(kernel, "measured_once", lambda *_, speedup=speedup: speedup)
        assert choose_kernel("auto", CPU, "bfloat16") == chosen


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_both_are_measured_forward_and_backward(precision: kernel.Precision) -> None:
    assert kernel._speedup_of_matmul(precision) > 0


def test_every_stack_uses_it() -> None:
    model = tiny_model()
    for name, backend in (("matmul", matmul), ("sdpa", sdpa)):
        use_kernel(model, name)
        stacks = [module for module in model.modules() if isinstance(module, Stack)]
        assert stacks
        assert all(stack.backend is backend for stack in stacks)


@pytest.mark.parametrize("layers", [(3, 0), (0, 3), (2, 2)])
def test_recomputing_changes_no_gradient_and_keeps_less(layers: tuple[int, int]) -> None:
    """With dropout, whose draws must be the same the second time."""
    plain = random_batch(0, rows=8)
    batch = replace(plain, source=Tokens(plain.inputs.ids.flip(0)) if all(layers) else None)
    found = []
    for recompute in (False, True):
        torch.manual_seed(0)
        model = build(replace(CONFIG, encoder_layers=layers[0], decoder_layers=layers[1])).train()
        if recompute:
            recompute_layers(model)
        kept: list[int] = []

        def pack(tensor: torch.Tensor, kept: list[int] = kept) -> torch.Tensor:
            kept.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            total = token_loss(model, batch, LossConfig(0.1)).total
        total.backward()
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        found.append((sum(kept), torch.cat([each.flatten() for each in gradients])))
    (whole, expected), (less, gradient) = found
    assert torch.equal(gradient, expected)
    assert less < whole / 3


def test_layers_are_compiled_for_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[int] = []

    def recorded(forward: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def run(*inputs: Any) -> torch.Tensor:
            compiled.append(len(inputs))
            return forward(*inputs)

        return run

    monkeypatch.setattr(torch, "compile", recorded)
    model, batch = tiny_model(), random_batch(0)
    names = list(model.state_dict())
    expected = model.eval()(batch.inputs)
    compile_layers(model)
    compiled.clear()  # of the trial whether there is a compiler
    assert torch.equal(model(batch.inputs), expected)
    assert compiled == []
    model.train()(batch.inputs)
    assert len(compiled) == sum(isinstance(module, Layer) for module in model.modules())
    assert list(model.state_dict()) == names


def losses_of(folder: Path, *settings: str) -> list[float]:
    """Of eight steps on a few words, by the program as a person runs it."""
    data = f"data.train=['{write_pairs(folder)}']"
    more = ["stop.steps=8", "model.dropout=0.1", "training.report_every=1", *settings]
    done = headway_process("train", "pairs", data, *PAIRS, *more, "--out", folder / "run")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch needs it")
def test_compiled_layers_learn_what_others_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("plain", "compiled", "none"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    expected = losses_of(tmp_path / "plain")
    assert not list(tmp_path.rglob("*.so"))
    assert losses_of(tmp_path / "compiled", "runtime.compile=true") == pytest.approx(expected, rel=1e-3)
    assert list((tmp_path / "cache").rglob("*.so"))

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "other"))
    monkeypatch.setenv("CXX", str(tmp_path / "no-compiler"))
    data = f"data.train=['{write_pairs(tmp_path)}']"
    more = ["stop.steps=1", "runtime.compile=true"]
    done = headway_process("train", "pairs", data, *PAIRS, *more, "--out", tmp_path / "none")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "runtime.compile = true: " in done.stderr.splitlines()[-1]
