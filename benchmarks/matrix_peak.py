"""How fast this machine multiplies matrices as large as those of layers: the measure of a step."""

import statistics
import time

import torch
import torch.nn.functional as F

SHAPES = ((4096, 256, 1024), (4096, 512, 2048), (4096, 1024, 1024))
"""Rows, inputs and outputs of a linear layer."""
REPEATS = 5


def matrix_peak(kind: torch.dtype) -> float:
    """Operations a second of the fastest of some products, each at its median."""
    return max(_speed(kind, *shape) for shape in SHAPES)


def _speed(kind: torch.dtype, rows: int, inputs: int, outputs: int) -> float:
    x, weight = torch.randn(rows, inputs).to(kind), torch.randn(outputs, inputs).to(kind)
    F.linear(x, weight)
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        F.linear(x, weight)
        times.append(time.perf_counter() - start)
    return 2 * rows * inputs * outputs / statistics.median(times)


def has_matrix_units() -> bool:
    """Whether the processor has units for matrix products in bfloat16 (AMX)."""
    return bool(torch.cpu._is_amx_tile_supported())
