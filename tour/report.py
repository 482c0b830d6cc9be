"""What an experiment of the tour leaves: figures as JSON, pictures, and tables in its page.

An experiment begins and ends like this:

    def run(settings: Settings) -> None:
        results = Results("positions", settings)          # the page docs/tour/positions.md
        figures = measure(settings)                       # plain numbers, strings, lists, dicts
        results.table("accuracy", ["positions", "64 tokens"], [["rotary", spread(shares, ".0%")]])
        with results.figure("accuracy") as figure:        # a matplotlib figure
            figure.subplots().plot(…)
        results.text("findings", "Rotary positions …")    # sentences that the figures decide
        results.save(figures)                             # last: it tells how long all took

    def main() -> None:
        main_of(run)

    if __name__ == "__main__":
        main()

The page holds the places, each with a line of its own at its beginning and end:

    <!-- table: accuracy -->  …  <!-- /table -->
    <!-- text: findings -->   …  <!-- /text -->
    <!-- text: run -->        …  <!-- /text -->           filled by `save`: machine, seeds, seconds, command

and shows pictures as `![what one sees](figures/positions-accuracy.svg)`.
"""

import argparse
import json
import math
import re
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.machine import machine

from headway.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGES = Path(__file__).parents[1] / "docs" / "tour"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How an experiment is run."""

    seeds: int = 3
    """Runs of everything that chance decides, with seeds 1, 2, …"""
    quick: bool = False
    """A smoke run at tiny sizes: seconds, and its figures say nothing."""
    out: Path | None = None
    """Where pages, results/ and figures/ are written; None = docs/tour, and nowhere for a smoke run."""

    @property
    def folder(self) -> Path | None:
        """Where things are written, if they are."""
        return self.out or (None if self.quick else PAGES)

    @property
    def each_seed(self) -> range:
        return range(1, self.seeds + 1)


class Results:
    """What one experiment found, on its way into its page; `name` is the page's, with hyphens or underscores.

    Tables and texts are printed too. Outside docs/tour the page is copied first. Raises UserError where the
    page lacks the place for a table or a text.
    """

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name.replace("_", "-")
        self.settings = settings
        self.folder = settings.folder
        self._began = time.perf_counter()
        if self.folder is not None:
            for part in ("results", "figures"):
                (self.folder / part).mkdir(parents=True, exist_ok=True)
            if not self._page(self.folder).exists() and self._page(PAGES).exists():
                shutil.copy(self._page(PAGES), self._page(self.folder))

    def table(self, name: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Put a table into the page, as Markdown; columns of numbers stand to the right."""
        texts = [[str(cell) for cell in row] for row in rows]
        assert all(len(row) == len(header) for row in texts), f"table {name}: rows of different lengths"
        rules = ["---:" if all(map(_is_number, column)) else "---" for column in zip(*texts, strict=True)]
        lines = [header, rules, *texts]
        self._put("table", name, "\n".join("| " + " | ".join(line) + " |" for line in lines))

    def text(self, name: str, text: str) -> None:
        """Put sentences into the page that the figures decide."""
        self._put("text", name, text)

    @contextmanager
    def figure(self, name: str = "", size: tuple[float, float] = (7.0, 3.8)) -> Iterator["Figure"]:
        """An empty matplotlib figure, size in inches, saved as figures/PAGE-NAME.svg at the end of the block.

        It has a white ground, so that it is legible on dark pages; the same figure makes the same bytes.
        """
        from headway.inspection.figure import save_figure

        figure = _empty_figure(size)
        yield figure
        if self.folder is not None:
            import matplotlib

            file = "-".join(filter(None, (self.name, name))) + ".svg"
            with matplotlib.rc_context({"savefig.pad_inches": 0.15}):
                save_figure(figure, self.folder / "figures" / file)

    def save(self, figures: Mapping[str, Any]) -> None:
        """Write results/PAGE.json with machine, seeds and seconds beside the figures; tell of the run.

        Numbers keep six digits; what is not finite becomes null.
        """
        seconds = time.perf_counter() - self._began
        where = machine()
        command = f"python -m tour {self.name}" + (" --quick" if self.settings.quick else "")
        command += f" --seeds {self.settings.seeds}" if self.settings.seeds != Settings.seeds else ""
        content = {
            "experiment": self.name,
            "command": command,
            "quick": self.settings.quick,
            "seeds": list(self.settings.each_seed),
            "seconds": round(seconds, 1),
            "machine": where,
            "figures": plain(figures),
        }
        if self.folder is not None:
            path = self.folder / "results" / f"{self.name}.json"
            path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
        told = f"`{command}`: {seconds:.0f} s on {where['processor']}, {where['cores']} cores, "
        told += f"torch {where['torch']}; seeds {', '.join(map(str, self.settings.each_seed))}."
        if self.settings.quick:
            told += " **A smoke run at tiny sizes: these figures say nothing.**"
        self._put("text", "run", told)

    def _page(self, folder: Path) -> Path:
        return folder / f"{self.name}.md"

    def _put(self, kind: str, name: str, content: str) -> None:
        print(f"\n{content}")
        if self.folder is None or not self._page(self.folder).exists():
            return
        page = self._page(self.folder)
        place = re.compile(rf"(<!-- {kind}: {re.escape(name)} -->\n).*?(<!-- /{kind} -->)", re.DOTALL)
        filled, count = place.subn(
            lambda found: f"{found[1]}\n{content}\n\n{found[2]}", page.read_text("utf-8")
        )
        if count != 1:
            raise UserError(
                f"{page}: has {count} places <!-- {kind}: {name} --> … <!-- /{kind} -->, wanted 1"
            )
        page.write_text(filled, "utf-8")


