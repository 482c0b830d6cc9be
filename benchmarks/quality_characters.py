"""What each character of a text costs a causal model: python benchmarks/quality_characters.py RUN TEXT

The text is one stream of characters. It is read in consecutive windows of the training context that do not
overlap; each window is read on its own, after the one character before it (the first after <s>), and predicts
as many characters. So every character of the text is predicted exactly once, and the figure is the mean over
all of them of the negative logarithm of their probability, in nats. The interval is a bootstrap over windows.
The output is JSON.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from quality_known import CHARACTER_LOSS

from headway.api import Pipeline, load
from headway.batch import Tokens
from headway.errors import UserError
from headway.evaluation.bootstrap import interval, ratio
from headway.recipe import read_whole_recipe
from headway.run_folder import RunFolder

ROWS = 32
"""Windows read together."""


def character_loss(pipeline: Pipeline, text: str, context: int) -> dict[str, Any]:
    """The measure, as `headway evaluate --json` writes one.

    Raises UserError for a model whose tokens are not characters, or that cannot spell the text.
    """
    tokenizer = pipeline.bundle.tokenizers.target
    begin = tokenizer.special.begin
    ids = tokenizer.encode(text)
    if tokenizer.kind != "characters" or begin is None or tokenizer.decode(ids) != text:
        raise UserError("the figure is for models of characters that can spell the whole text")
    stream = [begin, *ids]
    starts = range(0, len(ids), context)
    windows = [(stream[at : at + context], stream[at + 1 : at + context + 1]) for at in starts]
    # The last window holds what is left of the text: it begins with as many characters as it predicts.
    windows[-1] = (windows[-1][0][: len(windows[-1][1])], windows[-1][1])
    costs: list[float] = []
    for first in range(0, len(windows), ROWS):
        several = windows[first : first + ROWS]
        for same in {len(labels) for _, labels in several}:
            part = [window for window in several if len(window[1]) == same]
            costs += _costs(pipeline, part)
    counts = np.array([len(labels) for _, labels in windows])
    total = np.array(costs)
    low, high = interval(total, counts)
    return {
        "name": CHARACTER_LOSS,
        "value": ratio(total.sum(), counts.sum()),
        "low": low,
        "high": high,
        "unit": "",
        "lower_is_better": True,
        "signature": f"context {context}, {len(windows):,} windows, {counts.sum():,} characters",
    }


@torch.no_grad()
def _costs(pipeline: Pipeline, windows: list[tuple[list[int], list[int]]]) -> list[float]:
    """What the labels of each of some equally long windows cost, in nats."""
    ensemble = pipeline.ensemble
    inputs, labels = (torch.tensor([window[side] for window in windows]) for side in (0, 1))
    rows, columns = torch.meshgrid(*map(torch.arange, inputs.shape), indexing="ij")
    with ensemble.evaluating():
        hidden = ensemble.hidden(Tokens(inputs.to(ensemble.device)))
        found = ensemble.log_probs(hidden, (rows.flatten(), columns.flatten()))
    taken = found.gather(1, labels.flatten()[:, None].to(found.device))
    return (-taken.double().view(inputs.shape).sum(dim=1)).tolist()


def main() -> None:
    run, text = RunFolder(Path(sys.argv[1])), Path(sys.argv[2]).read_text("utf-8")
    context = read_whole_recipe(run.recipe).batch.context
    print(json.dumps(character_loss(load(run.path, device="cpu"), text, context)))


if __name__ == "__main__":
    main()
