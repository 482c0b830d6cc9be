"""Python code continued: the standard library's own source, learned by a causal language model."""

import platform
import re
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from headway.api import Pipeline
from headway.demos.demo import Demo, Example, Report, held_out, spread
from headway.demos.division import PARTS, Part, divide, ranked_by_hash
from headway.errors import UserError
from headway.judge import judge

NOT_WANTED = {
    "site-packages",
    "dist-packages",
    "__pycache__",
    # Tests repeat each other, and some are broken on purpose.
    "test",
    "tests",
    "idle_test",
    # Tables that a program wrote, and files that are nearly copies of each other.
    "encodings",
    "pydoc_data",
    "lib2to3",
    "stringprep.py",
    "entities.py",
}
NOT_WANTED_AT_START = ("config-", "_sysconfigdata")
"""Of the dotted name: what was written when this Python was built."""

SMALLEST, LARGEST, TOTAL = 500, 100_000, 4_000_000
"""Bytes: of a file, so that none is most of a part, and of all together, so that minutes are enough."""

VALID_SHARE, TEST_SHARE = 0.03, 0.1
BEFORE, WRITTEN = 400, 24
"""Of an example: characters that the model reads, tokens that it writes."""


def read_sources(folder: Path, total: int = TOTAL) -> dict[str, str]:
    """Python files by dotted name, as many as `total` bytes hold, chosen by hash: the same wherever they lie.

    Left out are tests, generated tables, very small and very large files, and those not in UTF-8.
    """
    paths = {
        ".".join(path.relative_to(folder).parts): path
        for path in folder.rglob("*.py")
        if not NOT_WANTED.intersection(path.relative_to(folder).parts)
    }
    found: dict[str, str] = {}
    room = total
    for name in ranked_by_hash(paths):
        if name.startswith(NOT_WANTED_AT_START):
            continue
        content = paths[name].read_bytes()
        if not SMALLEST <= len(content) <= min(LARGEST, room):
            continue
        try:
            found[name] = content.decode("utf-8").replace("\r\n", "\n")
        except UnicodeDecodeError:
            continue
        room -= len(content)
    return dict(sorted(found.items()))


def write_sources(sources: Mapping[str, str], folder: Path) -> list[str]:
    """The files, divided into folders."""
    few = {"valid": VALID_SHARE, "test": TEST_SHARE}
    counts = {part: max(1, round(len(sources) * share)) for part, share in few.items()}
    part_of = divide(sources, **counts)
    account = []
    for part in PARTS:
        account.append(_write_part({n: t for n, t in sources.items() if part_of[n] == part}, folder, part))
    return account


def _write_part(sources: Mapping[str, str], folder: Path, part: Part) -> str:
    (folder / part).mkdir()
    for name, text in sources.items():
        (folder / part / name).write_text(text, "utf-8", newline="\n")
    size = sum(len(text.encode()) for text in sources.values())
    return f"{part}/: {len(sources):,} files, {size:,} bytes"


def cut_at_definition(text: str) -> tuple[str, str, str] | None:
    """Text up to the bracket of a later definition, that line so far, and its rest; None without one."""
    places = [found.end() for found in re.finditer(r"^ *def \w+\(", text, re.MULTILINE)]
    later = [place for place in places if place >= BEFORE // 2]
    if not later:
        return None
    place = later[len(later) // 2]
    line = text.rindex("\n", 0, place) + 1
    begin = text.find("\n", max(0, place - BEFORE)) + 1
    return text[min(begin, line) : place], text[line:place].strip(), text[place:].partition("\n")[0]


def _origin() -> str:
    return f"the standard library of Python {platform.python_version()} (PSF licence)"


def _write(folder: Path) -> list[str]:
    place = Path(sysconfig.get_path("stdlib"))
    sources = read_sources(place)
    if len(sources) < 20:
        raise UserError(f"{place}: this Python does not come with the source of its library")
    return write_sources(sources, folder)


def _report(pipeline: Pipeline, data: Path) -> Report:
    judged = judge(pipeline, held_out(data, COMPLETE.test, COMPLETE.layout))
    texts = [file.read_text("utf-8") for file in sorted(data.glob(COMPLETE.test))]
    cuts = [cut for text in texts if (cut := cut_at_definition(text)) is not None]
    chosen = [cuts[index] for index in spread(len(cuts))]
    writer = pipeline.with_search({"method": "greedy", "n_best": 1, "max_length": WRITTEN})
    written = writer.predict([_within_context(pipeline, prompt) for prompt, _, _ in chosen])
    examples = [
        Example(shown, text.partition("\n")[0], right)
        for (_, shown, right), text in zip(chosen, written, strict=True)
    ]
    return Report(judged.evaluation, examples)


def _within_context(pipeline: Pipeline, prompt: str) -> str:
    """The end of the prompt, as much as leaves room for what is written."""
    room = pipeline.ensemble.context - WRITTEN - 2  # for <s> and </s>
    tokenizer = pipeline.bundle.tokenizers.target
    return tokenizer.decode(tokenizer.encode(prompt)[-room:]) if room > 0 else prompt


COMPLETE = Demo(
    task="a causal language model that continues Python code",
    recipe="demo-complete",
    origin=_origin,
    write=_write,
    train="train/*.py",
    valid="valid/*.py",
    test="test/*.py",
    layout="file",
    report=_report,
    commands=(
        'echo "def read(self, " | headway predict {run} --whole',
        'headway evaluate {run} "{data}/test/*.py" --layout file',
        "headway inspect {run}",
    ),
)
