"""Steps in C are the steps of the model, and where they cannot be had nothing else changes."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headway.batch import Tokens
from headway.decoding import compiler
from headway.decoding.compiled_steps import LONGEST, CompiledLinear, CompiledStack, can_hasten, hasten
from headway.decoding.layout import preparation
from headway.model.architectures import CausalLM, Decoder, EncoderDecoder, MaskedLM
from headway.model.backends import RecordingBackend
from headway.model.cache import Cache
from headway.model.stack import Stack
from headway.runtime import limited_threads

from ..model.shapes import SHAPES, Shape, assert_near, causal, config_of, encoder_decoder, masked, text

KNOWN = [shape for shape in SHAPES if shape.positions not in ("alibi", "relative")]
named = pytest.mark.parametrize("shape", KNOWN, ids=lambda shape: "-".join(map(str, shape[:5])))


@pytest.fixture
def new_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A cache folder without a library in it."""
    monkeypatch.setenv("HEADWAY_CACHE", str(tmp_path))
    compiler.library.cache_clear()
    yield tmp_path
    compiler.library.cache_clear()


def begun(model: Decoder, rows: int, beams: int, lengths: list[int] | None) -> Cache:
    torch.manual_seed(1)
    if isinstance(model, CausalLM):
        cache = model.begin(rows)
        cache.spread(beams)
        return cache
    assert isinstance(model, EncoderDecoder)
    source = text(rows, 5, lengths)
    return model.begin(source if lengths else replace(source, segments=None), beams)


@torch.inference_mode()
def numbers(model: Decoder, rows: int, beams: int, lengths: list[int] | None = None) -> list[Tensor]:
    """Logits of steps after prompts of several lengths, with rows that change places between."""
    cache = begun(model, rows, beams, lengths)
    count = rows * beams
    counts = torch.tensor([1 + row % 3 for row in range(count)]) if lengths else None
    found = [model.step(torch.randint(0, 29, (count, 3)), cache, counts)]
    for _ in range(3):
        cache.keep(torch.arange(count).flip(0))
        found.append(model.step(torch.randint(0, 29, (count, 1)), cache))
    return found


def assert_same_steps(
    model: Decoder, other: Decoder, rows: int, beams: int, lengths: list[int] | None
) -> None:
    expected = numbers(model, rows, beams, lengths)
    for one, wanted in zip(numbers(other, rows, beams, lengths), expected, strict=True):
        assert_near(one, wanted)


