"""What a client asks of the search, as settings of it."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import BaseModel, Field

from headway.config import from_table
from headway.decoding.settings import NEUTRAL, SearchConfig
from headway.errors import UserError
from headway.serving.refusal import invalid
from headway.serving.settings import ServingConfig

Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]

MOST_STOPS = 16


class Wishes(BaseModel):
    """Settings of the search that a request may change; where it names none, the model's own are used."""

    temperature: Annotated[float | None, Field(ge=0, le=10)] = None
    """0 = greedy search; above, sampling."""
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    top_k: Annotated[int | None, Field(ge=0, le=2**31)] = None
    min_p: Annotated[float | None, Field(ge=0, le=1)] = None
    repetition_penalty: Annotated[float | None, Field(gt=0, le=100)] = None
    beams: Annotated[int | None, Field(ge=1)] = None
    length_penalty: Annotated[float | None, Field(ge=0, le=100)] = None
    seed: Seed | None = None
    """Of sampling; without one, every request is drawn anew."""


def search_for(
    own: SearchConfig, wishes: Wishes, limits: ServingConfig, outputs: int, longest: int | None
) -> SearchConfig:
    """The settings for so many outputs of at most so many tokens.

    Raises Refusal, naming the field, for what does not go together or is beyond the server's limits.
    """
    for field, value, most in (
        ("n", outputs, limits.max_outputs),
        ("beams", wishes.beams or 0, limits.max_outputs),
        ("max_tokens", longest or 0, limits.max_tokens),
    ):
        if value > most:
            raise invalid(field, f"{value}, and the server gives at most {most}")
    table: dict[str, Any] = asdict(own)
    drawn = {key: getattr(wishes, key) for key in NEUTRAL if getattr(wishes, key) is not None}
    if drawn.get("temperature") == 0:
        table |= {**NEUTRAL, "method": "greedy"}
    elif drawn:
        table |= {**(NEUTRAL if own.method != "sample" else {}), **drawn, "method": "sample"}
    elif wishes.beams is not None:
        table |= {**NEUTRAL, "method": "beam", "repetition_penalty": 1.0}
    if table["method"] == "greedy" and outputs > 1:
        raise invalid("n", "greedy search finds one output: give a temperature above 0, or beams")
    if table["method"] == "beam":
        beams = own.beams if wishes.beams is None else wishes.beams
        table["beams"] = max(beams, outputs)
    elif wishes.beams is not None and wishes.beams > 1:
        raise invalid("beams", "has no effect with sampling or greedy search: leave out the temperature")
    for key in ("repetition_penalty", "length_penalty"):
        if getattr(wishes, key) is not None:
            table[key] = getattr(wishes, key)
    table["n_best"] = outputs
    table["seed"] = secrets.randbits(62) if wishes.seed is None else wishes.seed
    most = longest or min(own.max_length or limits.max_tokens, limits.max_tokens)
    table["max_length"] = most
    table["min_length"] = min(own.min_length, most - 1)
    try:
        return from_table(SearchConfig, table)
    except UserError as error:
        key, _, problem = str(error).removeprefix("search.").partition(" ")
        raise invalid(key.strip(":"), problem) from error


def stops_of(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    """Texts to stop at. Raises Refusal for an empty one, or too many."""
    stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
    if len(stops) > MOST_STOPS:
        raise invalid("stop", f"{len(stops)} texts to stop at, and at most {MOST_STOPS} are possible")
    if not all(stops):
        raise invalid("stop", "an empty text would stop at once")
    return stops
