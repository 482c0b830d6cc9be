import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headway.api import load
from tests.commands.program import headway, headway_process, refused
from tests.tiny import WORDS

Runs = dict[str, Path]


def test_one_line_in_one_line_out(tiny_runs: Runs, tmp_path: Path) -> None:
    words = ["bal", "", "dem", "gon"]
    done = headway_process("predict", tiny_runs["pairs"], typed="".join(f"{word}\n" for word in words))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(f"{line}\n" for line in load(tiny_runs["pairs"]).predict(words))
    assert done.stderr == ""
    (tmp_path / "words.txt").write_text("bal\n\ndem\ngon", "utf-8")
    assert headway("predict", tiny_runs["pairs"], tmp_path / "words.txt").stdout == done.stdout


def test_scores_and_alternatives_as_json(tiny_runs: Runs) -> None:
    done = headway("predict", tiny_runs["pairs"], "n_best=2", "--json", typed="bal\n")
    line = json.loads(done.stdout)
    assert line["input"] == "bal"
    assert len(line["outputs"]) == 2
    assert line["outputs"][0]["score"] >= line["outputs"][1]["score"]
    plain = headway("predict", tiny_runs["pairs"], "n_best=2", typed="bal\n").stdout
    assert plain.rstrip("\n").split("\t") == [each["text"] for each in line["outputs"]]


def test_blanks_are_filled_and_other_lines_stay(tiny_runs: Runs) -> None:
    done = headway("predict", tiny_runs["masked"], "--candidates", "3", typed="bal ___ ban\n\nno blank\n")
    first, second, third = done.stdout.splitlines()
    text, candidates = first.split("\t")
    assert text.startswith("bal ")
    assert len(candidates.split()) == 3
    assert second == ""
    assert third == "no blank"


def test_continuations_keep_to_their_line(tiny_runs: Runs) -> None:
    settings = ("method=sample", "seed=3", "max_length=8")
    done = headway("predict", tiny_runs["causal"], *settings, typed="bal\nbam\n")
    assert len(done.stdout.splitlines()) == 2
    again = headway("predict", tiny_runs["causal"], *settings, typed="bal\nbam\n")
    assert again.stdout == done.stdout
    whole = headway(
        "predict", tiny_runs["causal"], "method=greedy", "max_length=8", "--whole", typed="bal\nbam\n"
    )
    assert whole.returncode == 0, whole.stderr


def test_mistakes_get_one_message(tiny_runs: Runs, tmp_path: Path) -> None:
    pairs = tiny_runs["pairs"]
    assert "did you mean 'beams'" in refused(headway("predict", pairs, "beem=2", typed="bal\n"))
    assert "there is no such model folder" in refused(headway_process("predict", tmp_path / "nowhere"))
    assert "nofile.txt" in refused(headway("predict", pairs, tmp_path / "nofile.txt"))
    (tmp_path / "bytes.txt").write_bytes(b"bal\n\xff\xfe\n")
    assert "bytes.txt, line 2: is not UTF-8" in refused(headway("predict", pairs, tmp_path / "bytes.txt"))
    assert "only a masked model" in refused(headway("predict", pairs, "--candidates", "2", typed="bal\n"))


def test_an_overlong_prompt_goes_on_from_its_end_and_says_so(tiny_runs: Runs) -> None:
    long = "bal bam " * 60
    done = headway("predict", tiny_runs["causal"], "max_length=4", typed=f"bal\n{long}\nbam\n")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    assert "line 2 of the input is longer" in done.stderr
    assert done.stderr.count("headway: ") == 1


def test_nothing_is_silently_ignored(tiny_runs: Runs) -> None:
    masked, pairs = tiny_runs["masked"], tiny_runs["pairs"]
    assert "beams: has no effect" in refused(headway("predict", masked, "beams=2", typed="bal ___\n"))
    assert "at least 1" in refused(headway("predict", masked, "--candidates", "-1", typed="bal ___\n"))
    assert "lacks: ['X']" in refused(headway("predict", pairs, "--prefix", "l X", typed="bal\n"))
    assert "no device 'gpu'" in refused(headway("predict", pairs, "--device", "gpu", typed="bal\n"))


def test_where_it_is_computed_is_said_once(tiny_runs: Runs, tmp_path: Path) -> None:
    pairs = tiny_runs["pairs"]
    (tmp_path / "words.txt").write_text("bal\ndem\n", "utf-8")
    words = tmp_path / "words.txt"
    plain = headway("predict", pairs, words, "--processes", "1")
    assert headway("predict", pairs, words, "--precision", "int8", "--device", "cpu").stdout == plain.stdout
    for options, message in [
        (("--processes", "2", "--processes", "3"), "2 and 3 exclude each other"),
        (("--processes", "0"), "from 1 to 1024"),
        (("--precision", "int8", "--precision", "float32"), "exclude each other"),
        (("--precision", "int8", "--engine", "ctranslate2"), "--engine ctranslate2:int8"),
        (("--engine", "torch:int8"), "write --precision int8"),
    ]:
        assert message in refused(headway("predict", pairs, words, *options))
    whole = headway("predict", tiny_runs["causal"], "--whole", "--processes", "2", typed="bal\n")
    assert "leave it out where one text is read" in refused(whole)


@pytest.mark.slow
@pytest.mark.parametrize("search", ["method=beam", "method=sample"])
def test_several_processes_write_what_one_does(tiny_runs: Runs, tmp_path: Path, search: str) -> None:
    words = tmp_path / "words.txt"
    words.write_text("".join(f"{word}\n" for word in WORDS[:50] * 24), "utf-8")  # three parts
    one = headway("predict", tiny_runs["pairs"], words, search, "--processes", "1")
    several = headway_process("predict", tiny_runs["pairs"], words, search, "--processes", "2")
    assert several.returncode == 0, several.stderr
    assert several.stdout == one.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_an_interrupt_ends_all_processes_at_once(tiny_runs: Runs, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("".join(f"{word}\n" for word in WORDS * 2000), "utf-8")
    command = [sys.executable, "-m", "headway", "predict", str(tiny_runs["pairs"]), str(words)]
    program = subprocess.Popen(
        [*command, "--processes", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
    )
    assert program.stdout is not None
    program.stdout.readline()  # they are at work
    os.killpg(program.pid, signal.SIGINT)
    _, said = program.communicate(timeout=60)
    assert program.returncode != 0
    assert b"Traceback" not in said
    for _ in range(100):  # what Python itself starts beside them sees the end a moment later
        try:
            os.killpg(program.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a process is left")
