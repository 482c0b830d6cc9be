"""Damaged and hostile files: each is read or refused with a UserError; none hangs, fills memory or is run."""

import ast
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headway.bundle import load_bundle, save_bundle
from headway.errors import FolderError, UserError
from headway.training.checkpoint import Checkpoints, check
from tests.hostile import (
    TARGETS,
    WORDS,
    Target,
    open_checkpoint,
    small_bundle,
    small_checkpoint,
    small_tokenizer,
)
from tests.mutation import changed

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module", params=TARGETS)
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Target:
    return TARGETS[request.param](tmp_path_factory.mktemp(request.param))


@st.composite
def damages(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A valid input with a few changes."""
    content = draw(st.sampled_from(seeds))
    if draw(st.booleans()):
        return changed(content, draw(st.randoms(use_true_random=True))) or content
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        stop = min(len(content), start + draw(st.sampled_from([0, 1, 2, 8, 100, len(content)])))
        new = draw(st.sampled_from(WORDS) | st.binary(max_size=8) | st.just(content[start:stop] * 2))
        content = content[:start] + new + content[stop:]
    return content


def try_damages(target: Target, examples: int) -> None:
    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(damages(target.seeds))
    def run(content: bytes) -> None:
        try:
            target.read(content)
        except UserError as error:
            assert len(str(error)) < 20_000

    run()


def test_damage_is_refused(target: Target) -> None:
    for seed in target.seeds:
        target.read(seed)
    try_damages(target, 20)


@pytest.mark.slow
def test_much_damage_is_refused(target: Target) -> None:
    try_damages(target, 3000)


def damaged(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The contents that a file may have after an accident."""
    draw = random.Random(0)
    for share in (0.0, 0.1, 0.5, 0.9):
        yield f"cut at {share:.0%}", content[: int(len(content) * share)]
    yield "cut by a byte", content[:-1]
    yield "longer by a byte", content + b"\0"
    for _ in range(8):
        place, bit = draw.randrange(len(content)), draw.randrange(8)
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        yield f"bit {bit} of byte {place}", bytes(flipped)
    yield "noise", draw.randbytes(len(content))
    yield "zeros", bytes(len(content))
    yield "blanks", b" " * len(content)
    yield "a list", b"[]"
    yield "a pickle", b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R."


HARMLESS = ("manifest.json: cut by a byte",)
"""Accidents to the white space at the end."""


def try_accidents(
    folder: Path, names: list[str], open_it: Callable[[Path], object], harmless: tuple[str, ...] = ()
) -> int:
    """Every accident to every file: how many were seen. What was refused names the folder or a file in it."""
    content = {name: (folder / name).read_bytes() for name in names}
    seen = 0

    def look(what: str) -> None:
        nonlocal seen
        try:
            open_it(folder)
        except UserError as error:
            assert str(folder) in str(error), what
            seen += 1
        else:
            assert what in harmless, what
        for name, before in content.items():
            (folder / name).write_bytes(before)

    for name in names:
        for how, damage in damaged(content[name]):
            (folder / name).write_bytes(damage)
            look(f"{name}: {how}")
        (folder / name).unlink()
        look(f"{name}: gone")
        for other in names:
            if other != name:
                (folder / name).write_bytes(content[other])
                (folder / other).write_bytes(content[name])
                look(f"{name} for {other}")
    open_it(folder)
    return seen


def test_every_accident_to_a_model_folder_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save_bundle(small_bundle(small_tokenizer(), 1, 1), folder, "# Card\n")
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 5
    names.remove("README.md")
    assert try_accidents(folder, names, load_bundle, HARMLESS) > 70
    for _, damage in damaged(b"# Card\n"):
        (folder / "README.md").write_bytes(damage)
        load_bundle(folder)


def test_every_accident_to_a_checkpoint_is_seen(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path / "checkpoints")
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 4
    assert try_accidents(folder, names, check, HARMLESS) > 70
    (folder / names[0]).write_bytes(b"")
    warned: list[str] = []
    assert Checkpoints(folder.parent, 2, warned.append).newest_whole() is None
    assert names[0] in warned[0]


def test_a_checkpoint_must_list_what_it_needs(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path)
    manifest = folder / "manifest.json"
    for text, said in (
        (
            '{"format": "headway-checkpoint", "format_version": 1, "files": {}}',
            "does not list model.safetensors",
        ),
        (
            manifest.read_text().replace('"state.json"', '"../state.json"'),
            "'../state.json', which lies elsewhere",
        ),
        (manifest.read_text().replace("{", '{"format": "headway-checkpoint", ', 1), "'format' stands twice"),
    ):
        manifest.write_text(text)
        with pytest.raises(FolderError, match=said):
            open_checkpoint(folder)


FORBIDDEN = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}
"""Libraries that run what they read."""
CALLS = {"eval", "exec", "compile", "torch.load", "np.load", "numpy.load", "torch.hub.load", "__import__"}


def unsafe(tree: ast.AST) -> Iterator[str]:
    """What could run code that a file holds."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name.split(".")[0] in FORBIDDEN)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in FORBIDDEN:
                yield module
            case ast.Call(func=func, keywords=keywords):
                if ast.unparse(func) in CALLS:
                    yield ast.unparse(func)
                for word in keywords:
                    set_false = ast.unparse(word.value) == "False"
                    if word.arg in ("allow_pickle", "trust_remote_code") and not set_false:
                        yield str(word.arg)
                    if word.arg == "weights_only":
                        yield "weights_only: nothing is loaded by torch.load at all"


def test_nothing_is_unpickled() -> None:
    paths = sorted((ROOT / "src").rglob("*.py"))
    found = [(path.name, each) for path in paths for each in unsafe(ast.parse(path.read_text("utf-8")))]
    assert len(paths) > 100
    assert found == []


def test_the_check_for_pickles_sees_them() -> None:
    for offence in (
        "import pickle",
        "from yaml import load",
        "torch.load(path, weights_only=True)",
        "np.load(path, allow_pickle=True)",
        "eval(text)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
    ):
        assert list(unsafe(ast.parse(offence))), offence
    assert list(unsafe(ast.parse("ast.literal_eval(text); model.eval(); re.compile(text)"))) == []
