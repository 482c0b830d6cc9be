"""`headway predict`: text in, text out, by whatever the model was trained to do."""

import json
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from headway.commands.arguments import split_overrides
from headway.errors import DataError, UserError

if TYPE_CHECKING:
    from headway.api import Pipeline

ENGINES = ("torch", "ctranslate2")
PRECISIONS = ("float32", "int8")


def predict(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL [FILE…] [KEY=VALUE…]",
            help="A model or run folder; files of input lines, standard input if none; settings of the "
            "search, as in beams=8 or method=sample temperature=0.8 top_p=0.9.",
        ),
    ],
    also: Annotated[
        list[Path] | None, typer.Option("--with", help="A further model of the same vocabulary: an ensemble.")
    ] = None,
    prefix: Annotated[
        str, typer.Option(help="What each output of an encoder-decoder is to begin with.")
    ] = "",
    candidates: Annotated[
        int, typer.Option(help="For blanks: print so many candidates for each, with probabilities.")
    ] = 0,
    whole: Annotated[
        bool, typer.Option(help="The whole input is one prompt, and its continuation is printed raw.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line, with scores.")] = False,
    places: Annotated[
        list[str] | None,
        typer.Option(
            "--device",
            "--engine",
            "--precision",
            "--processes",
            metavar="PLACE",
            help="Where it is computed: auto, cpu, cuda or mps; by which engine: torch, ctranslate2, or with "
            "a type, as in ctranslate2:int8; in which precision of torch: float32 or int8; by how many "
            "processes, if not by as many as repay their start.",
        ),
    ] = None,
) -> None:
    """Predict, one line in to one line out.

    An encoder-decoder turns each line into its output. A masked model fills the blanks (___ or <mask>). A
    causal model continues each line as a prompt; a line break in a continuation is printed as \\n, unless it
    streams to a terminal or --whole is given.
    """
    (model, *files), overrides = split_overrides(arguments, "name a model or run folder")
    if candidates < 0:
        raise UserError(f"--candidates {candidates}: ask for at least 1")
    from headway.commands.show import put

    counts = [place for place in places or [] if place.isdecimal()]
    processes = _count(counts)
    where = [place for place in places or [] if place not in counts]
    pipeline = _load([model, *map(str, also or [])], where).with_overrides(overrides)
    _refuse_idle(pipeline.architecture, prefix, candidates, whole=whole, as_json=as_json)
    typed = _is_conversation(files)
    if counts and (whole or typed):
        raise UserError("--processes: several share the lines of files; leave it out where one text is read")
    if pipeline.architecture == "decoder" and (whole or typed):
        _stream(pipeline, ["".join(f"{line}\n" for line in input_lines(files))[:-1]] if whole else _typed())
        return
    lines = _typed() if typed else input_lines(files)
    if pipeline.architecture == "decoder":
        lines = _prompts(pipeline, lines)
    answer = partial(_answers, prefix=prefix, candidates=candidates, as_json=as_json)
    parts = (
        (answer(pipeline, [line]) for line in lines) if typed else pipeline.in_parts(lines, answer, processes)
    )
    for part in parts:
        for line in part:
            put(line)
        put("", end="", flush=True)


def _refuse_idle(architecture: str, prefix: str, candidates: int, *, whole: bool, as_json: bool) -> None:
    """Raises UserError for an option that would do nothing with a model of this kind."""
    if prefix and architecture != "encoder-decoder":
        raise UserError("--prefix: only an encoder-decoder's output can be made to begin with something")
    if candidates and architecture != "encoder":
        raise UserError("--candidates: only a masked model fills blanks; for several outputs write n_best=…")
    if whole and (as_json or architecture != "decoder"):
        raise UserError("--whole: only a causal model continues a whole text as one prompt, and not as JSON")


def _count(counts: list[str]) -> int | Literal["auto"]:
    """The number of processes, if one was typed."""
    if len(counts) > 1:
        raise UserError(f"--processes: {' and '.join(counts)} exclude each other")
    if not counts:
        return "auto"
    if not 1 <= int(counts[0]) <= 1024:
        raise UserError(f"--processes {counts[0]}: must be from 1 to 1024")
    return int(counts[0])


