"""How weights lie in memory while a model decodes, and in how many bits."""

import warnings
from collections.abc import Callable

import torch
from torch import nn

from headway.decoding.compiled_steps import hasten
from headway.decoding.straight import straighten
from headway.errors import UserError, did_you_mean
from headway.runtime import keep_memory

PRECISIONS = ("float32", "int8")


def preparation(precision: str, device: torch.device) -> Callable[[nn.Module], None]:
    """What makes a model ready to predict in this precision. Raises UserError where that is not to be had."""
    if precision not in PRECISIONS:
        raise UserError(f"there is no precision {precision!r}: {did_you_mean(precision, PRECISIONS)}")
    rough = precision == "int8"
    if rough and device.type != "cpu":
        raise UserError(f"int8 is for the CPU, and the device is {device.type}: name cpu as the device")
    if rough and "x86" not in torch.backends.quantized.supported_engines:
        raise UserError("int8: this torch has no products in 8 bits for this processor: use float32")

    if device.type == "cpu":
        keep_memory()

    def prepare(model: nn.Module) -> None:
        if rough:
            quantize(model)
        elif not hasten(model):
            lay_out_for_few_rows(model)
        straighten(model)

    return prepare


def lay_out_for_few_rows(model: nn.Module) -> None:
    """Store matrices that do not narrow input by input, where nn.Linear has them output by output.

    The numbers, their shapes and indices stay; products with few rows, as in decoding, read them faster so on
    a processor. Matrices with fewer outputs than inputs are faster as they are. On a GPU nothing is done.
    """
    for module in model.modules():
        if not isinstance(module, nn.Linear) or module.weight.device.type != "cpu":
            continue
        if module.out_features >= module.in_features:
            module.weight.data = module.weight.data.t().contiguous().t()


def quantize(model: nn.Module) -> None:
    """Hold the matrices of linear layers in 8 bits, with a scale for each output.

    What is multiplied with them is brought to 8 bits as it comes, with one scale for all of it; sums, norms,
    softmax and embeddings stay in float32.
    """
    with warnings.catch_warnings():
        # It is to move to another package, whose layers want a compiler to be fast.
        warnings.simplefilter("ignore")
        from torch.ao import quantization

        kinds = {nn.Linear: quantization.per_channel_dynamic_qconfig}
        quantization.quantize_dynamic(model, kinds, dtype=torch.qint8, inplace=True)
