"""C files of Headway's own, made into libraries by the machine's compiler when they are first wanted."""

import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from hashlib import sha256
from pathlib import Path

from headway.runtime import cache_folder

OPTIONS = ("-O3", "-march=native", "-fno-math-errno", "-shared", "-fPIC")
THREADS = "-fopenmp"
PATIENCE = 60
"""Seconds that a compiler may take."""


@cache
def library(name: str) -> ctypes.CDLL | None:
    """The library made of a C file beside this one, kept between runs; None where no compiler can make it.

    $HEADWAY_COMPILER names the compiler, with its options if need be; an empty one means that there is none.
    """
    wanted = shlex.split(os.environ.get("HEADWAY_COMPILER", "cc"))
    program = shutil.which(wanted[0]) if wanted else None
    if program is None:
        return None
    source = Path(__file__).with_name(f"{name}.c")
    sources = [each.read_text("utf-8") for each in (source, *sorted(source.parent.glob("*.h")))]
    command = [program, *wanted[1:], *OPTIONS]
    parts = [*command, str(Path(program).stat().st_mtime_ns), _instructions(), *sources]
    file = cache_folder() / "compiled" / f"{name}-{sha256(chr(0).join(parts).encode()).hexdigest()}.so"
    try:
        return ctypes.CDLL(str(file))
    except OSError:  # it is not there yet, or damaged
        pass
    try:
        _compile(command, source, file)
        return ctypes.CDLL(str(file))
    except (OSError, subprocess.SubprocessError):
        return None


def _compile(command: list[str], source: Path, file: Path) -> None:
    """With threads if the compiler knows them; whole at any time, for others may be doing the same."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        made = Path(folder) / file.name
        for threads in ([THREADS], []):
            run = subprocess.run(
                [*command, *threads, str(source), "-o", str(made), "-lm"],
                capture_output=True,
                timeout=PATIENCE,
            )
            if run.returncode == 0:
                break
        run.check_returncode()
        made.replace(file)


def _instructions() -> str:
    """What the processor understands, where the system tells it: a library is made for just that."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    told = {line for line in lines if line.startswith(("flags", "Features"))}
    return "\n".join([platform.system(), platform.machine(), *sorted(told)])
