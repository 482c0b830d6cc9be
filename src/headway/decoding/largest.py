"""The largest numbers of rows, in C where the machine has a compiler: N of V, in each of R rows."""

from ctypes import c_int64, c_void_p

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headway.decoding.compiler import library

WORTH_A_THREAD = 2**16
"""Numbers from which on another thread pays."""


def largest(x: Float[Tensor, "R V"], count: int) -> tuple[Float[Tensor, "R N"], Int[Tensor, "R N"]]:
    """The largest numbers of each row, best first, and their places; where -inf stands is not told."""
    code = library("largest") if x.device.type == "cpu" and x.dtype == torch.float32 else None
    if code is None or not x.is_contiguous():
        values, places = x.topk(count, dim=1)
        return values, places
    rows, width = x.shape
    values, places = x.new_empty(rows, count), torch.empty(rows, count, dtype=torch.int64)
    threads = min(torch.get_num_threads(), 1 + x.numel() // WORTH_A_THREAD)
    sizes = [c_int64(each) for each in (rows, width, count)]
    found = [c_void_p(each.data_ptr()) for each in (values, places)]
    code.largest(c_void_p(x.data_ptr()), *sizes, *found, c_int64(threads))
    return values, places
