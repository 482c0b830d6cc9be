"""In the hands of others: lm-evaluation-harness on an exported model, sacreBLEU's command on our outputs."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import headway
from headway.evaluation.translation import translation_measures
from headway.interop.huggingface import write_transformers
from tests.commands.program import headway as program
from tests.tiny import CAUSAL, WORDS, write_pairs, write_text

TASK = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: {kind}
doc_to_text: "{text}"
doc_to_target: "{target}"
{more}
metric_list: [{{metric: {metric}}}]
"""


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run of the GPT-2 shape, and its model as transformers opens it."""
    folder = tmp_path_factory.mktemp("gpt2")
    shape = [
        "preset=gpt2",
        "model.positions.max_length=64",
        *[change.replace("model.d_ff=32", "model.d_ff=128") for change in CAUSAL],
    ]
    run = headway.train(
        write_text(folder), objective="causal", overrides=[*shape, "stop.steps=30"], out=folder / "run"
    ).folder
    (folder / "there").mkdir()
    write_transformers(headway.load(run.model).bundle, folder / "there")
    return run.model, folder / "there"


def harness(model: Path, tasks: Path, name: str, *arguments: str) -> list[list[float]]:
    """What the harness' own command finds: the log-likelihood of each choice of each example."""
    out, given = tasks / f"out-{name}", ",".join((f"pretrained={model}", "dtype=float32", *arguments))
    command = ["--model", "hf", "--model_args", given, "--tasks", name, "--include_path", str(tasks)]
    command += ["--device", "cpu", "--batch_size", "2", "--log_samples", "--output_path", str(out)]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tasks / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", "run", *command],
        env=os.environ | offline,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    [samples] = out.rglob(f"samples_{name}_*.jsonl")
    found = [json.loads(line) for line in samples.read_text("utf-8").splitlines()]
    found.sort(key=lambda sample: sample["doc_id"])
    return [[_likelihood(choice) for choice in sample["resps"]] for sample in found]


def _likelihood(choice: list[Any]) -> float:
    """Of a choice, or of a whole text, which stands alone."""
    return _likelihood(choice[0]) if isinstance(choice[0], list) else float(choice[0])


def write_task(folder: Path, name: str, docs: list[dict[str, object]], **fields: str) -> None:
    data = folder / f"{name}.jsonl"
    data.write_text("".join(json.dumps(doc) + "\n" for doc in docs), "utf-8")
    content = TASK.format(name=name, data=data, **{"text": "", "target": "", "more": "", **fields})
    (folder / f"{name}.yaml").write_text(content, "utf-8")


@pytest.mark.slow
def test_the_harness_finds_our_likelihoods(gpt2: tuple[Path, Path], tmp_path: Path) -> None:
    for package in ("lm_eval", "accelerate"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    model, there = gpt2
    ours = headway.load(model)
    texts = [" ".join(WORDS[i : i + 5]) for i in range(0, 30, 6)]

    def log_prob(text: str) -> float:
        return sum(ours.score(text).log_probs[:-1])  # without the end, which the harness does not ask for

    write_task(
        tmp_path,
        "whole_lines",
        [{"text": text} for text in texts],
        kind="loglikelihood_rolling",
        target="{{text}}",
        metric="bits_per_byte",
    )
    # It puts the beginning before a text by itself, where the tokenizer must not do it, too.
    found = harness(there, tmp_path, "whole_lines", "add_bos_token=False")
    assert [one for [one] in found] == pytest.approx([log_prob(text) for text in texts], abs=1e-3)

    choices = [WORDS[5], "zzqx"]
    write_task(
        tmp_path,
        "next_word",
        [{"text": text, "choices": choices, "right": 0} for text in texts],
        kind="multiple_choice",
        text="{{text}}",
        target="right",
        more="doc_to_choice: choices",
        metric="acc",
    )
    expected = [[log_prob(f"{text} {choice}") - log_prob(text) for choice in choices] for text in texts]
    for given, wanted in zip(harness(there, tmp_path, "next_word"), expected, strict=True):
        assert given == pytest.approx(wanted, abs=1e-3)


def test_sacrebleu_s_command_scores_our_output_files(tiny_runs: dict[str, Path], tmp_path: Path) -> None:
    pairs, written, references = write_pairs(tmp_path), tmp_path / "outputs.txt", tmp_path / "references.txt"
    done = program("evaluate", tiny_runs["pairs"], pairs, "--json", "--output", written)
    assert done.returncode == 0, done.stderr
    targets = [line.split("\t")[1] for line in pairs.read_text("utf-8").splitlines()]
    references.write_text("\n".join(targets) + "\n", "utf-8")
    command = [sys.executable, "-m", "sacrebleu", str(references), "-i", str(written), "-m", "bleu", "chrf"]
    scored = subprocess.run([*command, "-w", "6"], capture_output=True, text=True, encoding="utf-8")
    assert scored.returncode == 0, scored.stderr
    theirs = {each["name"]: each["score"] for each in json.loads(scored.stdout)}
    outputs = written.read_text("utf-8").splitlines()
    for measure in translation_measures(outputs, [[target] for target in targets]):
        if measure.name != "TER":
            [score] = [
                score for name, score in theirs.items() if name.lower().startswith(measure.name.lower())
            ]
            assert score == pytest.approx(measure.value, abs=1e-5)
