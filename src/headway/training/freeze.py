"""Parts of a model that training leaves as they are."""

from collections.abc import Sequence

from torch import nn

from headway.errors import RecipeError, did_you_mean


def freeze(model: nn.Module, names: Sequence[str]) -> None:
    """Marks the parameters of the named modules as constant; one that several share is so in all of them.

    Raises RecipeError for a name that is no part of the model, and where nothing is left to learn.
    """
    parts = {name for name, _ in model.named_modules() if name}
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for name in names:
        if name not in parts and name not in parameters:
            hint = did_you_mean(name, [part for part in parts if part.count(".") == name.count(".")] or parts)
            raise RecipeError(f"training.freeze: the model has no part {name!r}: {hint}")
        held = [p for key, p in parameters.items() if f"{key}.".startswith(f"{name}.")]
        if not held:
            raise RecipeError(f"training.freeze: {name!r} has no parameters")
        for parameter in held:
            parameter.requires_grad_(False)
    if not any(p.requires_grad for p in parameters.values()):
        raise RecipeError("training.freeze: nothing is left to learn")
