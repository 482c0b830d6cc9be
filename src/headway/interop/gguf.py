"""GGUF, the format of llama.cpp and what is built on it: our models in one file, and such files as ours."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headway.bundle import Bundle, BundleInfo, Model
from headway.errors import FolderError
from headway.interop.families.gpt2 import GPT2
from headway.interop.families.llama import LLAMA
from headway.interop.families.qwen3 import QWEN3
from headway.interop.family import Family, Rule, Settings
from headway.interop.gguf_file import GgufFile, need_gguf, read_file
from headway.interop.gguf_tokenizer import read_tokenizer, tokenizer_settings
from headway.interop.reparametrise import interleave_rotary
from headway.interop.weights import Weights, load_weights, refuse_larger, weights_of
from headway.model.architectures import build
from headway.model.config import TransformerConfig
from headway.sealed_folder import naming
from headway.text.tokenizer import Tokenizers

FILE = "model.gguf"

RULES = (
    Rule(
        lambda config: config.norm.kind != "rms" or config.activation == "swiglu",
        "its gates go through SiLU",
        "model.activation=swiglu",
    ),
    Rule(
        lambda config: config.norm.kind != "layer" or config.activation == "gelu_tanh",
        "its GPT-2 has the approximate GELU",
        "model.activation=gelu_tanh",
    ),
)
"""What llama.cpp asks for beside a shape that it knows; and vocabularies must be byte-level."""


@dataclass(frozen=True)
class Layout:
    """One architecture there: its family here, and its settings by the names of the family's."""

    name: str
    family: Family
    settings: dict[str, tuple[str, type]]
    """Names there, without the architecture's, to the family's and what they hold."""
    implied: Settings
    """The family's settings that the architecture fixes."""
    turns_neighbours: bool = False
    """Whether rotary positions turn numbers 2i and 2i + 1 of a head, rather than i and i + E/2."""
    transposed: tuple[str, ...] = ()
    """Ends of names of the family's matrices that map rows to columns; all map columns to rows there."""
    ignored: dict[str, Any] = field(default_factory=dict)
    """Settings that may be there with one value, which changes nothing."""

    def tensor_names(self, config: TransformerConfig) -> dict[str, str]:
        """The names there of the family's tensors."""
        gguf = need_gguf()
        kinds = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
        table = gguf.get_tensor_name_map(kinds[self.name], config.decoder_layers)
        names = [name for entry in self.family.entries(config) if not entry.optional for name in entry.theirs]
        found = {name: table.get_name(name, (".weight", ".bias")) for name in names}
        return {name: there for name, there in found.items() if there is not None}


_LLAMA_SETTINGS: dict[str, tuple[str, type]] = {
    "context_length": ("max_position_embeddings", int),
    "embedding_length": ("hidden_size", int),
    "block_count": ("num_hidden_layers", int),
    "feed_forward_length": ("intermediate_size", int),
    "attention.head_count": ("num_attention_heads", int),
    "attention.head_count_kv": ("num_key_value_heads", int),
    "attention.key_length": ("head_dim", int),
    "attention.value_length": ("head_dim", int),
    "rope.dimension_count": ("head_dim", int),
    "rope.freq_base": ("rope_theta", float),
    "attention.layer_norm_rms_epsilon": ("rms_norm_eps", float),
    "vocab_size": ("vocab_size", int),
}
_GPT2_SETTINGS: dict[str, tuple[str, type]] = {
    "context_length": ("n_positions", int),
    "embedding_length": ("n_embd", int),
    "block_count": ("n_layer", int),
    "feed_forward_length": ("n_inner", int),
    "attention.head_count": ("n_head", int),
    "attention.head_count_kv": ("n_head", int),
    "attention.layer_norm_epsilon": ("layer_norm_epsilon", float),
    "vocab_size": ("vocab_size", int),
}
MAY_BE_MISSING = (
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "rope.dimension_count",
    "rope.freq_base",
    "vocab_size",
)
"""Settings that others, or tensors, imply."""
_UNSCALED = {"rope.scaling.type": "none", "expert_count": 0, "expert_used_count": 0}

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout(
            "gpt2",
            GPT2,
            _GPT2_SETTINGS,
            {"activation_function": "gelu_new"},
            transposed=("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight"),
        ),
        Layout("llama", LLAMA, _LLAMA_SETTINGS, {"hidden_act": "silu"}, True, ignored=_UNSCALED),
        Layout("qwen3", QWEN3, _LLAMA_SETTINGS, {"hidden_act": "silu"}, ignored=_UNSCALED),
    )
}


def layout_of(config: TransformerConfig) -> Layout:
    """The architecture there that holds a model, for which the rules are known to hold."""
    return next(layout for layout in LAYOUTS.values() if not layout.family.broken(config))


