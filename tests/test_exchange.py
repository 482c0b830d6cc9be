"""Exporting and importing from Python: what people get, and that nothing is left where it fails."""

import json
from pathlib import Path

import pytest
import torch

import headway
from headway import exchange
from headway.errors import DataError, FolderError, UserError
from headway.interop import exporters, transformers_model
from headway.interop import proof as proof_module
from headway.interop.proof import Demand, Proof

pytest.importorskip("transformers")

POST = ["model.norm.position=post"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of shapes that classes of transformers have."""
    from tests.tiny import train_tiny

    folder = tmp_path_factory.mktemp("exchange")
    return {
        "pairs": train_tiny("pairs", folder, 40, *POST).folder.path,
        "causal": train_tiny("causal", folder, 20).folder.path,
        "masked": train_tiny("masked", folder, 20).folder.path,
    }


@pytest.mark.parametrize("kind", ["pairs", "causal", "masked"])
def test_a_run_goes_to_transformers_and_back(kind: str, runs: dict[str, Path], tmp_path: Path) -> None:
    proof = headway.export(runs[kind], "transformers", tmp_path / "out")
    assert proof.failures == []
    assert proof.origin == "held out from training"
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert all(line in card for line in proof.lines())
    ours, theirs = headway.load(runs[kind]), headway.import_model(tmp_path / "out", tmp_path / "back")
    text = {"pairs": "bol", "causal": "bal bam", "masked": "bal ___ ban"}[kind]
    settings = {"method": "greedy", "max_length": 5, "repetition_penalty": 1.0}
    if kind != "masked":
        ours, theirs = ours.with_search(settings), theirs.with_search(settings)
    assert theirs.predict(text) == ours.predict(text)
    again = headway.load(tmp_path / "back")
    assert (again if kind == "masked" else again.with_search(settings)).predict(text) == theirs.predict(text)


def test_an_exported_model_translates_as_its_card_says(runs: dict[str, Path], tmp_path: Path) -> None:
    headway.export(runs["pairs"], "transformers", tmp_path / "out", text=["bol", "kem"])
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    code = card.partition("```python\n")[2].partition("```")[0]
    code = code.replace('"out"', repr(str(tmp_path / "out"))).replace("some text", "bol")
    printed: list[object] = []
    exec(code, {"print": printed.append})
    pipeline = headway.load(runs["pairs"]).with_search({"length_penalty": 0.0})
    assert printed == [[pipeline.predict("bol")]]


def test_text_may_be_a_file_of_pairs(runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("bol\tl o b\nkem\tm e k\n", "utf-8")
    proof = headway.export(runs["pairs"], "transformers", tmp_path / "out", text=tmp_path / "pairs.tsv")
    assert (proof.texts, proof.origin) == (2, "lines of pairs.tsv")
    with pytest.raises(DataError, match="nowhere: cannot be read"):
        headway.export(runs["pairs"], "transformers", tmp_path / "more", text=tmp_path / "nowhere")
    (tmp_path / "latin").write_bytes(b"\xe4\n")
    with pytest.raises(DataError, match="latin: is not UTF-8"):
        headway.export(runs["pairs"], "transformers", tmp_path / "more", text=tmp_path / "latin")
    assert not (tmp_path / "more").exists()


def test_a_failed_proof_leaves_nothing(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = exporters.WRITERS["transformers"]
    strict = Demand(difference=-1)
    monkeypatch.setitem(
        exporters.WRITERS,
        "transformers",
        lambda *arguments: exporters.Written(good(*arguments).opponent, strict),
    )
    with pytest.raises(UserError, match="the proof failed, and nothing is written: logits differ by"):
        headway.export(runs["causal"], "transformers", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("target", "type", "message"),
    [
        ("transformer", "float32", "--to transformer: did you mean 'transformers'"),
        ("transformers", "float8", "--type float8: did you mean 'float"),
        ("onnx", "int8", "--type int8: only ctranslate2 stores other numbers"),
        ("gguf", "float32", "gguf cannot hold this model: it holds decoders only"),
    ],
)
def test_what_cannot_be_is_refused(
    target: str, type: str, message: str, runs: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        headway.export(runs["pairs"], target, tmp_path / "out", type=type)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(FolderError, match="out: exists already"):
        headway.export(runs["causal"], "transformers", tmp_path / "out")
    with pytest.raises(FolderError, match="out: exists already"):
        headway.import_model(runs["causal"], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_a_damaged_folder_imports_nothing(runs: dict[str, Path], tmp_path: Path) -> None:
    headway.export(runs["causal"], "transformers", tmp_path / "out")
    path = tmp_path / "out" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"hidden_size": 24}), "utf-8")
    with pytest.raises(FolderError, match="the tensor"):
        headway.import_model(tmp_path / "out", tmp_path / "back")
    assert not (tmp_path / "back").exists()
    with pytest.raises(FolderError, match="is a model folder already"):
        headway.import_model(runs["causal"] / "model", tmp_path / "back")


def test_where_an_export_goes(runs: dict[str, Path]) -> None:
    run = runs["pairs"]
    for model in (run, run / "model"):
        assert exchange.default_place(model, "onnx") == run.resolve().with_name("pairs-onnx")


def test_the_text_of_a_run_comes_from_what_it_held_out(runs: dict[str, Path], tmp_path: Path) -> None:
    from headway.bundle import load_bundle

    bundle = load_bundle(runs["pairs"] / "model")
    for folder in (runs["pairs"], runs["pairs"] / "model"):
        texts = exchange.held_out_texts(folder, bundle)
        assert texts is not None and all(len(line) == 3 for line in texts.lines)
    assert exchange.held_out_texts(tmp_path, bundle) is None


def test_what_a_proof_is(runs: dict[str, Path], tmp_path: Path) -> None:
    proof = headway.export(runs["causal"], "transformers", tmp_path / "out", text=["bal bam ban bar"])
    assert isinstance(proof, Proof)
    assert proof.opponent.startswith("transformers ") and proof.opponent.endswith(", LlamaForCausalLM")


def test_an_import_is_compared_with_what_theirs_computes(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof_module, "ROWS", 3)
    headway.export(runs["causal"], "transformers", tmp_path / "out", text=["bal bam ban bar"])
    said: list[str] = []
    headway.import_model(tmp_path / "out", tmp_path / "back", said.append)
    assert any("LlamaForCausalLM" in line for line in said)
    assert all(line in (tmp_path / "back" / "README.md").read_text("utf-8") for line in said)
    monkeypatch.setattr(
        transformers_model.TransformersModel, "measure", lambda _, row: torch.ones(len(row.inputs), 300)
    )
    with pytest.raises(FolderError, match="out: computes other numbers there than here: logits differ"):
        headway.import_model(tmp_path / "out", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_folder_that_transformers_opens_otherwise_is_not_compared(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headway.export(runs["causal"], "transformers", tmp_path / "out", text=["bal bam ban bar"])

    def refuse(*_: object) -> None:
        raise UserError("transformers found missing keys: x")

    monkeypatch.setattr(transformers_model.TransformersModel, "__init__", refuse)
    said: list[str] = []
    headway.import_model(tmp_path / "out", tmp_path / "back", said.append)
    assert said == ["not compared: transformers found missing keys: x"]
