"""How the program ends: what the system refuses is one message, a reader who has enough is no mistake."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headway.__main__ import main
from tests.commands.program import headway, headway_process, refused
from tests.tiny import PAIRS, write_pairs

Runs = dict[str, Path]


def last_message(folder: Path, *arguments: str) -> str:
    done = headway("train", *arguments, folder=folder)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("headway: ")
    return last


def test_what_the_system_refuses_is_one_message(tmp_path: Path) -> None:
    data = write_pairs(tmp_path).name
    (tmp_path / "afile").write_text("", "utf-8")
    for out in ("afile", "afile/sub"):
        assert "afile" in last_message(tmp_path, data, *PAIRS, "stop.steps=1", "--out", out)
    assert "afile" in last_message(tmp_path, data, *PAIRS, "stop.steps=1", "data.cache=afile", "--out", "run")


@pytest.mark.parametrize("verb", ["predict", pytest.param("inspect", marks=pytest.mark.slow)])
def test_a_reader_who_has_enough_is_no_mistake(verb: str, tiny_runs: Runs) -> None:
    command = [sys.executable, "-m", "headway", verb, str(tiny_runs["pairs"])]
    reading, writing = os.pipe()
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=writing,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        os.close(writing)
        os.close(reading)
        _, err = process.communicate(b"bal\ngon\n")
    assert process.returncode == 0, err
    assert err == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
@pytest.mark.parametrize("lines", [1, 2000], ids=["held back", "more than is held back"])
def test_output_that_cannot_be_written_is_one_message(
    lines: int, tiny_runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    err = io.StringIO()
    words = io.TextIOWrapper(io.BytesIO(b"bal\n" * lines))
    with Path("/dev/full").open("w", encoding="utf-8") as full, pytest.raises(SystemExit) as ended:
        monkeypatch.setattr(sys, "argv", ["headway", "predict", str(tiny_runs["pairs"])])
        monkeypatch.setattr(sys, "stdin", words)
        monkeypatch.setattr(sys, "stdout", full)
        monkeypatch.setattr(sys, "stderr", err)
        main()
    assert ended.value.code == 2
    assert err.getvalue().startswith("headway: standard output: ")


def test_output_is_utf8_whatever_the_system_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = headway_process("inspect", "größe", folder=tmp_path)
    assert "'größe'" in refused(done)


def test_ctrl_c_while_the_command_line_is_read_is_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("headway.cli.app", interrupted)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "headway: interrupted\n"
