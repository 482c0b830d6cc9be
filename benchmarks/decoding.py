"""Decoding beside others: python benchmarks/decoding.py [--model FOLDER] [--data FOLDER] [--rounds N]

One model, the same weights in all engines by Headway's own exporters, the same sentences in turn, in
processes of their own. MODEL is a model or run folder of an encoder-decoder; without it the weights are
random, and every output is made 15 tokens long. FOLDER holds `*.test.tsv`; without it verses of the extra
`demo` are read. Figures go to benchmarks/results/decoding.json and .md, and into docs/speed.md.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch
from machine import machine
from matrix_peak import has_matrix_units
from publish import parsed, parser_of, publish, where
from side_by_side import Contender, contest, quartiles, ratio, serve, shown
from works import QUICK, SHAPES, pairs, workplace

from headway.api import Pipeline, load
from headway.bundle import Bundle, BundleInfo, load_bundle, save_bundle
from headway.config import from_table
from headway.interop.ctranslate2 import convert, need_ctranslate2
from headway.interop.ctranslate2_engine import open_engine
from headway.interop.huggingface import write_transformers
from headway.model.architectures import build
from headway.model.config import TransformerConfig
from headway.run_folder import model_folder
from headway.runtime import keep_memory
from headway.text.tokenizer import TokenizerConfig, Tokenizers, train_tokenizer


class Job(NamedTuple):
    """One way of decoding, and how many sentences a window has."""

    batch: int
    beams: int
    sentences: int


JOBS = {
    "batch 64, beam 5": Job(64, 5, 256),
    "batch 64, greedy": Job(64, 1, 256),
    "one at a time, greedy": Job(1, 1, 200),
}
ROUNDS = 5
FORCED, LONGEST = 15, 100
"""Tokens of every output of random weights; most tokens of one of trained weights."""
OURS = "Headway"

Ids = list[list[int]]


class Task:
    """What all contenders read: a folder with the model in three forms, and sentences."""

    def __init__(self, folder: Path) -> None:
        content = json.loads((folder / "task.json").read_text("utf-8"))
        self.folder = folder
        self.texts: list[str] = content["texts"]
        self.sources: Ids = content["sources"]
        self.names: list[list[str]] = content["names"]
        self.shortest, self.longest = content["shortest"], content["longest"]
        self.small = content["small"]

    def window(self, name: str, number: int) -> tuple[Job, Ids]:
        """The job, and its sentences in batches of like length."""
        job = JOBS[name]
        count = 4 if self.small else job.sentences
        chosen = [i % len(self.texts) for i in range(number * count, (number + 1) * count)]
        if job.batch == 1:
            return job, [[i] for i in chosen]
        chosen.sort(key=lambda i: -len(self.sources[i]))
        return job, [chosen[i : i + job.batch] for i in range(0, len(chosen), job.batch)]


def told(batches: Sequence[Sequence[int]], outputs: Ids, seconds: float) -> Mapping[str, Any]:
    """What a window found, by the number of the sentence."""
    numbers = [i for batch in batches for i in batch]
    tokens = sum(map(len, outputs))
    found = dict(zip(map(str, numbers), outputs, strict=True))
    return {"seconds": seconds, "tokens": tokens, "outputs": found}


def headway_here(task: Task) -> None:
    """From text to text, as `headway predict` does it."""
    searches: dict[int, Pipeline] = {}

    def ready() -> Mapping[str, Any]:
        pipeline = load(task.folder / "headway")
        limits = {"max_length": task.longest, "min_length": task.shortest, "length_penalty": 0.0}
        limits |= {"max_ratio": 100.0, "batch_tokens": 10**6}
        for beams in (1, 5):
            method = {"method": "greedy"} if beams == 1 else {"method": "beam", "beams": beams}
            searches[beams] = pipeline.with_search({**limits, **method, "n_best": 1})
        return {"engine": "torch " + torch.__version__}

    def work(name: str, number: int) -> Mapping[str, Any]:
        job, batches = task.window(name, number)
        start = perf_counter()
        outputs: Ids = []
        for batch in batches:
            found = searches[job.beams].hypotheses([task.texts[i] for i in batch])
            outputs += [each[0].ids for each in found]
        return told(batches, outputs, perf_counter() - start)

    serve(ready, work)


def transformers_here(task: Task, kind: torch.dtype, *, kept: bool = False) -> None:
    """`generate`, from ids to ids; `kept`: with freed memory kept as Headway keeps it."""
    held: list[Any] = []
    if kept:
        keep_memory()

    def ready() -> Mapping[str, Any]:
        import transformers

        transformers.logging.set_verbosity_error()
        place = task.folder / "transformers"
        held.append(transformers.AutoModelForSeq2SeqLM.from_pretrained(place, dtype=kind).eval())
        return {"engine": "transformers " + transformers.__version__}

    @torch.inference_mode()
    def work(name: str, number: int) -> Mapping[str, Any]:
        job, batches = task.window(name, number)
        [model] = held
        end, padding = model.generation_config.eos_token_id, model.config.pad_token_id
        settings = {
            "num_beams": job.beams,
            "do_sample": False,
            "length_penalty": 0.0,
            "max_new_tokens": task.longest,
            "min_new_tokens": task.shortest or None,
            "max_length": None,
        }
        start = perf_counter()
        outputs: Ids = []
        for batch in batches:
            rows = [task.sources[i] for i in batch]
            width = max(map(len, rows))
            ids = torch.tensor([row + [padding] * (width - len(row)) for row in rows])
            mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
            found = model.generate(ids, attention_mask=mask, **settings)[:, 1:].tolist()
            outputs += [row[: row.index(end)] if end in row else row for row in found]
        seconds = perf_counter() - start
        outputs = [row[: task.longest] for row in outputs]
        return told(batches, outputs, seconds)

    serve(ready, work)


def ctranslate2_here(task: Task, kind: str) -> None:
    """From tokens to tokens: two workers for batches, which is its best, and one for single sentences."""
    handles: dict[bool, Any] = {}
    ids: dict[str, int] = {}

    def ready() -> Mapping[str, Any]:
        library = need_ctranslate2()
        place = task.folder / f"ctranslate2-{kind}"
        engine = open_engine(place, "cpu")
        ids.update(engine.ids)
        handles[True] = library.Translator(str(place), inter_threads=1, intra_threads=1, compute_type=kind)
        handles[False] = library.Translator(str(place), inter_threads=2, intra_threads=1, compute_type=kind)
        handles["suppressed"] = engine.suppressed
        return {"engine": f"CTranslate2 {library.__version__}", "computes": str(handles[True].compute_type)}

    def work(name: str, number: int) -> Mapping[str, Any]:
        job, batches = task.window(name, number)
        handle = handles[job.batch == 1]
        start = perf_counter()
        found: list[Any] = []
        for some in batches if job.batch == 1 else [[i for batch in batches for i in batch]]:
            found += handle.translate_batch(
                [task.names[i] for i in some],
                beam_size=job.beams,
                max_batch_size=job.batch,
                length_penalty=0,
                max_input_length=0,
                max_decoding_length=task.longest,
                min_decoding_length=task.shortest,
                suppress_sequences=handles["suppressed"],
            )
        seconds = perf_counter() - start
        return told(batches, [[ids[name] for name in each.hypotheses[0]] for each in found], seconds)

    serve(ready, work)


def contenders(folder: Path) -> list[Contender]:
    def command(kind: str) -> list[str]:
        return [sys.executable, __file__, "--contender", kind, str(folder)]

    found = [
        Contender(OURS, command("headway")),
        Contender("`generate`", command("transformers")),
        Contender("`generate`, memory kept", command("transformers-kept")),
    ]
    if has_matrix_units():
        found.append(Contender("`generate`, bf16", command("transformers-bf16")))
    found += [
        Contender("CTranslate2, float32", command("ctranslate2-float32")),
        Contender("CTranslate2, int8", command("ctranslate2-int8")),
    ]
    return found


def run_contender(kind: str, folder: Path) -> None:
    task = Task(folder)
    kinds: dict[str, Callable[[], None]] = {
        "headway": lambda: headway_here(task),
        "transformers": lambda: transformers_here(task, torch.float32),
        "transformers-kept": lambda: transformers_here(task, torch.float32, kept=True),
        "transformers-bf16": lambda: transformers_here(task, torch.bfloat16),
        "ctranslate2-float32": lambda: ctranslate2_here(task, "float32"),
        "ctranslate2-int8": lambda: ctranslate2_here(task, "int8"),
    }
    kinds[kind]()


def bundle_of(model: Path | None, lines: Sequence[str], *, quick: bool) -> Bundle:
    """The model in a folder, or random weights in the shape of `small` with a vocabulary of the text."""
    if model is not None:
        return load_bundle(model_folder(model))
    config = TokenizerConfig(kind="bpe", vocab_size=400 if quick else 8000)
    tokenizer = train_tokenizer(list(lines[:20_000]), config)
    torch.manual_seed(1)
    shape = {**SHAPES["small"], **({**QUICK, "decoder_layers": 1} if quick else {})}
    model = build(from_table(TransformerConfig, {**shape, "vocab_size": tokenizer.vocab_size}))
    with torch.no_grad():  # far from even, so that no rounding decides between two tokens
        model.output.weight.mul_(4.0)
    return Bundle(model.config, model.eval(), Tokenizers(tokenizer, tokenizer), BundleInfo())


def write_task(bundle: Bundle, texts: Sequence[str], folder: Path, *, forced: bool, small: bool) -> None:
    """The model for each engine, and the sentences as text, ids and tokens."""
    save_bundle(bundle, folder / "headway", "")
    (folder / "transformers").mkdir()
    write_transformers(bundle, folder / "transformers")
    for kind in ("float32", "int8"):
        (folder / f"ctranslate2-{kind}").mkdir()
        convert(bundle, folder / f"ctranslate2-{kind}", kind)
    source = bundle.tokenizers.source
    assert source is not None, "an encoder-decoder has a source tokenizer"
    encoded = source.encode_batch(list(texts))
    names = open_engine(folder / "ctranslate2-float32", "cpu").spelled(encoded, source=True)
    task = {
        "texts": list(texts),
        "sources": [source.special.source(ids) for ids in encoded],
        "names": names,
        "shortest": FORCED if forced else 0,
        "longest": FORCED if forced else LONGEST,
        "small": small,
    }
    (folder / "task.json").write_text(json.dumps(task), "utf-8")


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    lines = pairs(options.data, folder)
    bundle = bundle_of(options.model, lines, quick=options.quick)
    held_out = sorted(options.data.glob("*.test.tsv")) if options.data else []
    texts = [
        line.split("\t")[0].strip()
        for line in (held_out[0].read_text("utf-8").splitlines() if held_out else lines[-1000:])
    ][:1000]
    write_task(bundle, texts, folder, forced=not options.model, small=options.quick)
    several = contenders(folder)
    left_out = contest(several, options.rounds, list(JOBS))
    there = [each for each in several if each.name not in left_out]
    rows = []
    for job in JOBS:
        first = there[0].windows[job]
        ours = speeds(first)
        for each in there:
            windows = each.windows[job]
            agreeing = [
                a["outputs"][number] == output
                for a, b in zip(first, windows, strict=True)
                for number, output in b["outputs"].items()
            ]
            rows.append(
                {
                    "job": job,
                    "name": each.name,
                    "sentences_per_second": quartiles(speeds(windows)),
                    "tokens_per_second": quartiles([w["tokens"] / w["seconds"] for w in windows]),
                    "headway_is_faster": ratio(ours, speeds(windows)),
                    "same_outputs": round(statistics.mean(agreeing), 4),
                }
            )
    return {
        "model": options.model.name if options.model else "random weights",
        "text": options.data.name if options.data else "of the extra `demo`",
        "quick": options.quick,
        "rounds": options.rounds,
        "forced_tokens": 0 if options.model else FORCED,
        "rows": rows,
        "contenders": [{"name": e.name, "peak_mib": e.peak_mib, **e.about} for e in there],
        "left_out": left_out,
        "machine": machine(),
    }


def speeds(windows: Sequence[Mapping[str, Any]]) -> list[float]:
    return [len(window["outputs"]) / window["seconds"] for window in windows]


def lines_of(found: dict[str, Any]) -> list[str]:
    lines = [
        "| decoding | engine | sentences/s | tokens/s | same outputs | Headway is as fast times |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in found["rows"]:
        speed = row["sentences_per_second"]
        ours = row["name"] == OURS
        cells = [
            row["job"],
            row["name"],
            f"{speed['median']:,.1f} ({speed['q1']:,.1f}–{speed['q3']:,.1f})",
            f"{row['tokens_per_second']['median']:,.0f}",
            "" if ours else f"{row['same_outputs']:.1%}",
            "" if ours else shown(row["headway_is_faster"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    forced = found["forced_tokens"]
    made = f"outputs of {forced} tokens each" if forced else "length penalty 0"
    engines = ", ".join(f"{e['name']} ({e['engine']}) {e['peak_mib']:,.0f}" for e in found["contenders"])
    return [
        *lines,
        "",
        f"Model: {found['model']}, {made}; text: {found['text']}. Median and quartiles of "
        f"{found['rounds']} windows, all engines in turn. Headway goes from text to text, the others from "
        "tokens to tokens. CTranslate2 has two workers for batches and one stream for single sentences. Most "
        f"memory, MiB: {engines}. "
        f"{where(found['machine'])}",
        *(f"\nLeft out: {name} ({reason})." for name, reason in found["left_out"].items()),
    ]


def main() -> None:
    parser = parser_of(__doc__, 0)
    parser.add_argument("--model", type=Path, help="a model or run folder of an encoder-decoder")
    parser.add_argument("--contender", nargs=2, help=argparse.SUPPRESS)
    options = parsed(parser)
    if options.contender:
        run_contender(options.contender[0], Path(options.contender[1]))
        return
    options.rounds = options.rounds or (2 if options.quick else ROUNDS)
    with workplace(None) as folder:
        found = measure(options, folder)
    lines = lines_of(found)
    print("\n".join(lines))
    publish("decoding", "Decoding", found, lines, options.out)


if __name__ == "__main__":
    main()
