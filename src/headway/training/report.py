"""How a run is told: a live panel on a terminal, plain lines elsewhere, and files that stay."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from headway.errors import UserError
from headway.sealed_folder import write_whole, writing
from headway.training.loop import Moment, Reporter, Validation

SECONDS_BETWEEN_LINES = 10.0


class Reporters:
    """Tells several reporters the same."""

    def __init__(self, reporters: Sequence[Reporter]) -> None:
        self.reporters = reporters

    def step(self, moment: Moment) -> None:
        for reporter in self.reporters:
            reporter.step(moment)

    def validation(self, step: int, validation: Validation, better: bool) -> None:
        for reporter in self.reporters:
            reporter.validation(step, validation, better)

    def warning(self, message: str) -> None:
        for reporter in self.reporters:
            reporter.warning(message)


class Speed:
    """Predicted tokens a second of training, over the steps since the last reading but one."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, int]] = []

    def at(self, moment: Moment) -> float:
        if not self.marks or moment.seconds - self.marks[-1][0] > 2:
            self.marks = [*self.marks[-1:], (moment.seconds, moment.tokens)]
        seconds, tokens = self.marks[0]
        if moment.seconds <= seconds:
            return moment.tokens / max(moment.seconds, 1e-9)
        return (moment.tokens - tokens) / (moment.seconds - seconds)