def write_gguf(bundle: Bundle, folder: Path) -> Path:
    """Writes the file into an existing folder, in float32.

    Raises UserError for a vocabulary that llama.cpp would read otherwise.
    """
    config = bundle.config
    layout = layout_of(config)
    table = tokenizer_settings(bundle.tokenizers.target, config.vocab_size)
    gguf = need_gguf()
    path = folder / FILE
    writer = gguf.GGUFWriter(path, layout.name)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    theirs = layout.family.to_config(config) | layout.family.extra(config)
    for there, (setting, kind) in layout.settings.items():
        if kind is int:
            writer.add_uint32(f"{layout.name}.{there}", theirs[setting])
        else:
            writer.add_float32(f"{layout.name}.{there}", theirs[setting])
    _add_tokenizer(writer, table)
    for there, tensor in _to_file(layout, config, weights_of(bundle.model)).items():
        writer.add_tensor(there, tensor.cpu().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def read_gguf(path: Path) -> Bundle:
    """The model and vocabulary in a file, in float32. Raises FolderError naming what is wrong in it."""
    with naming(path):
        file = read_file(path)
        name = file.settings.get("general.architecture")
        if name not in LAYOUTS:
            raise FolderError(f"general.architecture = {name!r}: known here are {', '.join(LAYOUTS)}")
        layout = LAYOUTS[str(name)]
        config = layout.family.from_config(_settings(layout, file))
        tokenizer = read_tokenizer(file.settings)
        if tokenizer.vocab_size > config.vocab_size:
            raise FolderError(f"has {tokenizer.vocab_size} tokens where the model has {config.vocab_size}")
        refuse_larger(config, sum(prod(tensor.shape) for tensor in file.tensors.values()))
        with torch.device("meta"):
            expected = build(config)
        weights = _from_file(layout, expected, file)
        model = build(config)
        load_weights(model, weights)
    search: dict[str, bool | int | float | str] = {"method": "greedy", "max_length": 100}
    info = BundleInfo(longest_target=config.positions.max_length, search=search)
    return Bundle(config, model.eval(), Tokenizers(None, tokenizer), info)


def _add_tokenizer(writer: Any, table: Mapping[str, Any]) -> None:
    for key, value in table.items():
        name = f"tokenizer.ggml.{key}"
        if isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, int):
            writer.add_uint32(name, value)
        elif isinstance(value, str):
            writer.add_string(name, value)
        else:
            writer.add_array(name, value)


def _to_file(layout: Layout, config: TransformerConfig, weights: Weights) -> Weights:
    """Our weights by their names there."""
    if layout.turns_neighbours:
        weights = interleave_rotary(config).there(weights)
    theirs = layout.family.export_weights(config, weights)
    names = layout.tensor_names(config)
    return {names[name]: _turned(layout, name, tensor).contiguous() for name, tensor in theirs.items()}


def _from_file(layout: Layout, model: Model, file: GgufFile) -> Weights:
    """The tensors of a file as our weights. Raises FolderError, which names tensors as the family does."""
    config = model.config
    names = {there: name for name, there in layout.tensor_names(config).items()}
    for there in sorted(file.tensors.keys() - names.keys()):
        raise FolderError(f"the tensor {there!r} is left over: the settings describe a model without it")
    for there in sorted(names.keys() - file.tensors.keys()):
        raise FolderError(f"the tensor {there!r} is missing")
    theirs = {
        names[there]: _turned(layout, names[there], torch.from_numpy(tensor.numbers()))
        for there, tensor in file.tensors.items()
    }
    weights = layout.family.import_weights(model, theirs)
    return interleave_rotary(config).back(weights) if layout.turns_neighbours else weights


def _turned(layout: Layout, name: str, tensor: torch.Tensor) -> torch.Tensor:
    return tensor.T if name.endswith(layout.transposed) else tensor


def _settings(layout: Layout, file: GgufFile) -> Settings:
    """The family's settings. Raises FolderError for one that is missing, of another type, or not known."""
    found: Settings = {"model_type": layout.family.name, **layout.implied}
    own = f"{layout.name}."
    for key, value in file.settings.items():
        there = key.removeprefix(own)
        if not key.startswith(own) or (there in layout.ignored and layout.ignored[there] == value):
            continue
        if there not in layout.settings:
            raise FolderError(f"{key} = {value!r}: is not known here, and may change what is computed")
        name, kind = layout.settings[there]
        if not isinstance(value, int | float) or isinstance(value, bool) or not isinstance(value, kind):
            expected = "a whole number" if kind is int else "a number"
            raise FolderError(f"{key} = {value!r}: {expected} is expected")
        if kind is float:
            value = float(str(np.float32(value)))  # 1e-05, not 9.99…e-06
        if found.get(name, value) != value:
            raise FolderError(f"{key} = {value!r}: another setting says {found[name]!r}")
        found[name] = value
    for there, (name, _) in layout.settings.items():
        if there not in MAY_BE_MISSING and name not in found:
            raise FolderError(f"{own}{there} is missing")
    seen = _seen_in_tensors(layout, file)
    if found.get("vocab_size", seen["vocab_size"]) != seen["vocab_size"]:
        raise FolderError(
            f"{own}vocab_size = {found['vocab_size']}: there are {seen['vocab_size']} embeddings"
        )
    return found | seen


def _seen_in_tensors(layout: Layout, file: GgufFile) -> Settings:
    """What no setting says: ties and biases, and how many tokens there are."""
    tensors = file.tensors
    if "token_embd.weight" not in tensors:
        raise FolderError("the tensor 'token_embd.weight' is missing")
    seen: Settings = {
        "tie_word_embeddings": "output.weight" not in tensors,
        "vocab_size": tensors["token_embd.weight"].shape[0],
    }
    if layout.family is LLAMA:
        seen |= {"attention_bias": "blk.0.attn_q.bias" in tensors, "mlp_bias": "blk.0.ffn_up.bias" in tensors}
    return seen
