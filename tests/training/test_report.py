"""What people and programs are told of a run."""

import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from headway.training.loop import Moment, Sample, Validation
from headway.training.report import LivePanel, MetricsFile, PlainLines, Reporters, Speed, shorten, time_left
from headway.training.step import StepReport

from .toys import Recorder

REPORT = StepReport(loss=1.5, accuracy=0.25, labels=100, norm=2.5, clipped=True)
FOUND = Validation(
    {"loss": 1.25, "accuracy": 0.5},
    [
        Sample("ein Haus [bold]", "a house", "a mouse [/red]"),
        Sample("x" * 200, "y", "z"),
        Sample("third", "c", "d"),
    ],
)


def moment(step: int, **changes: Any) -> Moment:
    whole = Moment(
        step=step,
        epoch=step / 10,
        progress=step / 100,
        rate=1e-3,
        seconds=0.5 * step,
        tokens=100 * step,
        seconds_left=617.2,
        report=REPORT,
    )
    return replace(whole, **changes)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def test_metrics_are_a_json_object_a_line(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path, every=5, resumed_at=0)
    for step in range(1, 12):
        file.step(moment(step))
    file.validation(11, FOUND, better=True)
    written = lines(tmp_path / "metrics.jsonl")
    assert [line["step"] for line in written] == [5, 10, 11]
    first = written[0]
    assert (first["loss"], first["accuracy"], first["gradient_norm"]) == (1.5, 0.25, 2.5)
    assert (first["rate"], first["tokens"], first["clipped"], first["updated"]) == (1e-3, 500, True, True)
    assert first["tokens_per_second"] == 200
    assert written[-1] == {"step": 11, "validation": FOUND.metrics, "better": True}
    samples = lines(tmp_path / "samples.jsonl")
    assert samples[0] == {
        "step": 11,
        "source": "ein Haus [bold]",
        "reference": "a house",
        "prediction": "a mouse [/red]",
        "finished": True,
    }
    assert len(samples) == 3


def test_a_skipped_step_always_has_its_line(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path, every=5, resumed_at=0)
    file.step(moment(3, report=replace(REPORT, left_out="the loss is not finite")))
    assert [line["updated"] for line in lines(tmp_path / "metrics.jsonl")] == [False]


SEPARATORS = "a\u2028b\u2029c\x85d\x0be\x1cf"
"""Characters that end a line for str.splitlines, but not in JSON Lines."""


def test_a_resumed_run_forgets_what_it_will_do_again(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path, every=1, resumed_at=0)
    for step in (1, 2, 3):
        file.step(moment(step))
        file.validation(step, Validation({"loss": 1.0}, [Sample(SEPARATORS, "b", "c")]), better=False)
    for name in ("metrics.jsonl", "samples.jsonl"):
        with (tmp_path / name).open("a", encoding="utf-8") as half:
            half.write('{"step": 2, "loss": 1.')  # as a power cut leaves it
    before = lines_before_the_cut(tmp_path / "metrics.jsonl")
    MetricsFile(tmp_path, every=1, resumed_at=2)
    assert lines(tmp_path / "metrics.jsonl") == [line for line in before if line["step"] <= 2]
    assert [line["step"] for line in lines(tmp_path / "samples.jsonl")] == [1, 2]
    assert {line["source"] for line in lines(tmp_path / "samples.jsonl")} == {SEPARATORS}


def lines_before_the_cut(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]


@pytest.mark.parametrize("line", ["7", "[]", '{"loss": 1}', '{"step": "x"}', "null", "{"])
def test_foreign_lines_do_not_stop_a_run(tmp_path: Path, line: str) -> None:
    good = json.dumps({"step": 1})
    (tmp_path / "metrics.jsonl").write_text(f"{good}\n{line}\n", "utf-8")
    MetricsFile(tmp_path, every=1, resumed_at=5)
    assert lines(tmp_path / "metrics.jsonl") == [{"step": 1}]


