"""One entrance to all targets: refused by the table, written beside its place, proved, put there."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from headway.bundle import Bundle
from headway.errors import UserError, did_you_mean
from headway.interop.compatibility import TARGETS, refuse
from headway.interop.export_card import export_card
from headway.interop.place import new_folder
from headway.interop.precision import Watched
from headway.interop.proof import EXACT, Demand, Opponent, Proof, ProofError, Texts, prove

Type = Literal["float32", "float16", "bfloat16", "int8"]
TYPES: tuple[Type, ...] = get_args(Type)

CARD = "README.md"


@dataclass(frozen=True)
class Written:
    """An export before its proof."""

    opponent: Opponent
    demand: Demand = EXACT


def export_bundle(bundle: Bundle, target: str, folder: Path, texts: Texts, type: str = "float32") -> Proof:
    """Writes the model for another program into a new folder, and proves it on the texts.

    Raises UserError with the table's reasons if the target cannot hold the model, and with what differs if
    the proof fails; then nothing is written.
    """
    if target not in TARGETS:
        raise UserError(f"--to {target}: {did_you_mean(target, TARGETS)}")
    if type not in TYPES:
        raise UserError(f"--type {type}: {did_you_mean(type, TYPES)}")
    if type != "float32" and target != "ctranslate2":
        raise UserError(f"--type {type}: only ctranslate2 stores other numbers than float32")
    refuse(target, bundle.config, bundle.tokenizers.target)
    with new_folder(folder) as beside:
        written = WRITERS[target](bundle, beside, type)
        watched = Watched(written.opponent)
        proof = prove(bundle, watched, texts, written.demand)
        if type != "float32":
            proof = replace(proof, more=(watched.cost(bundle).line(),))
        if proof.failures:
            raise ProofError(proof)
        (beside / CARD).write_text(export_card(bundle, target, folder.name, proof), "utf-8")
    return proof


def _transformers(bundle: Bundle, folder: Path, _: Type) -> Written:
    from headway.interop.huggingface import write_transformers
    from headway.interop.transformers_model import TransformersModel

    write_transformers(bundle, folder)
    return Written(TransformersModel(folder, bundle.architecture))


def _ctranslate2(bundle: Bundle, folder: Path, type: Type) -> Written:
    from headway.interop.ctranslate2_export import DEMANDS, export

    return Written(export(bundle, folder, type), DEMANDS[type])


def _onnx(bundle: Bundle, folder: Path, _: Type) -> Written:
    from headway.interop.onnx import export

    return Written(export(bundle, folder))


def _torch(bundle: Bundle, folder: Path, _: Type) -> Written:
    from headway.interop.torch_program import export

    return Written(export(bundle, folder))


def _gguf(bundle: Bundle, folder: Path, _: Type) -> Written:
    from headway.interop.llama_cpp import export

    return Written(*export(bundle, folder))


WRITERS: dict[str, Callable[[Bundle, Path, Type], Written]] = {
    "transformers": _transformers,
    "ctranslate2": _ctranslate2,
    "onnx": _onnx,
    "gguf": _gguf,
    "torch": _torch,
}
