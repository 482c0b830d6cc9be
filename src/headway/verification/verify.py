"""`headway.verify(...)`: every law that a model of its kind must obey, on text."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from headway.api import Pipeline, load
from headway.exchange import texts_for
from headway.interop.proof import Texts
from headway.model.config import Architecture
from headway.run_folder import model_folder
from headway.sealed_folder import MANIFEST
from headway.verification.exports import export_parity, refuse_exports
from headway.verification.invariance import cached_as_uncached, padding_and_batch, same_output
from headway.verification.keeping import files_as_listed, finite_numbers, saved_and_loaded
from headway.verification.law import Law, Verification
from headway.verification.searching import beam_below_greedy
from headway.verification.subject import Subject
from headway.verification.visibility import both_sides_seen, documents_apart, no_future_leak, source_seen
from headway.verification.vocabulary import round_trips

COMPUTED: dict[Architecture, tuple[Callable[[Subject], Law], ...]] = {
    "encoder-decoder": (
        no_future_leak,
        source_seen,
        documents_apart,
        padding_and_batch,
        same_output,
        cached_as_uncached,
        saved_and_loaded,
        beam_below_greedy,
    ),
    "encoder": (both_sides_seen, documents_apart, padding_and_batch, same_output, saved_and_loaded),
    "decoder": (
        no_future_leak,
        documents_apart,
        padding_and_batch,
        same_output,
        cached_as_uncached,
        saved_and_loaded,
        beam_below_greedy,
    ),
}
"""What each kind of model is asked, once all its numbers are finite."""


def verify(
    model: Path | str | Pipeline,
    texts: Path | str | Sequence[str] | None = None,
    *,
    device: str = "auto",
    exports: Sequence[str] = (),
) -> Verification:
    """Checks every law that a model of its kind must obey, and says what was found.

    `model`: a model or run folder, or a pipeline as it is. `texts`: lines, or a file of them, of pairs the
    sources; default: the run's held-out text, or else text generated at random. `exports`: targets, as of
    `headway.export`, whose proof is made too. Raises UserError for what cannot be checked at all: a folder
    that holds no model, text that cannot be read, a target that cannot hold the model.
    """
    if isinstance(model, Pipeline):
        return _verify(model, None, [], texts, exports)
    folder = Path(model)
    place = model_folder(folder)
    files = [files_as_listed(place)] if (place / MANIFEST).is_file() else []
    if any(law.holds is False for law in files):
        return Verification(model=str(folder), computed="", texts=0, origin="", laws=tuple(files))
    return _verify(load(folder, device=device), folder, files, texts, exports)


def _verify(
    pipeline: Pipeline,
    folder: Path | None,
    files: Sequence[Law],
    given: Path | str | Sequence[str] | None,
    exports: Sequence[str],
) -> Verification:
    bundle = pipeline.bundle
    refuse_exports(bundle, tuple(exports))
    texts = texts_for(folder, bundle, given)
    subject = Subject(pipeline, texts)
    laws = [*files, *_laws(subject, texts, exports)]
    weight = bundle.model.output.weight
    numbers = str(weight.dtype).removeprefix("torch.")
    return Verification(
        model="a pipeline" if folder is None else str(folder),
        computed=f"{bundle.architecture}, {numbers} on {weight.device.type}",
        texts=len(subject.lines),
        origin=texts.origin,
        laws=tuple(laws),
    )


def _laws(subject: Subject, texts: Texts, exports: Sequence[str]) -> Iterator[Law]:
    finite = finite_numbers(subject)
    yield finite
    if not finite.holds:
        return
    yield from round_trips(subject)
    for check in COMPUTED[subject.architecture]:
        yield check(subject)
    for target in exports:
        yield export_parity(subject.bundle, target, texts)
