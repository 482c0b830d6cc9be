"""What a family of another library's models is: rules, a config map and a name map."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headway.errors import FolderError, shown
from headway.interop.reparametrise import Rewrite
from headway.interop.weights import Entry, Weights, to_ours, to_theirs, weights_of
from headway.model.architectures import CausalLM, EncoderDecoder, MaskedLM
from headway.model.config import Activation, Architecture, TransformerConfig

Settings = dict[str, Any]
"""The content of their config.json."""


@dataclass(frozen=True)
class Rule:
    """What a model must be for a target to hold it."""

    holds: Callable[[TransformerConfig], bool]
    reason: str
    """Why a model that is not so cannot be held: "it normalizes before each sub-layer"."""
    change: str
    """The override that makes it so, as typed: "model.norm.position=pre"; empty if nothing can."""


@dataclass(frozen=True)
class Family:
    """One class of theirs as data. `to_config` and `entries` may assume that every rule holds."""

    name: str
    """Their model_type."""
    class_name: str
    """Their class, with the head that predicts tokens."""
    architecture: Architecture
    rules: tuple[Rule, ...]
    to_config: Callable[[TransformerConfig], Settings]
    """Their settings of the function computed; ids of special tokens are added by who writes the folder."""
    from_config: Callable[[Settings], TransformerConfig]
    """The reverse; a FolderError names the setting that ours cannot hold. Use `Reader` to read strictly."""
    entries: Callable[[TransformerConfig], list[Entry]]
    changes: tuple[Callable[[TransformerConfig], Rewrite], ...] = ()
    """Rewrites of our weights, in the order in which they precede the name map on the way out."""
    extra: Callable[[TransformerConfig], Settings] = field(default=lambda config: {})
    """Settings that other programs want to find in config.json, and theirs ignores."""
    bare_name: str = ""
    """Its class without a prediction head; empty for families whose models here all have one."""

    def class_of(self, config: TransformerConfig) -> str:
        """The class that opens such a model, as in config.json's "architectures"."""
        return self.bare_name if self.bare_name and is_bare(config) else self.class_name

    def broken(self, config: TransformerConfig) -> list[Rule]:
        """The rules that a model breaks, that of its architecture first; none = it can be held exactly."""
        if config.architecture != self.architecture:
            return [Rule(lambda _: False, f"it is {_WITH_ARTICLE[self.architecture]}", "")]
        return [rule for rule in self.rules if not rule.holds(config)]

    def export_weights(self, config: TransformerConfig, weights: Weights) -> Weights:
        """Our weights as theirs."""
        for change in self.changes:
            weights = change(config).there(weights)
        return to_theirs(self.entries(config), weights)

    def import_weights(self, model: CausalLM | EncoderDecoder | MaskedLM, weights: Weights) -> Weights:
        """Their weights as those of `model`, which may be on the meta device. Raises FolderError."""
        config = model.config
        shapes = {name: tensor.shape for name, tensor in weights_of(model).items()}
        weights = to_ours(self.entries(config), weights, shapes)
        for change in reversed(self.changes):
            weights = change(config).back(weights)
        return weights


def is_bare(config: TransformerConfig) -> bool:
    """Whether an encoder is its states and nothing else: what predicts tokens is the embeddings alone."""
    own_head = config.output_transform or config.output_bias or not config.tie_output
    return config.architecture == "encoder" and not own_head and not config.scale_embeddings


_WITH_ARTICLE = {"encoder-decoder": "an encoder-decoder", "encoder": "an encoder", "decoder": "a decoder"}

