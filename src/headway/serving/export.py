"""A text's attention, guesses, masks and search tree as one page that opens from disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import BaseModel

from headway.api import Pipeline
from headway.run_folder import RunFolder
from headway.serving.answers import (
    Attended,
    ModelsAnswer,
    Shown,
    guesses_answer,
    masks_answer,
    model_facts,
    own_output,
    positions_answer,
    tree_answer,
)
from headway.serving.single_file import request_name, single_file

POSITIONS = 100
BEAMS = 4
"""As the page asks for them first."""


def export_page(
    pipeline: Pipeline, name: str, text: str, output: str | None = None, view: Mapping[str, Any] | None = None
) -> str:
    """The page with all that it shows of one text inside, opened at its attention.

    `text` is what the model reads; `output` what an encoder-decoder is taken to have written, by default its
    own output. `view` are settings of the page: stack, layer, heads, style, words. Raises UserError for what
    is too long to be looked at.
    """
    text = text.strip()  # as the page would send it
    pairs = pipeline.architecture == "encoder-decoder"
    source = text if pairs else None
    read = (output if output is not None else own_output(pipeline, source)).strip() if pairs else text
    asked = {"model": name, "source": text, "text": read} if pairs else {"model": name, "text": text}
    bundle = pipeline.bundle
    attended = Attended(bundle, source, read)
    answers: dict[str, BaseModel] = {
        request_name("/api/models"): ModelsAnswer(models=[model_facts(name, pipeline)], runs=[]),
        request_name("/attention/summary", asked): attended.summary,
        request_name("/guesses", asked): guesses_answer(bundle, source, read),
        request_name("/masks", asked): masks_answer(bundle, source, read),
        request_name(f"/positions?model={quote(name, safe=SAFE)}"): positions_answer(bundle, POSITIONS),
    }
    for stack, layer in attended.layers:
        name_of_layer = request_name("/attention", {**asked, "stack": stack, "layer": layer})
        answers[name_of_layer] = attended.layer(stack, layer)
    if pipeline.architecture != "encoder":
        tree = {"model": name, "text": text, "beams": BEAMS}
        answers[request_name("/search-tree", tree)] = tree_answer(pipeline, text, BEAMS)
    settings = {**asked, "stack": last_stack(pipeline), "layer": 1, **(view or {})}
    kept = {key: answer.model_dump() for key, answer in answers.items()}
    return single_file(f"#attention?{urlencode(settings)}", kept)


SAFE = "!'()*~"
"""What a browser's encodeURIComponent leaves as it is, beside what `quote` does."""


def last_stack(pipeline: Pipeline) -> Shown:
    """What there is to see first: memory where there is one."""
    stacks: dict[str, Shown] = {"encoder-decoder": "memory", "encoder": "encoder", "decoder": "decoder"}
    return stacks[pipeline.architecture]


def name_of(folder: Path) -> str:
    """What a model is called that lies in a model or run folder."""
    whole = folder.resolve()
    inside = whole.parent if RunFolder(whole.parent).model == whole else whole
    return inside.name
