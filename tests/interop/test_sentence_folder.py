"""Encoders through sentence-transformers: the vector of a text is that of `Pipeline.embed`."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headway.api import Pipeline
from headway.bundle import Bundle, BundleInfo
from headway.errors import FolderError
from headway.interop.huggingface import read_transformers, write_transformers
from headway.interop.sentence_folder import pooling_in_words
from headway.model.architectures import build
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig
from headway.text.tokenizer import TokenizerConfig, Tokenizers, train_tokenizer
from tests.interop.theirs import roughen

TEXTS = [
    "ein kleiner Hund bellt",
    "der Hund schläft",
    "klein",
    "eine Katze, ein Hund und viele kleine Mäuse schlafen",
    "",
]

SHAPES: dict[str, dict[str, Any]] = {
    "bert": {
        "activation": "gelu",
        "norm": NormConfig(embedding=True),
        "positions": PositionConfig(kind="learned", max_length=64),
        "output_transform": True,
    },
    "eurobert": {
        "activation": "swiglu",
        "bias": False,
        "norm": NormConfig(kind="rms", position="pre"),
        "positions": PositionConfig(kind="rotary"),
    },
    "modernbert": {
        "activation": "geglu",
        "bias": False,
        "norm": NormConfig(position="pre", embedding=True, first=False),
        "positions": PositionConfig(kind="rotary"),
        "output_transform": True,
    },
}


def bundle(shape: str = "bert", **meta: Any) -> Bundle:
    tokenizer = train_tokenizer(TEXTS * 3, TokenizerConfig(vocab_size=300))
    config = TransformerConfig(
        vocab_size=tokenizer.vocab_size,
        encoder_layers=2,
        decoder_layers=0,
        d_model=16,
        d_ff=24,
        attention=AttentionConfig(num_heads=2),
        **SHAPES[shape],
    )
    model = build(config)
    roughen(model)
    return Bundle(config, model.eval(), Tokenizers(None, tokenizer), BundleInfo(longest_target=64, **meta))


def exported(ours: Bundle, folder: Path) -> Path:
    folder.mkdir()
    write_transformers(ours, folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("frame", [False, True], ids=["text", "frame too"])
def test_the_library_gives_the_same_vectors(shape: str, frame: bool, tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    ours = bundle(shape, embeds_frame=frame, embeds_unit=frame)
    theirs = library.SentenceTransformer(str(exported(ours, tmp_path / "there")), device="cpu")
    vectors = Pipeline(ours).embed(TEXTS)
    np.testing.assert_allclose(theirs.encode(TEXTS), vectors, atol=1e-5 * float(np.abs(vectors).max()))


@pytest.mark.parametrize("meta", [{}, {"embeds_frame": True}, {"embeds_frame": True, "embeds_unit": True}])
def test_how_vectors_are_made_comes_back(meta: dict[str, bool], tmp_path: Path) -> None:
    ours = bundle(**meta)
    again = read_transformers(exported(ours, tmp_path / "there"))
    assert (again.meta.embeds_frame, again.meta.embeds_unit) == (
        meta.get("embeds_frame", False),
        meta.get("embeds_unit", False),
    )
    np.testing.assert_allclose(Pipeline(again).embed(TEXTS), Pipeline(ours).embed(TEXTS), atol=1e-5)


def test_what_counts_for_a_vector() -> None:
    plain = bundle()
    frame, unit = (
        replace(plain, meta=replace(plain.meta, embeds_frame=True, embeds_unit=unit))
        for unit in (False, True)
    )
    text = TEXTS[0]
    special = plain.tokenizers.target.special
    row = torch.tensor([special.whole(plain.tokenizers.target.encode(text))])
    from headway.batch import Tokens

    with torch.no_grad():
        states = plain.model(Tokens(row))[0].numpy()
    np.testing.assert_allclose(Pipeline(plain).embed(text), states[1:-1].mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(Pipeline(frame).embed(text), states.mean(axis=0), atol=1e-5)
    assert np.linalg.norm(Pipeline(unit).embed(text)) == pytest.approx(1, abs=1e-5)
    assert "<s> and </s> left out" in pooling_in_words(plain)
    assert "<s> and </s> included, scaled to length 1" in pooling_in_words(unit)


def test_without_modules_nothing_is_said_of_vectors(tmp_path: Path) -> None:
    folder = exported(bundle(embeds_frame=True), tmp_path / "there")
    (folder / "modules.json").unlink()
    assert not read_transformers(folder).meta.embeds_frame


def edit(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), "utf-8")


REFUSED: list[tuple[str, Callable[[Any], None], str]] = [
    (
        "2_Pooling/config.json",
        lambda c: c.update(pooling_mode_mean_tokens=False, pooling_mode_cls_token=True),
        "pooled as .*pooling_mode_cls_token.*remove modules.json",
    ),
    ("2_Pooling/config.json", lambda c: c.update(pooling_mode=["mean", "max"]), "pooled as .*'max'"),
    ("1_WordWeights/config.json", lambda c: c["word_weights"].update(ein=0.5), "weights of their own"),
    ("modules.json", lambda c: c[2].update(type="sentence_transformers.models.Dense"), "through a Dense"),
    ("modules.json", lambda c: c[2].pop("type"), "modules.json: expected a list of modules"),
]


@pytest.mark.parametrize(("file", "change", "message"), REFUSED, ids=range(len(REFUSED)))
def test_other_vectors_are_refused(
    file: str, change: Callable[[Any], None], message: str, tmp_path: Path
) -> None:
    folder = exported(bundle(), tmp_path / "there")
    edit(folder / file, change)
    with pytest.raises(FolderError, match=message):
        read_transformers(folder)


def test_a_token_that_only_case_tells_from_a_special_one_keeps_its_weight(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["<S> </S> a"], TokenizerConfig(kind="symbols", vocab_size=20))
    ours = bundle()
    model = build(replace(ours.config, vocab_size=tokenizer.vocab_size))
    ours = Bundle(model.config, model.eval(), Tokenizers(None, tokenizer), BundleInfo())
    path = exported(ours, tmp_path / "there") / "1_WordWeights" / "config.json"
    weights = json.loads(path.read_text("utf-8"))["word_weights"]
    assert weights == {"<s>": 0.0, "</s>": 0.0, "<S>": 1.0, "</S>": 1.0}


def test_endless_positions_reach_as_far_as_a_row_in_training(tmp_path: Path) -> None:
    settings = json.loads(
        (exported(bundle("eurobert"), tmp_path / "there") / "config.json").read_text("utf-8")
    )
    assert settings["max_position_embeddings"] == 64
