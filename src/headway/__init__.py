"""Headway: text in, a working Transformer out."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headway.api import Pipeline, load
    from headway.diagnosis.examination import examine
    from headway.errors import UserError
    from headway.exchange import export, import_model
    from headway.launch import check, plan, train
    from headway.verification.verify import verify

__all__ = [
    "Pipeline",
    "UserError",
    "check",
    "examine",
    "export",
    "import_model",
    "load",
    "plan",
    "train",
    "verify",
]

_HOMES = {
    "Pipeline": "headway.api",
    "load": "headway.api",
    "UserError": "headway.errors",
    "check": "headway.launch",
    "examine": "headway.diagnosis.examination",
    "export": "headway.exchange",
    "import_model": "headway.exchange",
    "plan": "headway.launch",
    "train": "headway.launch",
    "verify": "headway.verification.verify",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when first used, so that `headway --help` need not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'headway' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
