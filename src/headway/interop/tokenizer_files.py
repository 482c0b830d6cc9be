"""Our tokenizer as `transformers` opens one: what AutoTokenizer gives is framed as the model reads it."""

import json
from pathlib import Path
from typing import Any

import tokenizers

from headway.bundle import Bundle
from headway.text.kinds import BLANK
from headway.text.tokenizer import Tokenizer

TARGET_FOLDER = "target_tokenizer"
"""Where the target's tokenizer lies if the source has one of its own, which then is the folder's own."""

ROLES = {"bos": "begin", "eos": "end", "unk": "unknown", "pad": "pad", "mask": "mask"}
"""Their names of special tokens, and ours."""


def write_tokenizers(bundle: Bundle, folder: Path, longest: int | None) -> None:
    """tokenizer.json and tokenizer_config.json; `longest`: most tokens that the model reads."""
    source, target = bundle.tokenizers
    own = source is not None and source is not target
    if source is None or not own:
        _write(target, folder, _frame(bundle, target), longest, fills=bundle.architecture == "encoder")
        return
    _write(source, folder, _frame(bundle, source), longest, fills=False)
    (folder / TARGET_FOLDER).mkdir()
    end = (target.special.end,)
    _write(target, folder / TARGET_FOLDER, ((), end), longest, fills=False)


Frame = tuple[tuple[int, ...], tuple[int, ...]]
"""The ids before and after a text."""


def _frame(bundle: Bundle, tokenizer: Tokenizer) -> Frame:
    special = tokenizer.special
    begin = () if special.begin is None else (special.begin,)
    match bundle.architecture:
        case "encoder-decoder":
            return () if special.source_begin is None else (special.source_begin,), (special.end,)
        case "encoder":
            return begin, (special.end,)
        case "decoder":
            return begin, ()


def _write(tokenizer: Tokenizer, folder: Path, frame: Frame, longest: int | None, *, fills: bool) -> None:
    """`fills`: text may hold the mask's spelling as a blank; otherwise no text is ever a special token."""
    content = json.loads(tokenizer.to_json())
    library = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    names = {
        theirs: library.id_to_token(index)
        for theirs, ours in ROLES.items()
        if (index := getattr(tokenizer.special, ours)) is not None
    }
    before, after = ([(str(library.id_to_token(index)), index) for index in part] for part in frame)
    content["post_processor"] = _template(before, after) if before or after else None
    content["truncation"] = content["padding"] = None
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{f"{theirs}_token": name for theirs, name in names.items()},
        "clean_up_tokenization_spaces": False,
    }
    if longest is not None:
        settings["model_max_length"] = longest
    if fills:
        settings |= {"cls_token": names["bos"], "sep_token": names["eos"]} if "bos" in names else {}
        _let_text_have_blanks(content, tokenizer)
    elif tokenizer.kind != "foreign":
        settings["split_special_tokens"] = True
    _dump(content, folder / "tokenizer.json")
    _dump(settings, folder / "tokenizer_config.json")


def _let_text_have_blanks(content: dict[str, Any], tokenizer: Tokenizer) -> None:
    """As `encode_blanks`: the space before a blank is the blank's, and a text goes on after it unmarked."""
    for token in content["added_tokens"]:
        if token["id"] == tokenizer.special.mask:
            token["lstrip"] = tokenizer.kind not in ("characters", "foreign")
    steps = (content["normalizer"] or {}).get("normalizers", [])
    if not any(step["type"] == "Prepend" for step in steps):
        return
    steps[:] = [step for step in steps if step["type"] != "Prepend"]
    mark_start = {"type": "Metaspace", "replacement": BLANK, "prepend_scheme": "first", "split": False}
    splitter = content["pre_tokenizer"]
    inner = splitter["pretokenizers"] if splitter["type"] == "Sequence" else [splitter]
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [mark_start, *inner]}


def _template(before: list[tuple[str, int]], after: list[tuple[str, int]]) -> dict[str, Any]:
    """The library's post-processor that puts special tokens around a text."""

    def special(name: str) -> dict[str, Any]:
        return {"SpecialToken": {"id": name, "type_id": 0}}

    def around(texts: list[str]) -> list[dict[str, Any]]:
        parts = [special(name) for name, _ in before]
        for text in texts:
            parts.append({"Sequence": {"id": text, "type_id": 0}})
            parts += [special(name) for name, _ in after]
        return parts

    tokens = {name: {"id": name, "ids": [index], "tokens": [name]} for name, index in (*before, *after)}
    return {
        "type": "TemplateProcessing",
        "single": around(["A"]),
        "pair": around(["A", "B"]),
        "special_tokens": tokens,
    }


def _dump(content: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="")
