"""What the page shows of a model, as JSON: attention, guesses, search tree, positions, masks."""

from base64 import b64encode
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from jaxtyping import Float
from pydantic import BaseModel
from torch import Tensor

from headway.api import Pipeline
from headway.bundle import Bundle
from headway.decoding.settings import SearchConfig
from headway.errors import UserError
from headway.inspection.guesses import layer_guesses
from headway.inspection.masks import mask_views
from headway.inspection.positions import position_view
from headway.inspection.reading import Row, read
from headway.inspection.record import record_attention
from headway.inspection.search_tree import search_tree
from headway.inspection.summaries import quantise, summarise, thumbnails
from headway.model.config import Architecture

Shown = Literal["encoder", "decoder", "memory"]
"""What is looked at: a stack by itself, or the decoder by the encoder's memory."""

MOST_TOKENS = 1024
"""On either side of what is looked at."""
MOST_WEIGHTS = 2**26
"""Of all heads and layers of one recording."""
MOST_STEPS = {"encoder-decoder": 256, "decoder": 32}
"""Of a search tree; nobody reads a longer one, and a causal model might never end."""


class Head(BaseModel):
    """See HeadSummary."""

    entropy: float
    distance: float
    previous: float
    diagonal: float


class AttentionAnswer(BaseModel):
    """One layer. `weights`: a byte each, in 255ths, by head, query, key, in base64.

    Queries are tokens that the stack reads; by memory, those that the decoder writes.
    """

    query_tokens: list[str]
    key_tokens: list[str]
    query_words: list[int]
    key_words: list[int]
    heads: int
    shape: list[int]
    weights: str
    summaries: list[Head]


class LayerSummary(BaseModel):
    """One layer at a glance; `thumbnails` are as `weights` of AttentionAnswer."""

    stack: Shown
    layer: int
    heads: int
    shape: list[int]
    thumbnails: str
    summaries: list[Head]


class SummaryAnswer(BaseModel):
    """All layers of the encoder, then the decoder's, each by itself and by memory."""

    layers: list[LayerSummary]


class ModelFacts(BaseModel):
    """A model as the page lists it."""

    name: str
    architecture: Architecture
    encoder_layers: int
    decoder_layers: int
    heads: int
    context: int
    """Tokens of the longest text that it reads as it was trained to; 0 = any."""
    has_source: bool
    tokenizer: str


class ModelsAnswer(BaseModel):
    models: list[ModelFacts]
    runs: list[str]
    """Run folders that are watched."""


class TreeNode(BaseModel):
    """See Node of the search tree."""

    id: int
    parent: int
    step: int
    text: str
    log_prob: float
    score: float
    kept: bool
    finished: bool
    best: bool


class TreeAnswer(BaseModel):
    nodes: list[TreeNode]


class Guess(BaseModel):
    text: str
    probability: float


class GuessesAnswer(BaseModel):
    """Of each layer and position the likeliest tokens."""

    tokens: list[str]
    layers: list[list[list[Guess]]]
    predicts_next: bool
    """Whether a position guesses the token after it; of a masked model it guesses its own."""


class PositionsAnswer(BaseModel):
    """See PositionView."""

    kind: str
    waves: list[list[float]]
    products: list[list[float]]


class MaskAnswer(BaseModel):
    """`visible`: a byte each, 0 or 1, by query and key, in base64."""

    name: str
    query_tokens: list[str]
    key_tokens: list[str]
    visible: str


class MasksAnswer(BaseModel):
    views: list[MaskAnswer]


@dataclass(frozen=True)
class SmallRecord:
    """A record with its weights in bytes."""

    queries: Row
    keys: Row
    weights: npt.NDArray[np.uint8]
    summaries: list[Head]

    def answer(self) -> AttentionAnswer:
        return AttentionAnswer(
            query_tokens=self.queries.tokens,
            key_tokens=self.keys.tokens,
            query_words=self.queries.words,
            key_words=self.keys.words,
            heads=len(self.weights),
            shape=list(self.weights.shape),
            weights=_in_base64(self.weights),
            summaries=self.summaries,
        )


class Attended:
    """One recording, made small: what is told of all its layers."""

    def __init__(self, bundle: Bundle, source: str | None, text: str) -> None:
        refuse_too_much(bundle, source, text)
        self.layers: dict[tuple[Shown, int], SmallRecord] = {}
        self.summary = SummaryAnswer(layers=[])
        for record in record_attention(bundle, source, text).records:
            stack: Shown = "memory" if record.sees == "memory" else record.stack
            small = SmallRecord(record.queries, record.keys, quantise(record.weights), _heads(record.weights))
            self.layers[stack, record.layer] = small
            thumbs = thumbnails(record.weights)
            self.summary.layers.append(
                LayerSummary(
                    stack=stack,
                    layer=record.layer,
                    heads=len(thumbs),
                    shape=list(thumbs.shape),
                    thumbnails=_in_base64(thumbs),
                    summaries=small.summaries,
                )
            )

    def layer(self, stack: Shown, layer: int) -> AttentionAnswer:
        """Raises UserError where there is no such layer."""
        if (stack, layer) not in self.layers:
            known = ", ".join(f"{name} {number}" for name, number in self.layers)
            raise UserError(f"{stack} {layer}: there is no such attention; this model has {known}")
        return self.layers[stack, layer].answer()


