"""All experiments of the tour, or those that are named: `python -m tour [NAMES…] [--quick] [--seeds N]`."""

import argparse
import importlib
import sys
import time
import traceback
from collections.abc import Sequence

from headway.errors import UserError, did_you_mean
from tour.report import arguments_of

NAMES = (
    "why_transformers",
    "embedding",
    "self_attention",
    "positions",
    "encoder_decoder",
    "masked_language_modelling",
    "attention_masking",
    "gradient_clipping",
)
"""Modules of this folder with `run(settings)`, in the order of the pages."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run experiments in order, a line for each; 1 where one failed, which loses no other's results."""
    parser = argparse.ArgumentParser(prog="python -m tour", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all without one")
    given = arguments_of(parser, arguments)
    chosen = [name.replace("-", "_") for name in given.names] or NAMES
    for name in chosen:
        if name not in NAMES:
            parser.error(f"there is no experiment {name!r}: {did_you_mean(name, NAMES)}")
    ends = {}
    for name in chosen:
        print(f"{name} …", file=sys.stderr, flush=True)
        began = time.perf_counter()
        try:
            importlib.import_module(f"tour.{name}").run(given.settings)
            fault = ""
        except UserError as error:
            fault = str(error)
        except Exception as error:
            traceback.print_exc()
            fault = f"{type(error).__name__}: {error}"
        ends[name] = fault
        seconds = time.perf_counter() - began
        print(f"{name}: {fault or 'done'} ({seconds:.0f} s)", file=sys.stderr, flush=True)
    failed = [name for name, fault in ends.items() if fault]
    print(f"\n{len(chosen) - len(failed)} of {len(chosen)} experiments are done", file=sys.stderr)
    for name in failed:
        print(f"failed: {name}: {ends[name]}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
