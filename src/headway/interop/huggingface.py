"""Folders of the library `transformers`, written and read; their code runs only to prove what was written."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from headway.bundle import Bundle, BundleInfo, Model
from headway.errors import FolderError, did_you_mean
from headway.interop.compatibility import FAMILIES, family_of
from headway.interop.families.not_held import REASONS
from headway.interop.family import Family, Settings
from headway.interop.foreign_tokenizer import read_tokenizers
from headway.interop.sentence_folder import read_pooling, write_sentence_files
from headway.interop.tokenizer_files import write_tokenizers
from headway.interop.weights import Weights, load_weights, refuse_larger, weights_of
from headway.model.architectures import build
from headway.model.config import TransformerConfig
from headway.sealed_folder import check_tensors, naming, read_json

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
GENERATION = "generation_config.json"
LARGEST_JSON = 2**24
"""More bytes than any real file of that kind has."""
LONGEST_NAME = 63
"""Characters of a file's name: systems refuse to look for one of more than 255 bytes."""

PICKLES = ("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "model.ckpt.index")


def write_transformers(bundle: Bundle, folder: Path) -> Family:
    """Writes into an existing, empty folder what `from_pretrained` opens; the family that it became.

    Raises UserError with the table's reasons for a model that no family can hold.
    """
    config = bundle.config
    family = family_of(config)
    weights = family.export_weights(config, weights_of(bundle.model))
    settings = {
        "architectures": [family.class_of(config)],
        "model_type": family.name,
        **family.to_config(config),
        **family.extra(config),
        **_reach(bundle, family),
        **_ids(bundle),
        "dtype": "float32",
    }
    save_file(
        {name: tensor.cpu() for name, tensor in weights.items()},
        folder / WEIGHTS,
        metadata={"format": "pt"},
    )
    _dump(settings, folder / CONFIG)
    if config.architecture != "encoder":
        _dump(_generation(bundle), folder / GENERATION)
    write_tokenizers(bundle, folder, longest_text(bundle))
    if config.architecture == "encoder":
        write_sentence_files(bundle, folder, longest_text(bundle))
    return family


def read_transformers(folder: Path) -> Bundle:
    """The model and tokenizer in a folder of `transformers`, in float32.

    Raises FolderError naming the file and what is wrong in it. Code that the folder holds is never run, and
    pickled weights are refused.
    """
    if not folder.is_dir():
        raise FolderError(f"{folder}: there is no such folder")
    path = folder / CONFIG
    if not path.is_file():
        raise FolderError(f"{folder}: expected a folder of `transformers`, with a {CONFIG}")
    settings = read_json(path, LARGEST_JSON)
    with naming(folder):
        family = _family_in(settings)
        config = family.from_config(settings)
    weights = _read_weights(folder)
    tokenizers = read_tokenizers(folder, settings, config)
    with naming(folder):
        config, model = _model_of(family, config, weights)
    return Bundle(config, model, tokenizers, _info(folder, config))


def longest_text(bundle: Bundle) -> int | None:
    """Most tokens that the exported model reads at once; None = any number."""
    kind = bundle.config.positions.kind
    return bundle.config.positions.max_length if kind in ("learned", "sinusoidal") else None


def _model_of(family: Family, config: TransformerConfig, weights: Weights) -> tuple[TransformerConfig, Model]:
    refuse_larger(config, sum(tensor.numel() for tensor in weights.values()))
    with torch.device("meta"):
        expected = build(config)
    ours = family.import_weights(expected, weights)
    if config.output_bias and not ours["output.bias"].any():  # many have a bias and never use it
        config = replace(config, output_bias=False)
        del ours["output.bias"]
    model = build(config)
    load_weights(model, ours)
    return config, model.eval()


def _family_in(settings: Settings) -> Family:
    known = {family.name: family for family in FAMILIES}
    name = settings.get("model_type")
    if isinstance(name, str) and name in REASONS:
        raise FolderError(f"{CONFIG}: the model_type is {name!r}, and no model here is so: {REASONS[name]}")
    if not isinstance(name, str) or name not in known:
        raise FolderError(
            f"{CONFIG}: the model_type {name!r} is not known here: {did_you_mean(str(name), known)}"
        )
    return known[name]


def _reach(bundle: Bundle, family: Family) -> Settings:
    """Of rotary positions, which have no end: as many tokens as a row in training had.

    RoFormer writes its waves into a table, which has the length that its own settings say.
    """
    longest = bundle.meta.longest_target
    endless = bundle.config.positions.kind == "rotary" and family.name != "roformer"
    return {"max_position_embeddings": longest} if endless and longest else {}


def _ids(bundle: Bundle) -> Settings:
    """The ids with a role, as config.json and generation_config.json name them."""
    special = bundle.tokenizers.target.special
    ids: Settings = {
        "pad_token_id": special.pad,
        "bos_token_id": special.begin,
        "eos_token_id": special.end,
    }
    if bundle.architecture == "encoder-decoder":
        ids |= {"decoder_start_token_id": special.begin, "forced_eos_token_id": None}
    return ids


def _generation(bundle: Bundle) -> Settings:
    """Their search as near to ours as it comes: it divides a score by length^α, where ours has another
    formula, so that α is 0.
    """
    target = bundle.tokenizers.target
    unused = range(target.vocab_size, bundle.config.vocab_size)
    room = longest_text(bundle) or 0
    settings = _ids(bundle) | {
        "suppress_tokens": [*target.special.never_chosen, *unused],
        "do_sample": False,
        "length_penalty": 0.0,
    }
    if bundle.architecture == "encoder-decoder":
        settings |= {"num_beams": int(bundle.meta.search.get("beams", 4)), "encoder_no_repeat_ngram_size": 0}
        longest = bundle.meta.longest_target + 2 if bundle.meta.longest_target else 0
        limits = [each for each in (room, 2 * longest) if each]
    else:
        limits = [each for each in (room, bundle.meta.longest_target) if each]
    return settings | ({"max_length": min(limits)} if limits else {})


def _info(folder: Path, config: TransformerConfig) -> BundleInfo:
    """What is known of an imported model's use: the lengths that it reads, how vectors are made."""
    longest = config.positions.max_length if config.positions.kind in ("learned", "sinusoidal") else 0
    pairs = config.architecture == "encoder-decoder"
    pooling: dict[str, Any] = dict(read_pooling(folder)) if config.architecture == "encoder" else {}
    return BundleInfo(
        longest_source=longest - 2 if pairs and longest else 0, longest_target=longest, **pooling
    )


def _read_weights(folder: Path) -> Weights:
    """All tensors, of one file or of several that an index lists. Raises FolderError."""
    for name in PICKLES:
        if (folder / name).exists() and not (folder / WEIGHTS).exists() and not (folder / INDEX).exists():
            raise FolderError(
                f"{folder / name}: a pickle can run anything when it is opened; only {WEIGHTS} is read: "
                "open the model with a program that you trust and save it as safetensors"
            )
    files = [WEIGHTS]
    if (folder / INDEX).is_file():
        listed = read_json(folder / INDEX, LARGEST_JSON).get("weight_map")
        if not isinstance(listed, dict) or not all(_is_name(each) for each in listed.values()):
            raise FolderError(f"{folder / INDEX}: weight_map must name a file beside it for each tensor")
        files = sorted(set(listed.values()))
    weights: Weights = {}
    for name in files:
        path = folder / name
        if not path.is_file():
            raise FolderError(f"{path}: is missing")
        check_tensors(path)
        with naming(path, SafetensorError):
            weights |= load_file(path)
    return weights


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and Path(value).name == value and len(value) <= LONGEST_NAME


def _dump(content: Settings, path: Path) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="")
