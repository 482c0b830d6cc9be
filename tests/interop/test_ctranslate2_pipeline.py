"""`headway predict --engine ctranslate2`: the same texts in, the same hypotheses out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headway.api import Pipeline, load
from headway.bundle import load_bundle
from headway.decoding.hypothesis import Hypothesis
from headway.errors import FolderError, UserError
from headway.interop.ctranslate2_export import export
from headway.interop.ctranslate2_pipeline import KEPT, EnginePipeline, load_ctranslate2
from tests.commands.program import headway, refused

pytest.importorskip("ctranslate2")

Runs = dict[str, Path]
PLAIN = {"repetition_penalty": 1.0, "temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0}
TEXTS = {
    "pairs": ["bal", "gon", "", "dem", "bal gon bal gon bal gon bal"],
    "causal": ["bal", "ban bar", "", "gur kal kam"],
}
EXACT: list[dict[str, Any]] = [
    {"method": "greedy", "max_length": 9},
    {"method": "greedy", "max_length": 3},
    {"method": "greedy", "min_length": 6, "max_length": 9},
    {"method": "beam", "beams": 4, "length_penalty": 0.0, "max_length": 9},
    {"method": "beam", "beams": 3, "length_penalty": 0.0, "max_length": 3},
]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADWAY_CACHE", str(folder))
        yield folder / "ctranslate2"


def both(run: Path, search: dict[str, Any]) -> tuple[Pipeline, EnginePipeline]:
    ours, theirs = (loaded.with_search({**PLAIN, **search}) for loaded in (load(run), load_ctranslate2(run)))
    assert isinstance(theirs, EnginePipeline)
    return ours, theirs


def assert_same(ours: list[list[Hypothesis]], theirs: list[list[Hypothesis]]) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert (other[0].text, other[0].ids) == (mine[0].text, mine[0].ids)
        assert other[0].finished == mine[0].finished
        assert other[0].log_probs == pytest.approx(mine[0].log_probs, abs=1e-4)
        assert other[0].score == pytest.approx(mine[0].score, abs=1e-4)


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("search", EXACT, ids=lambda search: "-".join(map(str, search.values())))
def test_outputs_are_equal(kind: str, search: dict[str, Any], tiny_runs: Runs) -> None:
    ours, theirs = both(tiny_runs[kind], search)
    assert_same(ours.hypotheses(TEXTS[kind]), theirs.hypotheses(TEXTS[kind]))


def test_a_shortest_length_is_kept(tiny_runs: Runs) -> None:
    """Where no end is allowed, CTranslate2 ranks beams as if there were none: its best may be another one."""
    search = {"method": "beam", "beams": 3, "length_penalty": 0.0, "min_length": 5, "max_length": 8}
    _, theirs = both(tiny_runs["causal"], search)
    for found in theirs.hypotheses(TEXTS["causal"]):
        assert 5 <= len(found[0].ids) <= 8
        assert found[0].score == pytest.approx(sum(found[0].log_probs), abs=1e-4)


def test_several_come_with_the_papers_scores_best_first(tiny_runs: Runs) -> None:
    ours, theirs = both(
        tiny_runs["pairs"], {"method": "beam", "beams": 4, "n_best": 3, "length_penalty": 0.6}
    )
    for mine, other in zip(ours.hypotheses(["bal", "gon"]), theirs.hypotheses(["bal", "gon"]), strict=True):
        scores = [each.score for each in other]
        assert len(other) == 3
        assert scores == sorted(scores, reverse=True)
        known = {each.text: each.score for each in mine}
        assert mine[0].text == other[0].text
        for each in other:
            assert each.score == pytest.approx(known.get(each.text, each.score), abs=1e-4)


def test_prefixes_begin_the_output(tiny_runs: Runs) -> None:
    ours, theirs = both(tiny_runs["pairs"], {"method": "greedy"})
    texts, prefixes = ["bal", "gon", "dem"], ["l", "", "m e"]
    assert_same(ours.hypotheses(texts, prefixes), theirs.hypotheses(texts, prefixes))


def test_samples_follow_the_seed_and_the_settings(tiny_runs: Runs) -> None:
    _, theirs = both(tiny_runs["causal"], {"method": "sample", "n_best": 3, "max_length": 6, "seed": 1})
    first = [each.text for each in theirs.hypotheses(["bal"])[0]]
    assert [each.text for each in theirs.hypotheses(["bal"])[0]] == first
    other = theirs.with_search({"seed": 2})
    assert [each.text for each in other.hypotheses(["bal"])[0]] != first
    likeliest = theirs.with_search({"top_k": 1, "n_best": 1})
    greedy = theirs.with_search({"method": "greedy", "n_best": 1})
    assert likeliest.hypotheses(["bal"])[0][0].text == greedy.hypotheses(["bal"])[0][0].text


def test_a_stream_is_the_output_in_pieces(tiny_runs: Runs) -> None:
    ours, theirs = both(tiny_runs["causal"], {"method": "greedy", "max_length": 9})
    assert list(theirs.stream("ban bar")) == list(ours.stream("ban bar"))


@pytest.mark.parametrize(
    "setting", [{"method": "sample", "min_p": 0.1}, {"method": "greedy", "repetition_penalty": 1.2}]
)
def test_what_it_does_otherwise_is_refused_by_name(setting: dict[str, Any], tiny_runs: Runs) -> None:
    _, theirs = both(tiny_runs["causal"], setting)
    name = "min_p" if "min_p" in setting else "repetition_penalty"
    with pytest.raises(
        UserError, match=rf"search\.{name} = .*: CTranslate2 has no such setting; write {name}="
    ):
        theirs.hypotheses(["bal"])


def test_it_only_writes(tiny_runs: Runs) -> None:
    _, theirs = both(tiny_runs["causal"], {})
    for call in (theirs.fill, theirs.score, theirs.embed):
        with pytest.raises(UserError, match="leave out --engine"):
            call(["bal"])


def test_a_model_is_converted_once_for_each_type(tiny_runs: Runs, cache: Path) -> None:
    load_ctranslate2(tiny_runs["pairs"])
    before = {path: (path / "model.bin").stat().st_mtime_ns for path in cache.iterdir()}
    load_ctranslate2(tiny_runs["pairs"] / "model")
    assert {path: (path / "model.bin").stat().st_mtime_ns for path in cache.iterdir()} == before
    load_ctranslate2(tiny_runs["pairs"], "int8")
    assert len(set(cache.iterdir()) - before.keys()) == 1


def test_old_conversions_are_forgotten(
    tiny_runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWAY_CACHE", str(tmp_path))
    for number in range(KEPT + 2):
        (tmp_path / "ctranslate2" / str(number)).mkdir(parents=True)
    load_ctranslate2(tiny_runs["pairs"])
    assert len(list((tmp_path / "ctranslate2").iterdir())) == KEPT
    monkeypatch.setenv("HEADWAY_CACHE", str(tiny_runs["pairs"] / "recipe.toml"))
    with pytest.raises(FolderError, match="name another folder in HEADWAY_CACHE"):
        load_ctranslate2(tiny_runs["pairs"])


def test_an_exported_folder_needs_no_model_folder(tiny_runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "exported"
    folder.mkdir()
    export(load_bundle(tiny_runs["pairs"] / "model"), folder, "int8")
    done = headway("predict", folder, "--engine", "ctranslate2", typed="bal\n\n")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
    message = refused(headway("predict", folder, "--engine", "ctranslate2:int8", typed="bal\n"))
    assert "leave out :int8" in message
    (folder / "model.bin").write_bytes(b"damaged")
    assert str(folder) in refused(headway("predict", folder, "--engine", "ctranslate2", typed="bal\n"))


def test_the_command_line_gives_the_same(tiny_runs: Runs) -> None:
    settings = ("method=beam", "length_penalty=0", "n_best=2")
    plain = headway("predict", tiny_runs["pairs"], *settings, typed="bal\n\ngon\n")
    fast = headway("predict", tiny_runs["pairs"], *settings, "--engine", "ctranslate2", typed="bal\n\ngon\n")
    assert fast.returncode == 0, fast.stderr
    best = [[line.split("\t")[0] for line in done.stdout.splitlines()] for done in (plain, fast)]
    assert best[0] == best[1]
    done = headway(
        "predict",
        tiny_runs["pairs"],
        "--json",
        "--device",
        "cpu",
        "--engine",
        "ctranslate2:int8",
        typed="bal\n",
    )
    assert json.loads(done.stdout)["outputs"][0]["finished"] is True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "ctranslate2:int4"], "there is no type 'int4'"),
        (["--engine", "torch:int8"], "only ctranslate2 takes a type"),
        (["--engine", "torch", "--engine", "ctranslate2"], "exclude each other"),
        (["--engine", "tensorflow"], "there is no device 'tensorflow'"),
        (["--engine", "ctranslate2", "--with", "."], "takes one model, no ensemble"),
    ],
)
def test_mistakes_get_one_message(arguments: list[str], message: str, tiny_runs: Runs) -> None:
    assert message in refused(headway("predict", tiny_runs["pairs"], *arguments, typed="bal\n"))


def test_a_masked_model_is_refused(tiny_runs: Runs) -> None:
    message = refused(headway("predict", tiny_runs["masked"], "--engine", "ctranslate2", typed="bal ___\n"))
    assert "no head that predicts masked tokens" in message