def _load(models: list[str], places: list[str]) -> "Pipeline":
    """The models on a device, in the hands of an engine, named in any order."""
    engines = [place for place in places if place.partition(":")[0] in ENGINES]
    precisions = [place for place in places if place in PRECISIONS]
    devices = [place for place in places if place not in engines + precisions]
    if max(map(len, (engines, precisions, devices))) > 1:
        raise UserError(f"--device, --engine, --precision: {' and '.join(places)} exclude each other")
    name, _, type = (engines or ["torch"])[0].partition(":")
    device = (devices or ["auto"])[0]
    if name == "torch":
        from headway.api import load

        if type:
            raise UserError(f"--engine {engines[0]}: only ctranslate2 takes a type; write --precision {type}")
        return load(*models, device=device, precision=(precisions or ["float32"])[0])
    if precisions:
        raise UserError(f"--precision: of {name} it is the type: --engine {name}:{precisions[0]}")
    if len(models) > 1:
        raise UserError(f"--with: {name} takes one model, no ensemble; leave out --engine")
    from headway.interop.ctranslate2_pipeline import load_ctranslate2

    return load_ctranslate2(models[0], type or None, device)


def input_lines(files: list[str]) -> Iterator[str]:
    """The lines of the files, or of standard input. Raises DataError for a file that cannot be read."""
    for name in files or ["-"]:
        try:
            if name == "-":
                yield from _decoded(sys.stdin.buffer, "standard input")
            else:
                with Path(name).open("rb") as file:
                    yield from _decoded(file, name)
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror or error}", name) from error


def _decoded(lines: Iterable[bytes], name: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise DataError("is not UTF-8", name, number) from error


def _is_conversation(files: list[str]) -> bool:
    return not files and sys.stdin.isatty()


def _typed() -> Iterator[str]:
    """Lines as a person types them, until the end of input."""
    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        yield line.rstrip("\r\n")


def _stream(pipeline: "Pipeline", prompts: Iterable[str]) -> None:
    from headway.commands.show import put

    for prompt in _prompts(pipeline, prompts):
        for piece in pipeline.stream(prompt):
            put(piece, end="", flush=True)
        put("")


def _prompts(pipeline: "Pipeline", lines: Iterable[str]) -> Iterator[str]:
    """The lines as prompts; what the model's context has no room for is left out, and that is said."""
    for number, line in enumerate(lines, start=1):
        prompt = pipeline.prompt_that_fits(line)
        if prompt != line:
            print(
                f"headway: line {number} of the input is longer than the model's context: "
                f"going on from its last {len(prompt):,} of {len(line):,} characters",
                file=sys.stderr,
            )
        yield prompt


def _answers(
    pipeline: "Pipeline", lines: list[str], prefix: str, candidates: int, as_json: bool
) -> list[str]:
    if pipeline.architecture == "encoder":
        return list(_filled(pipeline, lines, candidates, as_json))
    return list(_written(pipeline, lines, prefix, as_json))


def _written(pipeline: "Pipeline", lines: list[str], prefix: str, as_json: bool) -> Iterator[str]:
    prefixes = [prefix] * len(lines) if prefix else None
    for line, hypotheses in zip(lines, pipeline.hypotheses(lines, prefixes), strict=True):
        if as_json:
            found: list[dict[str, Any]] = [
                {
                    "text": each.text,
                    "score": each.score,
                    "finished": each.finished,
                    "log_probs": each.log_probs,
                }
                for each in hypotheses
            ]
            yield json.dumps({"input": line, "outputs": found}, ensure_ascii=False)
        else:
            yield "\t".join(_one_line(each.text) for each in hypotheses)


def _filled(pipeline: "Pipeline", lines: list[str], candidates: int, as_json: bool) -> Iterator[str]:
    """Each line filled; one without a blank as it is."""
    from headway.decoding.fill_mask import has_blank

    found = iter(pipeline.fill([line for line in lines if has_blank(line)], max(1, candidates)))
    for line in lines:
        filled = next(found) if has_blank(line) else None
        text = line if filled is None else filled.text
        blanks = [] if filled is None else filled.blanks
        if as_json:
            shown = [[{"text": each.text, "log_prob": each.log_prob} for each in blank] for blank in blanks]
            yield json.dumps({"input": line, "output": text, "blanks": shown}, ensure_ascii=False)
        elif candidates:
            columns = [" ".join(f"{each.text}:{each.probability:.3f}" for each in blank) for blank in blanks]
            yield "\t".join([_one_line(text), *columns])
        else:
            yield _one_line(text)


def _one_line(text: str) -> str:
    return text.replace("\n", "\\n")