def spread(values: Sequence[float], form: str = ".3g") -> str:
    """`median [lowest–highest]` of several seeds, each in this format; of a single value that value alone."""
    middle, low, high = statistics.median(values), min(values), max(values)
    if len(values) == 1:
        return format(middle, form)
    return f"{middle:{form}} [{low:{form}}–{high:{form}}]"


def band(values: Sequence[Sequence[float]]) -> tuple[list[float], list[float], list[float]]:
    """Median, lowest and highest at each place of several curves of equal length, for a line with a shade."""
    columns = list(zip(*values, strict=True))
    return [statistics.median(c) for c in columns], [min(c) for c in columns], [max(c) for c in columns]


def plain(value: Any) -> Any:
    """The same as JSON can hold it: numbers of six digits, null for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def arguments_of(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None
) -> argparse.Namespace:
    """What was typed; `.settings` is made of the options that all experiments share."""
    parser.add_argument("--quick", action="store_true", help="a smoke run at tiny sizes that writes nothing")
    parser.add_argument(
        "--seeds", type=int, default=Settings.seeds, help="how many runs of each (default: 3)"
    )
    parser.add_argument("--out", type=Path, help="write into this folder instead of docs/tour")
    given = parser.parse_args(arguments)
    if given.seeds < 1:
        parser.error(f"--seeds {given.seeds}: must be at least 1")
    given.settings = Settings(seeds=given.seeds, quick=given.quick, out=given.out)
    return given


def main_of(run: Callable[[Settings], None]) -> None:
    """Run one experiment with the options that were typed: `python -m tour.positions --quick`."""
    given = arguments_of(argparse.ArgumentParser(description=sys.modules[run.__module__].__doc__))
    try:
        run(given.settings)
    except UserError as error:
        sys.exit(f"error: {error}")


def _is_number(cell: str) -> bool:
    return cell == "" or cell.lstrip("−-+<>~ ")[:1].isdigit()


def _empty_figure(size: tuple[float, float]) -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise UserError("the tour needs the package matplotlib: pip install 'headway[plot]'") from error
    return Figure(figsize=size, layout="constrained", facecolor="white")  # no window and no global state
