"""The model as it lies in its folder: whole, of finite numbers, and the same when written anew."""

import math
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from headway.api import Pipeline
from headway.bundle import FORMAT, FORMAT_VERSION, Model, config_file, load_bundle, save_bundle
from headway.errors import FolderError, UserError
from headway.interop.proof import Texts
from headway.model.architectures import build
from headway.sealed_folder import MANIFEST, check_file, read_manifest
from headway.verification.law import Law
from headway.verification.subject import Row, Subject

USUAL, LARGEST = 512, 1024
"""Tokens of the longest input where a model names no limit, and of that which is tried at most."""


def files_as_listed(folder: Path) -> Law:
    """Every file of a model folder has the SHA-256 that its manifest lists.

    Raises FolderError for a manifest that is none.
    """
    listed = read_manifest(folder, FORMAT, FORMAT_VERSION).files
    wrong = []
    for name, facts in listed.items():
        try:
            check_file(folder / name, facts)
        except FolderError as error:
            wrong.append(str(error))
    found = "; ".join(wrong) or f"{len(listed)} files have the size and the SHA-256 that {MANIFEST} lists"
    if wrong:
        found += ". Such a folder is not opened, so nothing else was checked"
    return Law(
        name="files as listed",
        holds=not wrong,
        found=found,
        figures={"files": len(listed), "wrong": len(wrong)},
    )


def finite_numbers(subject: Subject) -> Law:
    """All weights are finite, and so is what the emptiest and the longest inputs give."""
    model = subject.ensemble.models[0]
    tensors = [*model.named_parameters(), *model.named_buffers()]
    bad = [name for name, tensor in tensors if not bool(torch.isfinite(tensor).all())]
    count = sum(parameter.numel() for parameter in model.parameters())
    figures = {"weights": count, "damaged": len(bad)}
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        found = f"{bad[0]}{more} is not finite. So nothing else was checked"
        return Law(name="finite numbers", holds=False, found=found, figures=figures)
    lengths = {}
    wrong = []
    for name, row in (("emptiest", _emptiest(subject)), ("longest", _longest(subject))):
        lengths[name] = len(row.ids) + len(row.source or [])
        if not all(bool(torch.isfinite(each).all()) for each in subject.log_probs([row])):
            wrong.append(f"the {name} input, of {lengths[name]} tokens, gives what is no number")
    try:
        if not math.isfinite(subject.spread):
            wrong.append("a text gives what is no number")
    except UserError as error:  # nothing is searched for with what is none
        wrong.append(str(error))
    found = f"{count:,} weights; inputs of {lengths['emptiest']} and of {lengths['longest']:,} tokens"
    return Law(
        name="finite numbers",
        holds=not wrong,
        found="; ".join([*wrong, found]),
        figures={**figures, **lengths},
    )


def saved_and_loaded(subject: Subject) -> Law:
    """Written to a folder and opened again, it is the same to the last bit."""
    bundle = replace(subject.bundle, model=_built_anew(subject.bundle.model))
    with TemporaryDirectory(prefix="headway-verify-") as folder:
        place = Path(folder, "model")
        save_bundle(bundle, place, "")
        again = load_bundle(place, subject.ensemble.device)
    again.model.to(bundle.model.output.weight.dtype)
    ours, theirs = bundle.model.state_dict(), again.model.state_dict()
    differ = [name for name, tensor in ours.items() if not torch.equal(tensor, theirs[name])]
    rows, lines = subject.rows, Texts(subject.lines, "")
    before, after = (Subject(Pipeline(each), lines).alone(rows) for each in (bundle, again))
    moved = sum(not torch.equal(mine, own) for mine, own in zip(before, after, strict=True))
    prints = [[each and each.fingerprint for each in one.tokenizers] for one in (bundle, again)]
    said = config_file(bundle) == config_file(again) and prints[0] == prints[1]
    found = [f"{len(ours) - len(differ)} of {len(ours)} tensors the same bits"]
    found.append(f"{len(rows) - moved} of {len(rows)} texts the same bits of log-probabilities")
    found.append("config and vocabulary the same" if said else "config or vocabulary differ")
    return Law(
        name="saved and loaded",
        holds=not differ and not moved and said,
        found=", ".join(found),
        figures={"tensors": len(ours), "differ": len(differ), "texts": len(rows), "moved": moved},
    )


def _built_anew(model: Model) -> Model:
    """The same weights in a model as its class computes it: one that is ready to predict rounds otherwise."""
    again, weight = build(model.config), model.output.weight
    again.load_state_dict(model.state_dict())
    return again.to(weight.device, weight.dtype).eval()


def _emptiest(subject: Subject) -> Row:
    """No text at all; one token where a decoder has nothing to begin with."""
    source: list[int] | None = None if subject.source is None else []
    return Row([] if subject.framed([]) else subject.others([-1]), source)


def _longest(subject: Subject) -> Row:
    """As many tokens on each side as the model reads as it was trained to, and 1,024 at most."""
    ensemble, frame = subject.ensemble, len(subject.framed([]))
    known = ensemble.target_room and min(ensemble.target_room, ensemble.longest_target or LARGEST)
    limit = subject.limit if subject.source is None else known or ensemble.longest_target
    places = max(1, min(limit or USUAL, LARGEST) - frame)
    source: list[int] | None = None
    if subject.source is not None:
        source = subject.other_sources([-1] * min(ensemble.source_room or USUAL, LARGEST))
    return Row(subject.others([-1] * places), source)
