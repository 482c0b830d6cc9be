"""`headway check`, as typed."""

import json
from pathlib import Path

import pytest

from headway.model import architectures
from headway.model.mask import AttentionMask
from tests.commands.program import headway, refused


def test_findings_go_to_standard_output(tiny_runs: dict[str, Path]) -> None:
    done = headway("check", tiny_runs["causal"] / "recipe.toml")
    assert done.returncode == 0, done.stderr
    *lines, verdict = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["ok"] * 5
    assert verdict.startswith("5 checks in ")
    done = headway("check", tiny_runs["causal"] / "recipe.toml", "optimizer.rate=1e-9", "--json")
    assert done.returncode == 0
    assert [each["level"] for each in json.loads(done.stdout)["findings"]] == [*["ok"] * 4, "warning"]


def test_a_fault_is_told_by_the_exit_status(
    tiny_runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(architectures, "AttentionMask", lambda **_: AttentionMask())
    done = headway("check", tiny_runs["causal"])
    assert done.returncode == 1
    assert "\nfault   future: " in done.stdout


def test_what_cannot_be_checked_is_refused(tmp_path: Path) -> None:
    assert "name a recipe" in refused(headway("check", "optimizer.rate=1"))
    assert "missing.toml" in refused(headway("check", tmp_path / "missing.toml"))