def count_passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the rows of each pass of a stack that does not go through C."""
    passed, inner = [], Stack.forward

    def forward(self: Stack, x: Tensor, *arguments: object) -> Tensor:
        passed.append(len(x))
        return inner(self, x, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Stack, "forward", forward)
    return passed


@named
def test_steps_of_every_shape_are_the_same(shape: Shape) -> None:
    for make in (encoder_decoder, causal):
        model = make(config_of(shape))
        other = copy.deepcopy(model)
        assert hasten(other), "this machine has no C compiler"
        assert_same_steps(model, other, 1, 1, None)
        assert_same_steps(model, other, 1, 4, None)
        assert_same_steps(model, other, 3, 2, [5, 2, 3])


@named
def test_many_rows_are_shared_out_among_threads(shape: Shape) -> None:
    model = encoder_decoder(config_of(shape))
    other = copy.deepcopy(model)
    assert hasten(other)
    for count in (1, 2, 3):
        with limited_threads(count):
            assert_same_steps(model, other, 13, 5, [5, 2, 3, 4, 1, 5, 5, 2, 3, 3, 1, 4, 5])
    assert_same_steps(model, other, 103, 1, None)


@named
@torch.inference_mode()
def test_encoders_of_every_shape_are_the_same(shape: Shape) -> None:
    for make in (encoder_decoder, masked):
        model = make(config_of(shape))
        other = copy.deepcopy(model)
        assert hasten(other)
        for lengths in ([9], [1], [9, 2, 5], [9, 9], [9 - row % 9 for row in range(40)]):
            source = text(len(lengths), 9, lengths)
            assert source.segments is not None
            found = [encoded(each, source)[source.segments == 1] for each in (model, other)]
            assert_near(found[1], found[0])


def encoded(model: EncoderDecoder | MaskedLM, source: Tokens) -> Tensor:
    return model.encode(source) if isinstance(model, EncoderDecoder) else model(source)


@torch.inference_mode()
def test_packed_or_padded_before_is_left_to_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    model = masked(config_of(KNOWN[0]))
    assert hasten(model)
    passed = count_passes(monkeypatch)
    for segments in ([1, 1, 2, 2], [0, 1, 1, 1], [1, 0, 1, 0]):
        model(replace(text(1, 4), segments=torch.tensor([segments])))
    assert passed == [1, 1, 1]
    model(replace(text(1, 4), segments=torch.tensor([[1, 1, 1, 0]])))
    model(text(1, LONGEST))
    assert passed == [1, 1, 1]
    model(text(2, LONGEST + 1))
    assert passed == [1, 1, 1, 2]


def test_products_of_any_size_are_the_same() -> None:
    for outputs, inputs in ((1, 1), (15, 8), (16, 9), (37, 24), (70, 131)):
        linear = nn.Linear(inputs, outputs, bias=outputs > 1)
        model = causal(config_of(KNOWN[0]))
        model.output = linear
        assert hasten(model)
        for rows in (1, 2, 3, 4, 15, 16, 17, 23, 200):
            x = torch.randn(rows, inputs)
            with torch.inference_mode():
                assert_near(linear(x), F.linear(x, linear.weight, linear.bias))


def test_prompts_and_steps_go_through_c_and_texts_read_whole_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    model = causal(config_of(KNOWN[0]))
    assert hasten(model)
    passed = count_passes(monkeypatch)
    numbers(model, 2, 1)
    assert passed == []
    with torch.inference_mode():
        model(text(3, 4))
    assert passed == [3]
    model.decoder.backend = RecordingBackend()
    numbers(model, 2, 1)
    assert passed == [3, 2, 2, 2, 2], "who records attention sees every step"


def test_who_watches_a_layer_sees_it() -> None:
    model = masked(config_of(KNOWN[0]))
    assert hasten(model)
    seen: list[Tensor] = []
    handle = model.encoder.layers[0].register_forward_hook(lambda *found: seen.append(found[-1]))
    with torch.inference_mode():
        model(text(1, 4))
        handle.remove()
        model(text(1, 4))
    assert len(seen) == 1


def test_who_wants_gradients_gets_them() -> None:
    model = causal(config_of(KNOWN[0]))
    assert hasten(model)
    model.step(torch.tensor([[3]]), model.begin(1)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.output.parameters())


def test_changes_of_a_parameter_are_seen_and_a_copy_has_its_own() -> None:
    model = encoder_decoder(config_of(KNOWN[0]))
    assert hasten(model)
    other, expected = copy.deepcopy(model), numbers(model, 1, 2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    assert not torch.equal(numbers(model, 1, 2)[-1], expected[-1])
    assert all(torch.equal(a, b) for a, b in zip(numbers(other, 1, 2), expected, strict=True))


def test_parameters_may_move() -> None:
    model = encoder_decoder(config_of(KNOWN[0]))
    assert hasten(model)
    expected = numbers(model, 1, 2)
    held = [parameter.data for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    for each in held:
        each.zero_()
    assert all(torch.equal(a, b) for a, b in zip(numbers(model, 1, 2), expected, strict=True))


def test_scores_with_a_bias_are_left_to_pytorch() -> None:
    for shape in SHAPES:
        model = encoder_decoder(config_of(shape))
        assert can_hasten(model.decoder) == (shape in KNOWN)
        assert not can_hasten(model.double().decoder)


@pytest.mark.parametrize("wanted", ["", "no-such-compiler", "false"])
def test_without_a_compiler_all_goes_on_without_it(
    wanted: str, new_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWAY_COMPILER", wanted)
    model = encoder_decoder(config_of(KNOWN[0]))
    other = copy.deepcopy(model)
    preparation("float32", torch.device("cpu"))(other)
    assert not isinstance(other.decoder.forward, CompiledStack)
    matrix = other.decoder.layers[0].feed_forward.inner.weight
    assert not matrix.is_contiguous(), "its matrices are laid out instead"
    assert_same_steps(model, other, 1, 1, None)
    assert not list(new_library.rglob("*.so"))


def test_a_model_that_is_ready_takes_its_steps_in_c() -> None:
    model = encoder_decoder(config_of(KNOWN[0]))
    other = copy.deepcopy(model)
    preparation("float32", torch.device("cpu"))(other)
    assert isinstance(other.decoder.forward, CompiledStack)
    assert isinstance(other.output.forward, CompiledLinear)
    assert_same_steps(model, other, 1, 2, None)


def test_a_library_is_made_once_and_a_compiler_without_threads_will_do(
    new_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_threads = tmp_path / "compiler"
    without_threads.write_text('#!/bin/sh\ncase "$*" in *-fopenmp*) exit 1;; esac\nexec cc "$@"\n', "utf-8")
    without_threads.chmod(0o755)
    monkeypatch.setenv("HEADWAY_COMPILER", f"{without_threads} -O1")
    model = encoder_decoder(config_of(KNOWN[0]))
    other = copy.deepcopy(model)
    assert hasten(other)
    assert_same_steps(model, other, 1, 4, None)
    [made] = new_library.rglob("*.so")
    before = made.stat().st_mtime_ns
    compiler.library.cache_clear()
    assert compiler.library("compiled_steps") is not None
    assert made.stat().st_mtime_ns == before


def test_a_damaged_library_is_made_again(new_library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiler.library("compiled_steps") is not None
    [made] = new_library.rglob("*.so")
    damaged = new_library / "other" / "compiled" / made.name
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"not a library")
    monkeypatch.setenv("HEADWAY_CACHE", str(new_library / "other"))
    compiler.library.cache_clear()
    assert compiler.library("compiled_steps") is not None
    assert damaged.stat().st_size > 100
