"""Dropout (Srivastava et al. 2014; Paper §5.4)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

LANES, LOWEST = 4, -(2**15)
"""Numbers of 16 bits in one of 64, and the lowest of them."""


class Dropout(nn.Dropout):
    """In training, sets a share `p` of the numbers to 0 and divides the others by 1 - p.

    On a processor torch draws a random number for each, which takes about half as long as a matrix product of
    the model; here one of 64 bits serves four.
    """

    def forward(self, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        if not self.training or self.p == 0 or x.device.type not in ("cpu", "meta"):
            return super().forward(x)
        drawn = torch.empty(-(-x.numel() // LANES), dtype=torch.int64, device=x.device)
        drawn.random_(LOWEST * 2**48, None)
        lanes = drawn.view(torch.int16)[: x.numel()].view(x.shape)
        kept = lanes >= min(round(self.p * 2**16), 2**16 - 1) + LOWEST
        return x * kept * (1 / (1 - self.p))
