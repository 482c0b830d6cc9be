"""Text to ids: python benchmarks/encoding.py [--data FOLDER] [--rounds N]

Headway's encoding beside the library `tokenizers` called with the same vocabulary, both on all cores and in
turn, in processes of their own. FOLDER holds `*.train.tsv`; without it verses of the extra `demo` are
encoded. Figures go to benchmarks/results/encoding.json and .md, and into docs/speed.md.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from machine import machine
from publish import parsed, parser_of, publish, where
from side_by_side import Contender, contest, quartiles, ratio, serve, shown
from works import pairs, workplace

from headway.text.tokenizer import Tokenizer, TokenizerConfig, train_tokenizer

LINES, LEARNED, VOCABULARY = 60_000, 20_000, 8000
"""Of a window; of those from which the vocabulary is learned; its size."""
ROUNDS = 7
OURS, LIBRARY = "Headway", "tokenizers"


def run_contender(kind: str, folder: Path) -> None:
    lines: list[str] = (folder / "lines.txt").read_text("utf-8").split("\n")
    held: list[Any] = []

    def ready() -> Mapping[str, Any]:
        import tokenizers

        if kind == OURS:
            held.append(Tokenizer.load(folder / "tokenizer.json"))
        else:
            held.append(tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")))
        return {"versions": {"tokenizers": tokenizers.__version__}}

    def work(job: str, number: int) -> Mapping[str, Any]:
        if kind == OURS:
            rows = held[0].encode_batch(lines)
        else:
            encoded = held[0].encode_batch_fast(lines, add_special_tokens=False)
            rows = [each.ids for each in encoded]
        return {"tokens": sum(map(len, rows))}

    serve(ready, work)


def measure(data: Path | None, folder: Path, rounds: int, *, quick: bool) -> dict[str, Any]:
    text = [line.rstrip("\n").replace("\t", " ") for line in pairs(data, folder)]
    text = text[: 1000 if quick else LINES]
    size = 400 if quick else VOCABULARY
    train_tokenizer(text[:LEARNED], TokenizerConfig(kind="bpe", vocab_size=size)).save(
        folder / "tokenizer.json"
    )
    (folder / "lines.txt").write_text("\n".join(text), "utf-8")
    several = [
        Contender(kind, [sys.executable, __file__, "--contender", kind, str(folder)])
        for kind in (OURS, LIBRARY)
    ]
    left_out = contest(several, rounds)
    if left_out:
        raise SystemExit(str(left_out))
    seconds = [[window["seconds"] for window in each.windows["all"]] for each in several]
    tokens = {each.windows["all"][0]["tokens"] for each in several}
    if len(tokens) > 1:
        raise SystemExit(f"the two do not encode alike: {tokens}")
    size = sum(len(line.encode()) for line in text)
    return {
        "text": data.name if data else "of the extra `demo`",
        "quick": quick,
        "rounds": rounds,
        "lines": len(text),
        "bytes": size,
        "tokens": tokens.pop(),
        "contenders": [
            {
                "name": each.name,
                "lines_per_second": quartiles([len(text) / each_time for each_time in times]),
                "megabytes_per_second": quartiles([size / each_time / 1e6 for each_time in times]),
                "peak_mib": each.peak_mib,
            }
            for each, times in zip(several, seconds, strict=True)
        ],
        "headway_is_faster": ratio(*([1 / each for each in times] for times in seconds)),
        "machine": machine(),
    }


def lines_of(found: dict[str, Any]) -> list[str]:
    lines = ["| encoding | lines/s | MB/s | MiB |", "| --- | ---: | ---: | ---: |"]
    for row in found["contenders"]:
        speed, size = row["lines_per_second"], row["megabytes_per_second"]["median"]
        lines.append(
            f"| {row['name']} | {speed['median']:,.0f} ({speed['q1']:,.0f}–{speed['q3']:,.0f}) | {size:.1f} "
            f"| {row['peak_mib']:,.0f} |"
        )
    return [
        *lines,
        "",
        f"Headway encodes {shown(found['headway_is_faster'])} times as fast as the library: "
        f"{found['lines']:,} lines a window, {found['rounds']} windows each in turn, the same ids. "
        f"Text: {found['text']}. {where(found['machine'])}",
    ]


def main() -> None:
    parser = parser_of(__doc__, ROUNDS)
    parser.add_argument("--contender", nargs=2, help=argparse.SUPPRESS)
    options = parsed(parser)
    if options.contender:
        run_contender(options.contender[0], Path(options.contender[1]))
        return
    with workplace(None) as folder:
        found = measure(options.data, folder, 2 if options.quick else options.rounds, quick=options.quick)
    lines = lines_of(found)
    print("\n".join(lines))
    publish("encoding", "Encoding of text", found, lines, options.out)


if __name__ == "__main__":
    main()