def test_what_was_logged_is_never_lost_while_lines_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may be killed at any moment, or find the disk full."""
    before = '{"step": 1}\n{"step": 2}\n{"step": 3}\n'
    (tmp_path / "metrics.jsonl").write_text(before, "utf-8")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"metrics\.jsonl"):
            MetricsFile(tmp_path, every=1, resumed_at=2)
    assert (tmp_path / "metrics.jsonl").read_text("utf-8") == before
    MetricsFile(tmp_path, every=1, resumed_at=2)
    assert lines(tmp_path / "metrics.jsonl") == [{"step": 1}, {"step": 2}]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_line_that_was_cut_in_a_character_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_bytes('{"step": 1}\n{"step": 1, "source": "ä'.encode()[:-1])
    MetricsFile(tmp_path, every=1, resumed_at=2)
    assert lines(tmp_path / "samples.jsonl") == [{"step": 1}]


def test_plain_lines_go_to_the_error_stream(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("headway.training.report.time.monotonic", lambda: now[0])
    plain = PlainLines()
    for step in (10, 11, 12):
        plain.step(moment(step))
    now[0] += 11
    plain.step(moment(13))
    plain.validation(13, FOUND, better=True)
    plain.warning("look out")
    captured = capsys.readouterr()
    assert captured.out == ""
    said = captured.err.splitlines()
    assert said[0].startswith("step 10  epoch 1.00  loss 1.500  ")
    assert said[1].startswith("step 13  "), "none within ten seconds"
    assert "tokens/s" in said[0]
    assert "left" in said[0]
    assert said[2] == "step 13  held-out loss 1.25  accuracy 0.5  (best so far)"
    assert said[3] == "    ein Haus [bold] → a mouse [/red]   [a house]"
    assert said[5] == "warning: look out"


def panel_text(*calls: str) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None)
    with LivePanel(console) as panel:
        if "step" in calls:
            panel.step(moment(1_234, progress=0.5))
        if "validation" in calls:
            panel.validation(1_200, FOUND, better=False)
        if "warning" in calls:
            panel.warning("step 3: [/red] is no markup, nor is runs/[b]/x")
    return stream.getvalue()


def test_the_panel_shows_all_there_is() -> None:
    shown = panel_text("step", "validation", "warning")
    for words in (
        "step 1,234",
        "epoch 123.40",
        "loss 1.500",
        "tokens/s",
        "gradient 2.50 (clipped)",
        "rate 1.00e-03",
        "accuracy 25.0%",
        "10:17 left",
        "held-out at step 1,200:  loss 1.25  accuracy 0.5",
        "ein Haus [bold] → a mouse [/red]",
        "warning: step 3: [/red] is no markup, nor is runs/[b]/x",
    ):
        assert words in shown, words
    assert "third" not in shown, "two samples"


@pytest.mark.parametrize("call", ["nothing", "step", "validation", "warning"])
def test_the_panel_shows_any_part_alone(call: str) -> None:
    panel_text(call)


def test_several_reporters_hear_the_same() -> None:
    several = [Recorder(), Recorder()]
    together = Reporters(several)
    together.step(moment(1))
    together.validation(1, FOUND, better=True)
    together.warning("look out")
    for one in several:
        assert one.moments == [moment(1)]
        assert one.validations == [(1, FOUND.metrics, True)]
        assert one.warnings == ["look out"]


def test_speed_is_of_the_last_seconds() -> None:
    """200 tokens a second first, then 1000: the old pace is forgotten."""
    speed = Speed()
    slow = [speed.at(moment(step)) for step in range(1, 21)]
    assert slow[-1] == pytest.approx(200)
    for more in range(1, 21):
        found = speed.at(moment(20 + more, seconds=10 + 0.5 * more, tokens=2000 + 500 * more))
    assert found == pytest.approx(1000)


def test_time_left_is_minutes_and_seconds() -> None:
    assert time_left(moment(1, seconds_left=60.0)) == "1:00"
    assert time_left(moment(1, seconds_left=3605.4)) == "60:05"
    assert time_left(moment(1, seconds_left=0.0)) == "0:00"
    assert time_left(moment(1, seconds_left=None)) == "", "not known"


def test_long_text_is_shortened_to_one_line() -> None:
    assert shorten("a\n b\tc") == "a b c"
    assert shorten("x" * 100, 10) == "x" * 9 + "…"
    assert shorten("x" * 10, 10) == "x" * 10
