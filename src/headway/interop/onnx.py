"""Models as ONNX graphs: what ONNX Runtime, and through it most devices and languages, can run."""

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headway.bundle import SOURCE_TOKENIZER, TOKENIZER, Bundle
from headway.errors import UserError
from headway.interop.graph_opponent import GraphOpponent
from headway.interop.graphs import Graph, graphs_of, position_rows

FACTS = "graphs.json"
"""What a program must know beside the graphs and the tokenizers."""

LARGEST_FILE = 2**31 - 2**20
"""Bytes of weights that one ONNX file may hold; more go into a file beside it."""


def export(bundle: Bundle, folder: Path) -> GraphOpponent:
    """Writes the graphs into an empty folder, with tokenizers and facts, and opens them for the proof.

    An encoder-decoder becomes encoder.onnx and decoder.onnx (one step with its cache), a decoder decoder.onnx
    (which is the plain pass where nothing is past), an encoder model.onnx.
    """
    runtime = need_onnx()
    graphs = graphs_of(bundle)
    for name, graph in graphs.items():
        write_graph(graph, folder / f"{name}.onnx")
    write_facts(bundle, folder)
    sessions = {name: open_graph(folder / f"{name}.onnx") for name in graphs}

    def run(graph: str, inputs: Mapping[str, Tensor], /) -> list[Tensor]:
        arrays = {name: tensor.contiguous().numpy() for name, tensor in inputs.items()}
        return [torch.from_numpy(each) for each in sessions[graph].run(None, arrays)]

    return GraphOpponent(bundle, run, f"ONNX Runtime {runtime.__version__} on the processor")


def need_onnx() -> Any:
    """ONNX Runtime. Raises UserError if it, or what writes the graphs, is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f"this needs the package {error.name}: pip install 'headway[interop]'") from error
    return onnxruntime


def write_graph(graph: Graph, path: Path) -> None:
    """Writes one ONNX file, and one with its weights beside it where they are too many for one."""
    size = sum(each.numel() * each.element_size() for each in graph.module.state_dict().values())
    with _quiet():
        program = torch.onnx.export(
            graph.program(),
            input_names=list(graph.inputs),
            output_names=list(graph.module.outputs),
            dynamo=True,
            verbose=False,
        )
        assert program is not None, "the exporter returns a program where it is given no file"
        program.save(str(path), external_data=size > LARGEST_FILE)


def open_graph(path: Path) -> Any:
    """An ONNX Runtime session on the processor."""
    runtime = need_onnx()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def write_facts(bundle: Bundle, folder: Path) -> None:
    """The tokenizers, which ids frame a text, and the shapes of an empty past."""
    (source, target), config = bundle.tokenizers, bundle.config
    special = target.special
    facts: dict[str, Any] = {
        "architecture": bundle.architecture,
        "vocabulary": target.vocab_size,
        "positions": position_rows(bundle),
        "before_text": special.start([]),
        "end": special.end,
        "mask": special.mask,
        "never_chosen": special.never_chosen,
    }
    if source is not None:
        facts["before_source"] = source.special.source([])[:-1]
        facts["after_source"] = source.special.source([])[-1:]
    if bundle.architecture != "encoder":
        heads = (config.decoder_layers, 1, config.num_kv_heads, 0)
        facts["no_keys"], facts["no_values"] = (*heads, config.d_key), (*heads, config.d_value)
    (folder / FACTS).write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    (folder / TOKENIZER).write_text(target.to_json(), encoding="utf-8", newline="")
    if source is not None and source is not target:
        (folder / SOURCE_TOKENIZER).write_text(source.to_json(), encoding="utf-8", newline="")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on its own making."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
