"""Muon: momentum made orthogonal, for the matrices of the layers (Jordan et al. 2024; Liu et al. 2025).

Its cost is matrix products beside the model's own, so there are as few as will do. Heads of attention are not
taken apart: that would cost half, and models learn less from it.
"""

from collections import defaultdict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

MOMENTUM = 0.95
COEFFICIENTS = (
    (8.0934, -23.6204, 17.4462),
    (3.6366, -2.7219, 0.5365),
    (2.6613, -1.9772, 0.4526),
)
"""Of three odd polynomials, of x, x³ and x⁵, each the closest to 1 on what the one before makes of [0.01, 1].

One after the other they bring singular values to within 0.28 of 1 (the construction of Amsel et al. 2025).
"""
ADAM_SIZE = 0.2
"""Root mean square of an update at rate 1, which is about that of Adam's (Liu et al. 2025, §2.2)."""


class Muon(torch.optim.AdamW):
    """AdamW, but for the groups with `orthogonal`: their updates are orthogonalized momentum.

    Both take steps of like size, so that one rate serves for both. The gradient of orthogonal groups is used
    up by a step.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        assert closure is None, "a closure is not asked for"
        for group in self.param_groups:
            if group.get("orthogonal"):
                self._orthogonal_step(group)
        super().step()  # passes over parameters without a gradient

    def _orthogonal_step(self, group: dict[str, Any]) -> None:
        of_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for parameter in group["params"]:
            if parameter.grad is not None:
                of_shape[parameter.shape].append(parameter)
        for shape, parameters in of_shape.items():  # equal ones at once: their products are small
            directions = torch.stack([self._direction(parameter) for parameter in parameters])
            size = ADAM_SIZE * max(shape) ** 0.5 * group["lr"]
            for parameter, update in zip(parameters, orthogonalize(directions), strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-size)
                parameter.grad = None

    def _direction(self, parameter: Tensor) -> Tensor:
        """Nesterov's momentum of one parameter, brought up to date."""
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum: Tensor = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(momentum, MOMENTUM)


def orthogonalize(matrices: Float[Tensor, "N R C"]) -> Float[Tensor, "N R C"]:
    """Matrices with the same singular vectors, and all singular values near 1 (between 0.72 and 1.28).

    What is below a hundredth of the norm stays below.
    """
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    if x.shape[1] == x.shape[2]:
        for a, b, c in COEFFICIENTS:
            square = x @ x.mT
            x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
        return x
    tall = x.shape[1] > x.shape[2]
    factor = _factor(x.mT @ x if tall else x @ x.mT)
    return x @ factor if tall else factor @ x


def _factor(square: Float[Tensor, "N S S"]) -> Float[Tensor, "N S S"]:
    """What the polynomials of a matrix multiply it with, from its product with itself transposed.

    Oblong matrices are large beside this square, which all the work is then done on.
    """
    whole = None
    for a, b, c in COEFFICIENTS:
        if whole is not None:
            square = one @ square @ one
        one = torch.baddbmm(square, square, square, beta=b, alpha=c)
        one.diagonal(dim1=1, dim2=2).add_(a)
        whole = one if whole is None else whole @ one
    assert whole is not None
    return whole
