"""The program as a person runs it."""

import io
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from headway.__main__ import main


@dataclass(frozen=True)
class Done:
    """What a program leaves."""

    returncode: int
    stdout: str
    stderr: str


def headway(*arguments: str | Path, typed: str = "", folder: Path | None = None) -> Done:
    """Run the command line in this process, which saves the time that importing torch takes."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["headway", *map(str, arguments)])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode()), encoding="utf-8"))
        patch.setenv("COLUMNS", "120")
        with chdir(folder or Path.cwd()):
            try:
                main()
                status = 0
            except SystemExit as exit:
                status = exit.code if isinstance(exit.code, int) else 0
    return Done(status, out.getvalue(), err.getvalue())


def headway_process(*arguments: str | Path, typed: str = "", folder: Path | None = None) -> Done:
    """Run the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "headway", *map(str, arguments)],
        input=typed,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"},
    )
    return Done(done.returncode, done.stdout, done.stderr)


def refused(done: Done) -> str:
    """The one message of a program that refused: exit status 2, nothing on stdout, no traceback."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("headway: ")
    return done.stderr.removeprefix("headway: ").strip()