def model_facts(name: str, pipeline: Pipeline) -> ModelFacts:
    config, ensemble = pipeline.bundle.config, pipeline.ensemble
    pairs = pipeline.architecture == "encoder-decoder"
    return ModelFacts(
        name=name,
        architecture=pipeline.architecture,
        encoder_layers=config.encoder_layers,
        decoder_layers=config.decoder_layers,
        heads=config.attention.num_heads,
        context=ensemble.source_room if pairs else ensemble.context,
        has_source=pairs,
        tokenizer=pipeline.bundle.tokenizers.target.kind,
    )


def refuse_too_much(bundle: Bundle, source: str | None, text: str) -> None:
    """Raises UserError for what is too long to be looked at."""
    reading = read(bundle, source, text)
    rows = [row for row in (reading.source, reading.target) if row is not None]
    longest = max(len(row.ids) for row in rows)
    if longest > MOST_TOKENS:
        raise UserError(f"{longest:,} tokens are too many to look at: at most {MOST_TOKENS:,} are possible")
    config, target = bundle.config, len(reading.target.ids)
    source_length = len(reading.source.ids) if reading.source else target
    maps = config.encoder_layers * source_length**2 + config.decoder_layers * target**2
    if reading.source:
        maps += config.decoder_layers * target * source_length
    weights = maps * config.attention.num_heads
    if weights > MOST_WEIGHTS:
        raise UserError(f"all heads together have {weights:,} weights, at most {MOST_WEIGHTS:,} are possible")


def own_output(pipeline: Pipeline, source: str | None) -> str:
    """What the model writes itself. Raises UserError for a masked model, which writes nothing."""
    if pipeline.architecture == "encoder":
        raise UserError("a masked model writes nothing by itself: give it a text to read")
    if pipeline.architecture == "encoder-decoder" and source is None:
        raise UserError("an encoder-decoder reads a source: give one")
    return str(pipeline.predict(source or ""))


def guesses_answer(bundle: Bundle, source: str | None, text: str) -> GuessesAnswer:
    refuse_too_much(bundle, source, text)
    row, layers = layer_guesses(bundle, source, text)
    return GuessesAnswer(
        tokens=row.tokens,
        layers=[
            [
                [Guess(text=token, probability=round(value, 4)) for token, value in guesses]
                for guesses in layer
            ]
            for layer in layers
        ],
        predicts_next=bundle.architecture != "encoder",
    )


def tree_answer(pipeline: Pipeline, text: str, beams: int) -> TreeAnswer:
    if pipeline.architecture == "encoder":
        raise UserError("a masked model does not search: it fills blanks one by one")
    most = MOST_STEPS[pipeline.architecture]
    search = pipeline.search
    changed = SearchConfig(
        beams=beams,
        length_penalty=search.length_penalty,
        max_ratio=search.max_ratio,
        max_extra=search.max_extra,
        max_length=min(search.max_length or most, most),
    )
    nodes, _ = search_tree(pipeline.ensemble, changed, text)
    return TreeAnswer(
        nodes=[
            TreeNode(**{key: value for key, value in asdict(node).items() if key != "token"})
            for node in nodes
        ]
    )


def positions_answer(bundle: Bundle, length: int) -> PositionsAnswer:
    view = position_view(bundle.model, length)
    waves, products = (np.round(each.numpy().astype(float), 4) for each in (view.waves, view.products))
    return PositionsAnswer(kind=view.kind, waves=waves.tolist(), products=products.tolist())


def masks_answer(bundle: Bundle, source: str | None, text: str) -> MasksAnswer:
    refuse_too_much(bundle, source, text)
    return MasksAnswer(
        views=[
            MaskAnswer(
                name=view.name,
                query_tokens=view.queries.tokens,
                key_tokens=view.keys.tokens,
                visible=_in_base64(view.visible.numpy().astype(np.uint8)),
            )
            for view in mask_views(bundle, source, text)
        ]
    )


def _heads(weights: Float[Tensor, "H T S"]) -> list[Head]:
    found = [asdict(each) for each in summarise(weights)]
    return [Head(**{key: round(value, 4) for key, value in each.items()}) for each in found]


def _in_base64(values: npt.NDArray[np.uint8]) -> str:
    return b64encode(np.ascontiguousarray(values).tobytes()).decode()
