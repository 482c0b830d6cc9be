"""A tokenizer from a folder of `transformers`: its file as it is, and which of its tokens have a role."""

import json
from pathlib import Path
from typing import Any

import tokenizers

from headway.errors import FolderError
from headway.interop.family import Settings
from headway.interop.tokenizer_files import ROLES, TARGET_FOLDER
from headway.model.config import TransformerConfig
from headway.sealed_folder import naming, read_json
from headway.text.special import SpecialIds
from headway.text.tokenizer import Tokenizer, Tokenizers, refusals

FILE, SETTINGS, OLD_SETTINGS = "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"
LARGEST_TOKENIZER, LARGEST_SETTINGS = 2**28, 2**24
"""More bytes than any real file of that kind has."""


def read_tokenizers(folder: Path, settings: Settings, config: TransformerConfig) -> Tokenizers:
    """Those of a model; `settings` are its config.json, for roles that the tokenizer's files do not name.

    Raises FolderError for a missing or foreign file, one with more tokens than the model, and where no token
    has the role of an end.
    """
    if config.architecture != "encoder-decoder":
        return Tokenizers(None, _read(folder, settings, config, config.vocab_size))
    if config.source_vocab_size is None:
        joint = _read(folder, settings, config, config.vocab_size)
        return Tokenizers(joint, joint)
    source = _read(folder, settings, config, config.source_vocab_size)
    own = folder / TARGET_FOLDER
    if not own.is_dir():
        raise FolderError(
            f"{own}: is missing; the source has a vocabulary of its own, and this is the target's"
        )
    return Tokenizers(source, _read(own, settings, config, config.vocab_size))


def _read(folder: Path, settings: Settings, config: TransformerConfig, vocab_size: int) -> Tokenizer:
    path = folder / FILE
    if not path.is_file():
        raise FolderError(
            f"{path}: is missing; open the tokenizer with transformers' AutoTokenizer and save it here"
        )
    if path.stat().st_size > LARGEST_TOKENIZER:
        raise FolderError(f"{path}: expected at most {LARGEST_TOKENIZER:,} bytes")
    with naming(path):
        content = path.read_text("utf-8")
        with refusals("not a tokenizer"):
            json.loads(content)  # the library takes worse than JSON
            library = tokenizers.Tokenizer.from_str(content)
        library.no_truncation()
        library.no_padding()
        special = _special(library, _roles(folder, library, settings), settings, config)
        tokenizer = Tokenizer.from_json(_as_saved_here(content, special), special)
        if tokenizer.vocab_size > vocab_size:
            raise FolderError(f"has {tokenizer.vocab_size} tokens where the model has {vocab_size}")
        return tokenizer


def _roles(folder: Path, library: tokenizers.Tokenizer, settings: Settings) -> dict[str, int]:
    """The ids of bos, eos, unk, pad, mask, cls and sep: as the tokenizer's files say, or else config.json."""
    named: dict[str, Any] = {}
    for file in (OLD_SETTINGS, SETTINGS):
        if (folder / file).is_file():
            named |= read_json(folder / file, LARGEST_SETTINGS)
    found: dict[str, int] = {}
    for role in (*ROLES, "cls", "sep"):
        token = named.get(f"{role}_token")
        token = token.get("content") if isinstance(token, dict) else token
        index = library.token_to_id(token) if isinstance(token, str) else settings.get(f"{role}_token_id")
        index = index[0] if isinstance(index, list) and index else index
        if isinstance(index, int):
            found[role] = index
    return found


def _special(
    library: tokenizers.Tokenizer, roles: dict[str, int], settings: Settings, config: TransformerConfig
) -> SpecialIds:
    """The roles as ours; what stands before and after a text is seen from what the tokenizer does."""
    before, after = _frame(library)
    masked, pairs = config.architecture == "encoder", config.architecture == "encoder-decoder"
    last = after[0] if after else roles.get("sep" if masked else "eos")
    end = roles.get("sep", last) if masked else roles.get("eos", last)
    if end is None:
        raise FolderError(f"no token has the role of an end: {SETTINGS} names no eos_token")
    first = before[0] if before else None
    start = settings.get("decoder_start_token_id")
    begin = first
    if pairs:
        begin = start if isinstance(start, int) else roles.get("bos", end)
    return SpecialIds(
        pad=roles.get("pad", end),
        unknown=roles.get("unk"),
        begin=begin,
        end=end,
        mask=roles.get("mask"),
        source_begin=first if pairs else None,
    )


def _frame(library: tokenizers.Tokenizer) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer puts before and after a text. Raises FolderError for more than one each."""
    with refusals("the tokenizer cannot read a text"):
        text = library.encode("a", add_special_tokens=False).ids
        framed = library.encode("a", add_special_tokens=True).ids
    places = [i for i in range(len(framed) - len(text) + 1) if framed[i : i + len(text)] == text]
    if not places:
        raise FolderError("its special tokens stand inside a text, not around it")
    before, after = framed[: places[0]], framed[places[0] + len(text) :]
    if len(before) > 1 or len(after) > 1:
        raise FolderError("puts more than one special token before or after a text")
    return before, after


def _as_saved_here(content: str, special: SpecialIds) -> str:
    """Without the framing, which the model's code does here."""
    if special != SpecialIds():
        return content
    table = json.loads(content)
    return json.dumps({**table, "post_processor": None}, ensure_ascii=False)
