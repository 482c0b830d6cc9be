"""Files by which sentence-transformers makes the vector of a text as `Pipeline.embed` does.

`embed` is the mean of the encoder's states over the text's own tokens. A plain mean pooling would count the
tokens before and after the text, too; weights by token, 0 for those, leave them out.
"""

import json
from pathlib import Path
from typing import Any

import tokenizers

from headway.bundle import Bundle
from headway.errors import FolderError, shown
from headway.sealed_folder import naming, read_json

MODULES, TRANSFORMER = "modules.json", "sentence_bert_config.json"
LARGEST_JSON = 2**28
"""More bytes than any real file of that kind has: weights name every token."""

KINDS = "sentence_transformers.models."
"""Where modules are found; programs of before have no other names, and those of today know these."""


def write_sentence_files(bundle: Bundle, folder: Path, longest: int | None) -> None:
    """Beside an exported encoder; `longest`: most tokens that it reads, of which the rest is cut off."""
    kinds = ["Transformer", *(["WordWeights"] if not bundle.meta.embeds_frame else []), "Pooling"]
    kinds += ["Normalize"] if bundle.meta.embeds_unit else []
    paths = ["", *(f"{number}_{kind}" for number, kind in enumerate(kinds[1:], start=1))]
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"{KINDS}{kind}"}
        for number, (path, kind) in enumerate(zip(paths, kinds, strict=True))
    ]
    contents: dict[str, dict[str, Any]] = {
        "Pooling": {
            "word_embedding_dimension": bundle.config.d_model,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
        "WordWeights": _token_weights(bundle) if "WordWeights" in kinds else {},
        "Normalize": {},
    }
    for path, kind in zip(paths[1:], kinds[1:], strict=True):
        (folder / path).mkdir()
        _write(contents[kind], folder / path / "config.json")
    _write({"max_seq_length": longest, "do_lower_case": False}, folder / TRANSFORMER)
    _write(modules, folder / MODULES)


def pooling_in_words(bundle: Bundle) -> str:
    """What a vector is the mean of, for the card."""
    special = bundle.tokenizers.target.special
    library = tokenizers.Tokenizer.from_str(bundle.tokenizers.target.to_json())
    frame = " and ".join(str(library.id_to_token(each)) for each in special.whole([]))
    counted = f"{frame} included" if bundle.meta.embeds_frame else f"{frame} left out by a weight of 0"
    length = ", scaled to length 1" if bundle.meta.embeds_unit else ""
    return (
        "sentence-transformers opens this folder, too. The vector of a text is the mean of the last states "
        f"over its tokens, {counted}{length}: that of `Pipeline.embed`. A text longer than the model reads "
        "is cut off there and read in windows here; the spelling of a special token is that token there and "
        "plain text here."
    )


def read_pooling(folder: Path) -> dict[str, bool]:
    """Fields of BundleInfo: how an imported encoder's vectors are made there; none where nothing says it.

    Raises FolderError for vectors that are no means of the last states.
    """
    if not (folder / MODULES).is_file():
        return {}
    if (folder / MODULES).stat().st_size > LARGEST_JSON:
        raise FolderError(f"{folder / MODULES}: expected at most {LARGEST_JSON:,} bytes")
    with naming(folder / MODULES):
        listed = json.loads((folder / MODULES).read_text("utf-8"))
        try:
            kinds = [(str(entry["type"]).rpartition(".")[2], str(entry["path"])) for entry in listed]
        except (KeyError, TypeError) as error:
            raise FolderError("expected a list of modules, each with a type and a path") from error
    for _, path in kinds:
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise FolderError(f"{folder / MODULES}: the path {shown(path)} leads out of the folder")
    found = {"embeds_frame": True, "embeds_unit": False}
    for kind, path in kinds:
        match kind:
            case "Transformer":
                continue
            case "Pooling":
                _refuse_other_pooling(folder / path / "config.json")
            case "Normalize":
                found["embeds_unit"] = True
            case "WordWeights":
                _refuse_other_weights(folder / path / "config.json")
                found["embeds_frame"] = False
            case _:
                raise FolderError(
                    f"{folder / MODULES}: vectors pass through a {kind}, which is not known here; {_REMEDY}"
                )
    return found


_REMEDY = f"remove {MODULES} to import the encoder alone"


def _token_weights(bundle: Bundle) -> dict[str, Any]:
    """0 for the tokens around a text, 1 for all others."""
    tokenizer = bundle.tokenizers.target
    library = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    names = [library.id_to_token(index) or f"<unused {index}>" for index in range(bundle.config.vocab_size)]
    around = {names[index] for index in tokenizer.special.whole([])}
    # Where a token is not listed the library looks for it in lower case.
    weights = {name: float(name not in around) for name in names if name.lower() in around or name in around}
    return {"vocab": names, "word_weights": weights, "unknown_word_weight": 1}


def _refuse_other_pooling(path: Path) -> None:
    held = read_json(path, LARGEST_JSON)
    modes = held.get("pooling_mode")
    if modes is None:
        modes = [key for key, value in held.items() if key.startswith("pooling_mode_") and value is True]
        modes = ["mean" if key == "pooling_mode_mean_tokens" else key for key in modes] or ["mean"]
    if modes not in ("mean", ["mean"]):
        raise FolderError(f"{path}: a vector is pooled as {modes!r}, and here it is a mean; {_REMEDY}")


def _refuse_other_weights(path: Path) -> None:
    weights = read_json(path, LARGEST_JSON).get("word_weights")
    if not isinstance(weights, dict) or not all(each in (0, 1) for each in weights.values()):
        raise FolderError(f"{path}: tokens have weights of their own, and here all count alike; {_REMEDY}")


def _write(content: Any, path: Path) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="")
