"""`headway attend`: what each head of a model looks at in a text, as a table, a page or a figure."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headway.errors import UserError

if TYPE_CHECKING:
    from rich.table import Table

    from headway.api import Pipeline
    from headway.inspection.record import AttentionRecord, Recording

PAGE = (".html", ".htm")


def attend(
    model: Annotated[Path, typer.Argument(help="A model or run folder.")],
    text: Annotated[
        str, typer.Argument(help="What the model reads: a source, a prompt, or a text with blanks.")
    ],
    output: Annotated[
        str | None,
        typer.Option(help="What an encoder-decoder is taken to have written; its own output if not given."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write a page (.html) or a figure (.png, .svg, .pdf) instead of the table."),
    ] = None,
    shown: Annotated[
        str | None,
        typer.Option(
            "--show",
            metavar="STACK[.LAYER[.HEAD,…]]",
            help="encoder, decoder or memory (the decoder looking at its source), layer and heads counted "
            "from 1: memory.2.1,3. By default the last stack's first layer, all heads.",
        ),
    ] = None,
    style: Annotated[str, typer.Option(help="map, lines, or for a page also grid.")] = "map",
    words: Annotated[bool, typer.Option("--words", help="Join the pieces of words.")] = False,
) -> None:
    """Show the attention of every head for one text."""
    suffix = out.suffix.lower() if out else ""
    if out is not None and suffix not in (*PAGE, ".png", ".svg", ".pdf"):
        raise UserError(f"--out {out}: the name ends in .html for a page, in .png, .svg or .pdf for a figure")
    if style not in ("map", "lines", "grid") or (style == "grid" and suffix not in PAGE):
        raise UserError(f"--style {style}: choose map or lines, or for a page also grid")
    from headway.api import load

    pipeline = load(model)
    if output is not None and pipeline.architecture != "encoder-decoder":
        raise UserError("--output: only an encoder-decoder's output is apart from what it reads")
    stack, layer, heads = parse_shown(shown, pipeline)
    if out is not None and suffix in PAGE:
        from headway.serving.export import export_page, name_of

        view: dict[str, Any] = {"stack": stack, "layer": layer, "style": style}
        view |= {"heads": ",".join(map(str, heads))} if heads else {}
        view |= {"words": 1} if words else {}
        write(out, export_page(pipeline, name_of(model), text, output, view))
        return
    recording = pipeline.attend(text, output)
    record = find(recording, stack, layer)
    refuse_unknown(heads, len(record.weights))
    if out is not None:
        from headway.inspection.figure import draw, save_figure

        save_figure(draw(record, heads, style="lines" if style == "lines" else "map", words=words), out)
        return
    from headway.commands.show import show

    for each in [record] if shown else recording.records:
        show(head_table(each, heads))


def parse_shown(shown: str | None, pipeline: "Pipeline") -> tuple[str, int, list[int]]:
    """Stack, layer and heads, of which none = all. Raises UserError for what is none."""
    from headway.serving.export import last_stack

    if shown is None:
        return last_stack(pipeline), 1, []
    stack, *rest = shown.split(".")
    if stack not in ("encoder", "decoder", "memory") or len(rest) > 2:
        raise UserError(
            f"--show {shown}: write encoder, decoder or memory, and perhaps .LAYER or .LAYER.HEAD"
        )
    try:
        numbers = [[int(number) for number in part.split(",")] for part in rest]
    except ValueError as error:
        raise UserError(f"--show {shown}: layers and heads are numbers, as in {stack}.2.1,3") from error
    if numbers and len(numbers[0]) > 1:
        raise UserError(f"--show {shown}: name one layer")
    return stack, numbers[0][0] if numbers else 1, numbers[1] if len(numbers) > 1 else []


def find(recording: "Recording", stack: str, layer: int) -> "AttentionRecord":
    """The record of one layer. Raises UserError if there is none."""
    if stack == "memory":
        return recording.record("decoder", layer, "memory")
    return recording.record("encoder" if stack == "encoder" else "decoder", layer)


def refuse_unknown(heads: list[int], count: int) -> None:
    """Raises UserError for a head that there is not."""
    for head in heads:
        if not 1 <= head <= count:
            raise UserError(f"there is no head {head}: this layer has heads 1 to {count}")


def head_table(record: "AttentionRecord", heads: list[int]) -> "Table":
    """A row for each head: its summary, and the strongest of its looks."""
    from rich.table import Table
    from rich.text import Text

    from headway.inspection.summaries import summarise

    seen = "its source" if record.sees == "memory" else "itself"
    table = Table(title=f"{record.stack} layer {record.layer}, looking at {seen}", title_justify="left")
    for name in ("head", "entropy", "distance", "previous", "diagonal"):
        table.add_column(name, justify="right")
    table.add_column("looks most from → to")
    for number, (weights, summary) in enumerate(
        zip(record.weights, summarise(record.weights), strict=True), start=1
    ):
        if heads and number not in heads:
            continue
        query, key = divmod(int(weights.argmax()), weights.shape[1])
        most = f"{record.query_tokens[query]} → {record.key_tokens[key]}  {float(weights[query, key]):.0%}"
        table.add_row(
            str(number),
            f"{summary.entropy:.2f} bits",
            f"{summary.distance:.1f}",
            f"{summary.previous:.0%}",
            f"{summary.diagonal:.0%}",
            Text(most),
        )
    return table


def write(path: Path, text: str) -> None:
    """Write the whole file or none of it. Raises UserError where that is not possible."""
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_text(text, "utf-8")
        beside.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
