"""The reader of GGUF files: as the package's own, and hard to fool."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from headway.errors import FolderError
from headway.interop.gguf_file import read_file
from tests.interop.gguf_models import written

gguf = pytest.importorskip("gguf")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written("llama", tmp_path_factory.mktemp("gguf"))


def test_it_reads_what_the_package_reads(sound: Path) -> None:
    ours, theirs = read_file(sound), gguf.GGUFReader(sound)
    wanted = {name: each.contents() for name, each in theirs.fields.items() if not name.startswith("GGUF.")}
    assert ours.settings == wanted
    assert list(ours.tensors) == [tensor.name for tensor in theirs.tensors]
    for tensor in theirs.tensors:
        assert np.array_equal(ours.tensors[tensor.name].numbers(), tensor.data), tensor.name


def header(tensors: int = 0, count: int = 0, version: int = 3, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, count) + rest


def text(content: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(content) if length is None else length) + content


def setting(kind: int, value: bytes, name: bytes = b"a") -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def tensor(axes: list[int], kind: int = 0, offset: int = 0) -> bytes:
    return text(b"t") + struct.pack(f"<I{len(axes)}QIQ", len(axes), *axes, kind, offset)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "too short"),
        (b"\x80\x04pickle", "does not begin with GGUF"),
        (b"GGUF\x03", "cut off"),
        (header(version=1), "version 1"),
        (header(version=0x03000000), "version 50331648"),
        (header(tensors=2**63), "tensors; at most"),
        (header(count=2**40), "settings; at most"),
        (header(count=1, rest=text(b"a", length=2**62)), "cut off"),
        (header(count=1, rest=text(b"\xff\xfe")), "not UTF-8"),
        (header(count=1, rest=setting(99, b"")), "type 99"),
        (header(count=1, rest=setting(9, struct.pack("<IQ", 9, 1))), "list of type 9"),
        (header(count=1, rest=setting(9, struct.pack("<IQ", 4, 2**61))), "cut off"),
        (header(count=1, rest=setting(9, struct.pack("<IQ", 8, 2**61))), "fewer than"),
        (header(count=2, rest=setting(4, b"\0" * 4) * 2), "'a' stands twice"),
        (header(count=1, rest=setting(4, b"\0" * 4, b"general.alignment")), "a number of bytes"),
        (header(tensors=1, rest=tensor([])), "0 axes"),
        (header(tensors=1, rest=tensor([1] * 9)), "9 axes"),
        (header(tensors=1, rest=tensor([2, 0])), "no length"),
        (header(tensors=1, rest=tensor([2**62, 2**62])), "does not lie inside"),
        (header(tensors=1, rest=tensor([1], kind=77) + b"\0" * 64), "type 77"),
        (header(tensors=1, rest=tensor([33], kind=2) + b"\0" * 64), "whole blocks of 32"),
        (header(tensors=1, rest=tensor([1], offset=2**63) + b"\0" * 64), "does not lie inside"),
        (header(tensors=1, rest=tensor([1], offset=5) + b"\0" * 64), "does not lie inside"),
        (header(tensors=2, rest=tensor([1]) * 2 + b"\0" * 64), "'t' stands twice"),
    ],
)
def test_what_is_wrong_is_said(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(FolderError, match=said):
        read_file(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_cut_anywhere_is_refused(data: st.DataObject, sound: Path, tmp_path: Path) -> None:
    content = sound.read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(FolderError):
        read_file(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 4000), bytes_=st.binary(min_size=1, max_size=8))
@example(at=8, bytes_=b"\xff" * 8)
def test_a_damaged_header_is_read_or_refused(at: int, bytes_: bytes, sound: Path, tmp_path: Path) -> None:
    content = bytearray(sound.read_bytes())
    content[at : at + len(bytes_)] = bytes_
    path = tmp_path / "damaged.gguf"
    path.write_bytes(content)
    try:
        read_file(path)
    except FolderError as error:
        assert str(error)