class MetricsFile:
    """metrics.jsonl: a JSON object a line; samples.jsonl: held-out examples with their predictions."""

    def __init__(self, folder: Path, every: int, resumed_at: int) -> None:
        self.folder, self.every, self.speed = folder, every, Speed()
        for name in ("metrics.jsonl", "samples.jsonl", "findings.jsonl"):
            self._forget_after(folder / name, resumed_at)

    def step(self, moment: Moment) -> None:
        report = moment.report
        if moment.step % self.every and report.updated:
            return
        line = {
            "step": moment.step,
            "epoch": round(moment.epoch, 4),
            "tokens": moment.tokens,
            "loss": report.loss,
            "accuracy": report.accuracy,
            "gradient_norm": report.norm,
            "clipped": report.clipped,
            "updated": report.updated,
            "rate": moment.rate,
            "tokens_per_second": round(self.speed.at(moment)),
            "seconds": round(moment.seconds, 2),
        }
        self._append("metrics.jsonl", line)

    def validation(self, step: int, validation: Validation, better: bool) -> None:
        line = {"step": step, "validation": validation.metrics, "better": better}
        self._append("metrics.jsonl", line | ({"inside": validation.inside} if validation.inside else {}))
        for sample in validation.samples:
            self._append("samples.jsonl", {"step": step, **sample.__dict__})

    def warning(self, message: str) -> None:
        """Warnings are for people; skipped steps have a line of their own."""

    def _append(self, name: str, line: dict[str, Any]) -> None:
        path = self.folder / name
        with writing(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    @staticmethod
    def _forget_after(path: Path, step: int) -> None:
        """Drop what was written after the checkpoint from which the run goes on, and half-written lines."""
        if not path.exists():
            return
        kept, text = [], path.read_text("utf-8", errors="replace")
        for line in text.split("\n"):  # a text may hold other line ends
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except (ValueError, TypeError, KeyError):
                continue
        if "".join(kept) != text:
            write_whole(path, "".join(kept))


class PlainLines:
    """One line every ten seconds and at each validation, for logs and pipes."""

    def __init__(self) -> None:
        self.last, self.speed = -SECONDS_BETWEEN_LINES, Speed()

    def step(self, moment: Moment) -> None:
        speed, now = self.speed.at(moment), time.monotonic()
        if now - self.last < SECONDS_BETWEEN_LINES:
            return
        self.last = now
        left = time_left(moment)
        self._say(
            f"step {moment.step:,}  epoch {moment.epoch:.2f}  loss {moment.report.loss:.3f}  "
            f"{speed:,.0f} tokens/s  gradient {moment.report.norm:.2f}  rate {moment.rate:.2e}"
            + (f"  {left} left" if left else "")
        )

    def validation(self, step: int, validation: Validation, better: bool) -> None:
        metrics = "  ".join(f"{name} {value:.4g}" for name, value in validation.metrics.items())
        self._say(f"step {step:,}  held-out {metrics}{'  (best so far)' if better else ''}")
        for sample in validation.samples[:2]:
            self._say(
                f"    {shorten(sample.source)} → {shorten(sample.prediction)}   [{shorten(sample.reference)}]"
            )

    def warning(self, message: str) -> None:
        self._say(f"warning: {message}")

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


class LivePanel:
    """One panel that changes in place; use as a context manager."""

    def __init__(self, console: Console) -> None:
        self.live = Live(console=console, refresh_per_second=4, transient=False)
        self.speed = Speed()
        self.moment: Moment | None = None
        self.found: Validation | None = None
        self.found_at = 0

    def __enter__(self) -> "LivePanel":
        self.live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.live.__exit__(*error)

    def step(self, moment: Moment) -> None:
        self.moment = moment
        self.live.update(self._panel())

    def validation(self, step: int, validation: Validation, better: bool) -> None:
        self.found, self.found_at = validation, step
        self.live.update(self._panel())

    def warning(self, message: str) -> None:
        self.live.console.print(f"[yellow]warning:[/yellow] {escape(message)}", highlight=False)

    def _panel(self) -> Panel:
        parts: list[Any] = []
        if (moment := self.moment) is not None:
            facts = Table.grid(padding=(0, 3))
            facts.add_row(
                f"step [b]{moment.step:,}[/b]",
                f"epoch {moment.epoch:.2f}",
                f"loss [b]{moment.report.loss:.3f}[/b]",
                f"{self.speed.at(moment):,.0f} tokens/s",
            )
            facts.add_row(
                f"gradient {moment.report.norm:.2f}{' (clipped)' if moment.report.clipped else ''}",
                f"rate {moment.rate:.2e}",
                f"accuracy {moment.report.accuracy:.1%}",
                f"{time_left(moment)} left" if time_left(moment) else f"{moment.seconds:.0f} s",
            )
            bar = Table.grid(expand=True)
            bar.add_row(ProgressBar(total=1.0, completed=moment.progress))
            parts += [facts, bar]
        if self.found is not None:
            metrics = "  ".join(f"{name} {value:.4g}" for name, value in self.found.metrics.items())
            parts.append(Text(f"held-out at step {self.found_at:,}:  {metrics}"))
            for sample in self.found.samples[:2]:
                parts.append(Text(f"  {shorten(sample.source)} → {shorten(sample.prediction)}", style="dim"))
        return Panel(Group(*parts), title="training", title_align="left")


class TensorBoard:
    """Curves for TensorBoard, of the extra `tensorboard`."""

    def __init__(self, folder: Path, every: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError as error:
            raise UserError(
                "training.tensorboard: TensorBoard is not installed; pip install 'headway[tensorboard]'"
            ) from error
        self.writer, self.every = SummaryWriter(str(folder)), every

    def step(self, moment: Moment) -> None:
        if moment.step % self.every == 0:
            for name, value in (
                ("loss", moment.report.loss),
                ("gradient_norm", moment.report.norm),
                ("rate", moment.rate),
            ):
                self.writer.add_scalar(f"train/{name}", value, moment.step)

    def validation(self, step: int, validation: Validation, better: bool) -> None:
        for name, value in validation.metrics.items():
            self.writer.add_scalar(f"held_out/{name}", value, step)
        self.writer.flush()

    def warning(self, message: str) -> None:
        self.writer.add_text("warning", message)


def time_left(moment: Moment) -> str:
    """How long the training will go on at this pace, as m:ss; empty where that is not known."""
    if moment.seconds_left is None:
        return ""
    seconds = round(moment.seconds_left)
    return f"{seconds // 60}:{seconds % 60:02d}"


def shorten(text: str, width: int = 60) -> str:
    """The text in one line of at most `width` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"
