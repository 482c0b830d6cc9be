"""Byte-level vocabularies as GGUF holds them: lists of tokens and merges, and how text is split by name."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import tokenizers

from headway.errors import FolderError, UserError
from headway.interop.family import Rule, refused
from headway.text.special import SpecialIds
from headway.text.tokenizer import Tokenizer, TokenizerConfig

BYTES_ALONE = Rule(lambda _: False, "it holds byte-level vocabularies alone", "text.target.kind=bpe")
NO_NORMALIZATION = Rule(
    lambda _: False,
    "it holds no normalization of text",
    "text.target.normalize=none text.target.lowercase=false",
)
NAMED_SPLITTING = Rule(
    lambda _: False, "its vocabularies split text in a way that llama.cpp has a name for", ""
)
"""Rules that speak of a vocabulary, which no shape of a model breaks or keeps."""

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 1, 2, 3, 4, 5
"""Types of tokens there."""

Json = dict[str, Any]
BYTE_LEVEL: Json = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
DECODER = BYTE_LEVEL | {"add_prefix_space": True}

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_SIGNS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


class Splitting(NamedTuple):
    """How a text is made ready and split before its bytes are paired."""

    splitter: Json
    normalizer: Json | None = None
    ignore_merges: bool = False
    """A word that is a token needs no merges that lead to it."""


def _sequence(*steps: Json) -> Json:
    return {"type": "Sequence", "pretokenizers": list(steps)}


def _by_pattern(pattern: str) -> Json:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return _sequence(split, BYTE_LEVEL | {"use_regex": False})


def splittings() -> dict[str, Splitting]:
    """By the names that llama.cpp has for them (`tokenizer.ggml.pre`)."""
    digits = {"type": "Digits", "individual_digits": True}
    return {
        "gpt-2": Splitting(BYTE_LEVEL),
        "smollm": Splitting(_sequence(digits, BYTE_LEVEL)),
        "llama-bpe": Splitting(_by_pattern(_CONTRACTIONS + r"\p{N}{1,3}" + _SIGNS), ignore_merges=True),
        "qwen2": Splitting(_by_pattern(_CONTRACTIONS + r"\p{N}" + _SIGNS), {"type": "NFC"}),
    }


BEGINS_BY_ITSELF = ("llama-bpe",)
"""Where no setting says so, the text begins with its first special token only in these."""


def tokenizer_settings(tokenizer: Tokenizer, size: int) -> dict[str, Any]:
    """The settings `tokenizer.ggml.…` of a vocabulary, with tokens up to the `size` that the model has.

    Raises UserError, with the reason, for a vocabulary that llama.cpp would read otherwise.
    """
    content = json.loads(tokenizer.to_json())
    name = _name_of(content)
    if isinstance(name, Rule):
        raise UserError(f"gguf cannot hold this vocabulary: {refused([name])}")
    library = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    by_id = {index: token for token, index in library.get_vocab(with_added_tokens=True).items()}
    unused = {index: f"[unused {index}]" for index in range(size) if index not in by_id}
    special = tokenizer.special
    kinds = dict.fromkeys(by_id, NORMAL) | dict.fromkeys(unused, UNUSED)
    for added in content["added_tokens"]:
        kinds[added["id"]] = CONTROL if added["special"] else USER_DEFINED
    kinds |= dict.fromkeys(special.all, CONTROL)
    merges = [each if isinstance(each, str) else " ".join(each) for each in content["model"]["merges"]]
    tokens = by_id | unused
    ids = {
        "bos_token_id": special.begin,
        "eos_token_id": special.end,
        "padding_token_id": special.pad,
        "unknown_token_id": special.unknown,
        "mask_token_id": special.mask,
    }
    return {
        "model": "gpt2",
        "pre": name,
        "tokens": [tokens[index] for index in range(size)],
        "token_type": [kinds[index] for index in range(size)],
        "merges": merges,
        **{key: index for key, index in ids.items() if index is not None},
        "add_bos_token": special.begin is not None,
        "add_eos_token": False,
        "add_space_prefix": False,
    }


def broken(text: Tokenizer | TokenizerConfig) -> list[Rule]:
    """What stands against a vocabulary, or one that will be learned so."""
    if isinstance(text, Tokenizer):
        name = _name_of(json.loads(text.to_json()))
        return [name] if isinstance(name, Rule) else []
    normalizes = text.normalize != "none" or text.lowercase
    return [BYTES_ALONE] * (text.kind != "bpe") + [NO_NORMALIZATION] * normalizes


def read_tokenizer(settings: Mapping[str, Any]) -> Tokenizer:
    """The vocabulary in the settings of a file. Raises FolderError for one of another kind."""
    kind, pre = _text(settings, "model"), _text(settings, "pre", "default")
    if kind != "gpt2":
        raise FolderError(f"tokenizer.ggml.model = {kind!r}: only byte-level vocabularies (gpt2) are read")
    known = splittings()
    if pre not in known:
        raise FolderError(
            f"tokenizer.ggml.pre = {pre!r}: this way to split text is not known here; "
            f"known are {', '.join(known)}"
        )
    tokens, merges = _texts(settings, "tokens"), _texts(settings, "merges")
    kinds = settings.get("tokenizer.ggml.token_type", [NORMAL] * len(tokens))
    if not isinstance(kinds, list) or len(kinds) != len(tokens):
        raise FolderError(
            f"tokenizer.ggml.token_type: {len(tokens)} numbers are expected, one for each token"
        )
    used = size = len(tokens)
    while used and kinds[used - 1] == UNUSED:  # room in the model alone
        used -= 1
    tokens = tokens[:used]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    if len(vocabulary) < len(tokens):
        twice = next(token for index, token in enumerate(tokens) if vocabulary[token] != index)
        raise FolderError(f"tokenizer.ggml.tokens: {twice!r} stands twice")
    for merge in merges:
        first, blank, second = merge.partition(" ")
        if not blank or not {first, second, first + second} <= vocabulary.keys():
            raise FolderError(f"tokenizer.ggml.merges: {merge!r} does not join two tokens to another")
    content = _content(known[pre], vocabulary, merges, kinds)
    return Tokenizer(json.dumps(content, ensure_ascii=False), _special(settings, size, pre))


def _name_of(content: Json) -> str | Rule:
    """Under which name llama.cpp splits text as this vocabulary does, or the rule by which it never does."""
    model = content["model"]
    if model["type"] != "BPE" or (content["decoder"] or {}).get("type") != "ByteLevel":
        return BYTES_ALONE
    for name, each in splittings().items():
        alike = _without_offsets(content["pre_tokenizer"]) == _without_offsets(each.splitter)
        # A normalizer of no steps changes nothing.
        same_steps = (content["normalizer"] or None) == each.normalizer
        if alike and same_steps and bool(model.get("ignore_merges")) == each.ignore_merges:
            return name
    return NO_NORMALIZATION if content["normalizer"] else NAMED_SPLITTING


def _without_offsets(part: Any) -> Any:
    """Without what does not decide the tokens."""
    if isinstance(part, dict):
        return {key: _without_offsets(value) for key, value in part.items() if key != "trim_offsets"}
    return [_without_offsets(each) for each in part] if isinstance(part, list) else part


def _content(
    splitting: Splitting, vocabulary: dict[str, int], merges: list[str], kinds: list[int]
) -> dict[str, Any]:
    """A `tokenizer.json`."""
    added = [
        {
            "id": index,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": kinds[index] != USER_DEFINED,
        }
        for token, index in vocabulary.items()
        if kinds[index] in (UNKNOWN, CONTROL, USER_DEFINED)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": splitting.normalizer,
        "pre_tokenizer": splitting.splitter,
        "post_processor": None,
        "decoder": DECODER,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": splitting.ignore_merges,
            "vocab": vocabulary,
            "merges": [merge.split(" ", 1) for merge in merges],
        },
    }


def _special(settings: Mapping[str, Any], size: int, pre: str) -> SpecialIds:
    end = _id(settings, "eos_token_id", size)
    if end is None:
        raise FolderError("tokenizer.ggml.eos_token_id is missing: no token has the role of an end")
    begin = _id(settings, "bos_token_id", size)
    adds = settings.get("tokenizer.ggml.add_bos_token", pre in BEGINS_BY_ITSELF)
    pad = _id(settings, "padding_token_id", size)
    return SpecialIds(
        pad=end if pad is None else pad,
        unknown=_id(settings, "unknown_token_id", size),
        begin=begin if adds is True else None,
        end=end,
        mask=_id(settings, "mask_token_id", size),
    )


def _id(settings: Mapping[str, Any], name: str, size: int) -> int | None:
    value = settings.get(f"tokenizer.ggml.{name}")
    if value is None:
        return None
    if type(value) is not int or not 0 <= value < size:
        raise FolderError(f"tokenizer.ggml.{name} = {value!r}: a number below {size:,} is expected")
    return value


def _text(settings: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = settings.get(f"tokenizer.ggml.{name}", default)
    if not isinstance(value, str):
        raise FolderError(f"tokenizer.ggml.{name} is {'missing' if value is None else 'no text'}")
    return value


def _texts(settings: Mapping[str, Any], name: str) -> list[str]:
    value = settings.get(f"tokenizer.ggml.{name}")
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise FolderError(f"tokenizer.ggml.{name} is {'missing' if value is None else 'no list of texts'}")
    return value