# fmt: off
HARMLESS = frozenset((
    "_name_or_path", "architectures", "model_type", "transformers_version", "torch_dtype", "dtype",
    "auto_map", "use_cache", "return_dict", "output_attentions", "output_hidden_states", "problem_type",
    "id2label", "label2id", "num_labels", "finetuning_task", "task_specific_params", "prefix",
    "gradient_checkpointing", "chunk_size_feed_forward", "pruned_heads", "pad_token_id", "bos_token_id",
    "eos_token_id", "unk_token_id", "mask_token_id", "sep_token_id", "cls_token_id",
    "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id", "bad_words_ids",
    "suppress_tokens", "begin_suppress_tokens", "tokenizer_class", "num_hidden_layers", "max_length",
    "min_length", "max_new_tokens", "do_sample", "early_stopping", "num_beams", "num_beam_groups",
    "diversity_penalty", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty",
    "length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "num_return_sequences",
    "output_scores", "return_dict_in_generate", "remove_invalid_values", "exponential_decay_length_penalty",
    "extra_pos_embeddings", "static_position_embeddings", "init_std", "initializer_range",
    "initializer_factor", "classifier_dropout", "classifier_dropout_prob", "classif_dropout", "dropout",
    "attention_dropout", "activation_dropout", "hidden_dropout_prob", "attention_probs_dropout_prob",
    "hidden_dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop", "dropout_rate", "encoder_layerdrop",
    "decoder_layerdrop", "layerdrop", "embedding_dropout", "mlp_dropout", "classifier_activation",
    "classifier_pooling", "classifier_bias", "is_encoder_decoder", "torchscript", "use_bfloat16",
))
"""Settings that do not change what the network computes when it is used."""
# fmt: on


LARGEST_NUMBER = 10**300
"""As much as a float holds, about."""


class Reader:
    """Reads their settings, each once; what nobody asked for is refused at the end."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._known: set[str] = set(HARMLESS)

    def take(self, key: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        """The value of a setting, or the default where it is missing or null. Raises FolderError for another
        type, and where there is neither.
        """
        self._known.add(key)
        value = self._settings.get(key)
        if value is None:
            if default is None:
                raise FolderError(f"config.json: {key} is missing")
            return default
        number = isinstance(value, int) and not isinstance(value, bool)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            if kind is float and number and abs(value) < LARGEST_NUMBER:
                return float(value)
            raise FolderError(f"config.json: {key} = {shown(value)} is of the wrong type")
        if isinstance(value, int) and kind is int and default is None and value < 1:
            raise FolderError(f"config.json: {key} = {shown(value)}: must be at least 1")
        if isinstance(value, float) and not math.isfinite(value):
            raise FolderError(f"config.json: {key} = {value}: a finite number is expected")
        return value

    def has(self, key: str) -> bool:
        """Whether a setting is there and not null."""
        self._known.add(key)
        return self._settings.get(key) is not None

    def need(self, key: str, right: Iterable[Any], default: Any, reason: str) -> Any:
        """The value of a setting that must be one of `right`. Raises FolderError with the reason."""
        self._known.add(key)
        value = self._settings.get(key)
        value = default if value is None else value
        if value not in list(right):
            raise FolderError(f"config.json: {key} = {shown(value)}: {reason}")
        return value

    def ignore(self, *keys: str) -> None:
        """Settings that change nothing here."""
        self._known.update(keys)

    def finish(self) -> None:
        """Raises FolderError naming a setting that nobody asked for: it might change the function."""
        for key in sorted(self._settings.keys() - self._known):
            raise FolderError(
                f"config.json: {key} = {shown(self._settings[key])} is not known for this family"
            )


ACTIVATION_NAMES: dict[Activation, str] = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_tanh": "gelu_new",
    "silu": "silu",
}
"""Our activations without gates, by their name there."""

_THEIR_ACTIVATIONS: dict[str, Activation] = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "silu": "silu",
    "swish": "silu",
}


def our_activation(theirs: str) -> Activation:
    """The name here of an activation there. Raises FolderError for one that we do not have."""
    if theirs not in _THEIR_ACTIVATIONS:
        known = ", ".join(sorted(_THEIR_ACTIVATIONS))
        raise FolderError(f"config.json: the activation {theirs!r} is not known here; known are {known}")
    return _THEIR_ACTIVATIONS[theirs]


def refused(rules: Sequence[Rule]) -> str:
    """The reasons for which something is refused, and what to change."""
    return "; ".join(
        f"{rule.reason} (change: {rule.change})" if rule.change else rule.reason for rule in rules
    )
