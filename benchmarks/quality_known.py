"""What is published on the data of `quality.py`, with sources, and what is trained there by default."""

from dataclasses import dataclass

LANGUAGES = (
    "ady",
    "arm",
    "bul",
    "dut",
    "fre",
    "geo",
    "gre",
    "hin",
    "hun",
    "ice",
    "jpn",
    "kor",
    "lit",
    "rum",
    "vie",
)
"""Of SIGMORPHON 2020, task 1."""
INFLECTED = ("deu", "fin", "heb", "hun", "tur")

GORMAN = (
    "Gorman et al. 2020, The SIGMORPHON 2020 shared task on multilingual grapheme-to-phoneme conversion: "
    "the task's baselines, each the best on the development part of a sweep per language (36 Transformers)"
)
TRANSFORMER = (
    28.44, 14.22, 34.00, 15.78, 6.89, 28.00, 18.89, 9.56, 5.33, 10.22, 7.33, 43.78, 20.67, 12.00, 7.56,
)  # fmt: skip
LSTM = (
    28.00, 14.67, 31.11, 16.44, 6.22, 26.44, 18.89, 6.67, 5.33, 10.00, 7.56, 46.89, 19.11, 10.67, 4.67,
)  # fmt: skip
GOLDMAN = (
    "Goldman et al. 2023, SIGMORPHON-UniMorph 2023 shared task 0 (figures not at hand): a Transformer for "
    "each language, Wu et al. 2021, arXiv 2005.10213"
)
NANOGPT = "Karpathy 2022, nanoGPT's page: a mean over random batches of the validation part"
SCAN = "Lake and Baroni 2018; Chaabouni et al. 2021, Can Transformers Jump Around Right in Natural Language?"


@dataclass(frozen=True)
class Known:
    """One published figure, in the unit of the measure beside which it stands."""

    what: str
    value: float | str
    source: str


@dataclass(frozen=True)
class Task:
    """Data of one kind: what is judged, and how long is trained."""

    kind: str
    data: tuple[str, ...]
    measure: str
    minutes: float
    means: tuple[Known, ...] = ()
    """Published means over all its data sets."""


CHARACTER_LOSS = "nats a character"
TASKS = (
    Task(
        "g2p",
        tuple(f"g2p/{language}" for language in LANGUAGES),
        "word error rate",
        10,
        (
            Known("Transformer", 17.51, GORMAN),
            Known("LSTM", 16.84, GORMAN),
            Known("ensemble of multilingual Transformers", 14.99, "arXiv 2006.13343"),
            Known("best submission", 13.81, "Gorman et al. 2020"),
        ),
    ),
    Task("inflect", tuple(f"letters/{language}" for language in INFLECTED), "exact match", 10),
    Task("shakespeare", ("shakespeare",), CHARACTER_LOSS, 3),
    Task("translate", ("translate",), "BLEU", 30),
    Task("scan", ("scan/simple", "scan/length"), "exact match", 10),
)

KNOWN: dict[str, tuple[Known, ...]] = {
    **{
        f"g2p/{language}": (Known("Transformer", one, GORMAN), Known("LSTM", other, GORMAN))
        for language, one, other in zip(LANGUAGES, TRANSFORMER, LSTM, strict=True)
    },
    **{
        f"letters/{language}": (Known("neural baseline", "in the report", GOLDMAN),) for language in INFLECTED
    },
    "shakespeare": (
        Known("nanoGPT, about 3 minutes of a laptop's processor", 1.88, NANOGPT),
        Known("nanoGPT, 3 minutes of an A100", 1.4697, NANOGPT),
    ),
    "scan/simple": (Known("plain Transformers", "about 100", SCAN),),
    "scan/length": (Known("plain Transformers", "0 to 20", SCAN),),
}
"""By data set. None is published on the parts of translate."""


def task_of(data: str) -> Task | None:
    """The task that a data set belongs to; spelled inflection is inflection."""
    kind = data.partition("/")[0].replace("letters", "inflect")
    return next((task for task in TASKS if task.kind == kind), None)
