"""The model in other programs: the proof of `headway export`, into a folder that is thrown away."""

from pathlib import Path
from tempfile import TemporaryDirectory

from headway.bundle import Bundle
from headway.errors import UserError, did_you_mean
from headway.interop.compatibility import TARGETS, refuse
from headway.interop.exporters import export_bundle
from headway.interop.proof import Proof, ProofError, Texts
from headway.verification.law import Law


def refuse_exports(bundle: Bundle, targets: tuple[str, ...]) -> None:
    """Raises UserError, with the reason, for a target that is unknown or cannot hold the model."""
    for target in targets:
        if target not in TARGETS:
            raise UserError(f"--export {target}: {did_you_mean(target, TARGETS)}")
        refuse(target, bundle.config, bundle.tokenizers.target)


def export_parity(bundle: Bundle, target: str, texts: Texts) -> Law:
    """Exported, another program computes the same numbers and writes the same text."""
    with TemporaryDirectory(prefix="headway-verify-") as folder:
        try:
            proof = export_bundle(bundle, target, Path(folder, "export"), texts)
        except ProofError as error:
            return _law(target, error.proof, error.proof.failures)
    return _law(target, proof, [])


def _law(target: str, proof: Proof, failures: list[str]) -> Law:
    shares = {"greedy": proof.greedy, "beam": proof.beam, "tokens": proof.tokens}
    return Law(
        name=f"exported to {target}",
        holds=not failures,
        found="; ".join(failures or proof.lines()[1:]),
        figures={
            "texts": proof.texts,
            "difference": proof.difference,
            "tolerance": proof.demand.difference,
            **{name: share for name, share in shares.items() if share is not None},
        },
    )
