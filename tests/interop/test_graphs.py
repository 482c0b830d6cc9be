"""Graphs of plain tensors compute what the model computes; ONNX Runtime and torch.export run them.

Exporting follows symbolic lengths, which the shape checks of this suite do not know: it runs in a process of
its own. What is exported, the modules, is tried here on every shape.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from headway.api import load
from headway.batch import Tokens
from headway.bundle import Bundle
from headway.errors import UserError
from headway.interop.graph_opponent import GraphOpponent, GraphSteps
from headway.interop.graphs import graphs_of
from headway.interop.onnx import need_onnx
from headway.model.config import AttentionConfig, PositionConfig, TransformerConfig
from tests.interop.laws import difference, our_best, random_row
from tests.interop.random_models import bundle_of, config_of, shapes

ROOT = Path(__file__).parents[2]
TINY = TransformerConfig(
    vocab_size=1,
    encoder_layers=2,
    decoder_layers=2,
    d_model=32,
    d_ff=40,
    attention=AttentionConfig(num_heads=4),
)
EVERY = shapes(((1, 1), (0, 2), (2, 0), (2, 3)))


def modules(bundle: Bundle) -> GraphOpponent:
    """The graphs before they are exported."""
    graphs = graphs_of(bundle)

    def run(name: str, inputs: Mapping[str, Tensor], /) -> list[Tensor]:
        assert list(inputs) == list(graphs[name].inputs)
        with torch.no_grad():
            return list(graphs[name].module(**inputs))

    return GraphOpponent(bundle, run, "modules")


def holds(config: TransformerConfig) -> None:
    bundle = bundle_of(config)
    opponent, row = modules(bundle), random_row(bundle)
    assert difference(bundle, opponent, row) <= 1e-5
    for beams in (1, 3) if config.decoder_layers else ():
        assert opponent.search(row, beams, 5) == our_best(bundle, row, beams, 5)


@settings(max_examples=6)
@given(EVERY)
def test_graphs_of_any_shape_compute_the_same(shape: dict[str, Any]) -> None:
    holds(config_of(shape))


@pytest.mark.slow
@settings(max_examples=100)
@given(EVERY)
def test_graphs_of_many_shapes_compute_the_same(shape: dict[str, Any]) -> None:
    holds(config_of(shape))


def test_padding_changes_nothing() -> None:
    bundle = bundle_of(TINY)
    opponent = modules(bundle)
    source = torch.randint(5, 15, (2, 6))
    mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2])
    ids = torch.randint(5, 15, (2, 3))
    keys, values = opponent.run("encoder", {"source": source, "source_mask": mask})
    steps = GraphSteps(opponent.run, bundle, [3])
    steps.reorder(torch.tensor([0, 0]))
    past = {"past_keys": steps.keys, "past_values": steps.values}
    memory = {"memory_keys": keys, "memory_values": values, "source_mask": mask}
    logits = opponent.run("decoder", {"ids": ids, **past, **memory})[0]
    with torch.no_grad():
        alone = bundle.model.logits(bundle.model(Tokens(ids[1:]), Tokens(source[1:, :4])))
    torch.testing.assert_close(logits[1:], alone, atol=1e-5, rtol=1e-5)


def test_the_original_keeps_its_kernel() -> None:
    bundle = bundle_of(TINY)
    before = bundle.model.decoder.backend  # type: ignore[union-attr]
    graphs_of(bundle)
    assert bundle.model.decoder.backend is before  # type: ignore[union-attr]
    assert len(bundle.model.embedding.positions.table) == 256  # type: ignore[union-attr]


def test_texts_beyond_the_table_fail_instead_of_lying() -> None:
    positions = PositionConfig(kind="learned", max_length=8)
    bundle = bundle_of(replace(TINY, encoder_layers=0, positions=positions))
    steps = GraphSteps(modules(bundle).run, bundle, None)
    steps.feed(torch.full((1, 8), 5))
    with pytest.raises(IndexError):
        steps.feed(torch.full((1, 1), 5))


PROGRAM = """
import json, sys, warnings
from pathlib import Path
import torch
from headway.bundle import load_bundle
from headway.interop import onnx, torch_program
from headway.interop.proof import Texts, prove

warnings.simplefilter("error")
torch.set_num_threads(1)
bundle, lines, found = load_bundle(sys.argv[1]), json.loads(sys.argv[3]), {}
for target, exporter in {"onnx": onnx, "torch": torch_program}.items():
    folder = Path(sys.argv[2]) / target
    folder.mkdir(parents=True)
    proof = prove(bundle, exporter.export(bundle, folder), Texts(lines, "words"))
    found[target] = {"failures": proof.failures, "opponent": proof.opponent}
print(json.dumps(found))
"""
LINES = {"pairs": ["bal", "gon", "dem"]}


@pytest.fixture(scope="module")
def exported(tiny_runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Exports a tiny model to both targets once, and proves them."""
    pytest.importorskip("onnxruntime")
    done: dict[str, Path] = {}

    def export(kind: str) -> Path:
        if kind not in done:
            folder = tmp_path_factory.mktemp(kind)
            lines = json.dumps(LINES.get(kind, ["bal gon dem", "ban bar bel ber", "dem gon"]))
            ended = subprocess.run(
                [sys.executable, "-c", PROGRAM, str(tiny_runs[kind] / "model"), str(folder), lines],
                capture_output=True,
                text=True,
                encoding="utf-8",
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            assert ended.returncode == 0, ended.stderr
            (folder / "proof.json").write_text(ended.stdout.splitlines()[-1], "utf-8")
            done[kind] = folder
        return done[kind]

    return export


KINDS = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("causal", "pairs", "masked")]


@pytest.mark.parametrize("kind", KINDS)
def test_exported_graphs_compute_the_same(kind: str, exported: Callable[[str], Path]) -> None:
    folder = exported(kind)
    found = json.loads((folder / "proof.json").read_text("utf-8"))
    assert found["onnx"]["failures"] == found["torch"]["failures"] == []
    assert found["onnx"]["opponent"].startswith("ONNX Runtime ")
    names = {"causal": {"decoder"}, "pairs": {"encoder", "decoder"}, "masked": {"model"}}[kind]
    assert {path.stem for path in folder.glob("onnx/*.onnx")} == names
    assert {path.stem for path in folder.glob("torch/*.pt2")} == names


@pytest.mark.parametrize("kind", KINDS[:2])
def test_the_example_needs_nothing_of_ours(
    kind: str, exported: Callable[[str], Path], tiny_runs: dict[str, Path]
) -> None:
    example = (ROOT / "examples" / "onnx_greedy.py").read_text("utf-8")
    assert len(example.splitlines()) <= 40
    # Neither may be imported.
    program = f"import sys\nsys.modules['torch'] = sys.modules['headway'] = None\nexec({example!r})"
    lines = ["bal", "gon"]
    done = subprocess.run(
        [sys.executable, "-c", program, str(exported(kind) / "onnx")],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    plain = {"repetition_penalty": 1.0, "temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0}
    search = {"method": "greedy", "n_best": 1, "max_length": 50, **plain}
    ours = load(tiny_runs[kind]).with_search(search).predict(lines)
    for written, expected in zip(done.stdout.splitlines(), ours, strict=True):
        assert written.startswith(expected)  # the graph itself knows no context and goes on


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"needs the package {package}: pip install 'headway\[interop\]'"):
        need_onnx()
