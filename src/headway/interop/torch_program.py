"""Models as programs of `torch.export`: graphs that PyTorch alone opens and runs, without this package.

The format is PyTorch's .pt2: a zip archive that holds the graph as JSON and the weights, written by
`torch.export.save` and opened by `torch.export.load`. It may be read by the same or a later PyTorch.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from headway.bundle import Bundle
from headway.interop.graph_opponent import GraphOpponent
from headway.interop.graphs import graphs_of
from headway.interop.onnx import write_facts


def export(bundle: Bundle, folder: Path) -> GraphOpponent:
    """Writes the graphs of `interop.onnx` as .pt2 files into an empty folder; opens them for the proof."""
    graphs = graphs_of(bundle)
    for name, graph in graphs.items():
        torch.export.save(graph.program(), folder / f"{name}.pt2")
    write_facts(bundle, folder)
    modules = {name: torch.export.load(folder / f"{name}.pt2").module() for name in graphs}

    def run(graph: str, inputs: Mapping[str, Tensor], /) -> list[Tensor]:
        with torch.no_grad():
            return list(modules[graph](**inputs))

    return GraphOpponent(bundle, run, f"torch.export program, PyTorch {torch.__version__}")
