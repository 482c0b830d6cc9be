"""A run as the page's training view shows it, live while it trains: recipe, metrics, samples, state."""

import json
import math
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from headway.run_folder import RunFolder
from headway.serving.refusal import Refusal

State = Literal["running", "finished", "stopped"]

MOST_LINES = 5000
"""Of metrics in one answer; who has fewer than there are asks again."""
MOST_SAMPLES = 200


class RunAnswer(BaseModel):
    """What is known of a run."""

    recipe: dict[str, Any]
    """Whole, but of files only their names."""
    metrics: list[dict[str, Any]]
    """Lines of metrics.jsonl from number `after` on; one that cannot be read is empty, a number that is none
    is null."""
    lines: int
    """Of metrics.jsonl so far; fewer than `after` once a run has gone on from an earlier checkpoint."""
    samples: list[dict[str, Any]]
    """Lines of samples.jsonl, those of the newest validations."""
    state: State
    clip: float


def dashboard_router() -> APIRouter:
    """The path of the training view. The app's state has `models` with its `runs`."""
    router = APIRouter(tags=["watching a run"])

    @router.get("/api/runs/{name}")
    def run(request: Request, name: str, after: Annotated[int, Query(ge=0)] = 0) -> RunAnswer:
        """The run of that name; `after` is how many lines of metrics are known."""
        runs: dict[str, Path] = request.app.state.models.runs
        if name not in runs:
            known = ", ".join(runs) or "none"
            raise Refusal(
                404, f"there is no such run here; the runs are: {known}", field="name", code="run_not_found"
            )
        return read_run(runs[name], after)

    return router


def read_run(folder: Path, after: int = 0) -> RunAnswer:
    """What lies in a run folder now. Raises Refusal (404) if it is gone."""
    run = RunFolder(folder)
    try:
        recipe = tomllib.loads(run.recipe.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Refusal(404, "this run cannot be read any more", field="name", code="run_not_found") from error
    metrics = list(_lines(folder / "metrics.jsonl"))
    state: State = "finished" if run.is_finished else "running" if run.is_running else "stopped"
    return RunAnswer(
        recipe=_without_paths(recipe),
        metrics=metrics[after : after + MOST_LINES],
        lines=len(metrics),
        samples=list(_lines(folder / "samples.jsonl"))[-MOST_SAMPLES:],
        state=state,
        clip=float(recipe.get("optimizer", {}).get("clip", 0.0)),
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON Lines file that may be written at this moment; its last line may not be whole."""
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return
    for line in text.split("\n")[:-1]:  # a text may hold other line ends
        try:
            value = json.loads(line)
        except ValueError:
            value = {}
        yield _finite(value) if isinstance(value, dict) else {}


def _finite(value: Any) -> Any:
    """The value with numbers that JSON does not know as null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list) else value


def _without_paths(recipe: dict[str, Any]) -> dict[str, Any]:
    """The recipe without the folders of this machine, and with numbers that JSON knows."""
    data = dict(recipe.get("data", {}))
    for key in ("train", "valid"):
        data[key] = [Path(str(name)).name for name in data.get(key, [])]
    if data.get("cache"):
        data["cache"] = Path(str(data["cache"])).name
    whole: dict[str, Any] = _finite({**recipe, "data": data})
    return whole
