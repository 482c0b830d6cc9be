"""From texts to searches, and from what these find to answers: what `Generator` does for a list at once."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from headway.api import Pipeline
from headway.decoding.long_text import Pieces, split_text
from headway.decoding.requests import Request, numbered, pair_request, prompt_request
from headway.decoding.settings import SearchConfig
from headway.decoding.streaming import TextStream, continuation, whole_characters
from headway.serving.growing import cut_at
from headway.serving.refusal import invalid
from headway.serving.searches import Ask, Likeliest, Output, Told
from headway.text.tokenizer import Tokenizer

BREAK = re.compile(r"[\r\n]")
COMPANY = 16
"""Tokens before another that decide how it is written."""

Prompt = str | list[int]
"""A text, or its tokens."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How outputs are searched for, and what is told of them."""

    search: SearchConfig
    prefix: str = ""
    """What the output for a source is to begin with."""
    stops: tuple[str, ...] = ()
    alternatives: int | None = None
    """How many other tokens are told for each place; None: not even those chosen are told."""
    longest: int
    """Most tokens of a prompt or source of which the model itself says nothing."""
    field: str = "prompt"
    """What the client calls these."""


@dataclass(frozen=True)
class Token:
    """A token of an answer; the texts of all are the answer's."""

    text: str
    log_prob: float
    alternatives: list[tuple[str, float]]
    """Other tokens there, as they would be written, with their log-probabilities."""


@dataclass(frozen=True)
class Answer:
    """One output for one text."""

    text: str
    score: float
    finished: bool
    """Whether it ends where the model or a stop ended it, not where a limit cut it."""
    tokens: list[Token]
    size: int
    """Tokens that were chosen."""
    number: int = 0


@dataclass(frozen=True)
class Plan:
    """Searches for some texts: those of one text's parts stand side by side."""

    tokenizer: Tokenizer
    texts: list[Pieces | None]
    """How the parts of each text go together; None for a prompt."""
    asks: list[Ask]
    read: int
    """Tokens of all texts."""
    tells_tokens: bool

    def told(self, tell: Callable[[int, Told], None]) -> "Plan":
        """The same, each step told with the number of its ask."""

        def teller(number: int) -> Callable[[Told], None]:
            return lambda told: tell(number, told)

        return replace(self, asks=[replace(ask, tell=teller(i)) for i, ask in enumerate(self.asks)])

    def spans(self) -> Iterator[tuple[Pieces | None, range]]:
        """Each text with its asks."""
        start = 0
        for pieces in self.texts:
            count = 1 if pieces is None else len(pieces.parts)
            yield pieces, range(start, start + count)
            start += count

    def answers(self, found: Sequence[Sequence[Output]]) -> list[list[Answer]]:
        """The answers to each text, best first."""
        result = []
        for pieces, span in self.spans():
            parts = [[self._answer(self.asks[i], each) for each in found[i]] for i in span]
            result.append(parts[0] if pieces is None else joined(pieces, parts))
        return result

    def _answer(self, ask: Ask, output: Output) -> Answer:
        return answer_of(ask, output, self.tokenizer, tokens=self.tells_tokens)


def plan(pipeline: Pipeline, texts: Sequence[Prompt], wanted: Wanted) -> Plan:
    """The searches for prompts or sources. Raises UserError, or Refusal for what is too long.

    Every line of a source is searched for apart, and one longer than any in training is split further; blank
    text stays as it is.
    """
    ensemble = pipeline.ensemble
    source, target = ensemble.tokenizers
    if source is None:
        prompts = [tokens_of(target, text, wanted.field) for text in texts]
        start = target.encode(wanted.prefix) if wanted.prefix else []
        requests = [_prompt_request([*prompt, *start], wanted, pipeline) for prompt in prompts]
        pieces: list[Pieces | None] = [None] * len(texts)
        read = sum(map(len, prompts))
    else:
        requests, pieces, read = [], [], 0
        forced = target.encode(wanted.prefix) if wanted.prefix else []
        if target.special.unknown in forced:
            raise invalid("prefix", f"the vocabulary lacks: {' '.join(target.unknown_in(wanted.prefix))}")
        for text in texts:
            split, parts = _split(text, source, ensemble.source_room, wanted, bool(forced))
            pieces.append(split)
            for i, ids in enumerate(parts):
                read += len(ids)
                requests.append(pair_request(ids, [] if i else forced, wanted.search, ensemble.target_room))
    count = wanted.alternatives or 0
    asks = [Ask(request, wanted.search, wanted.stops, count) for request in numbered(requests)]
    return Plan(target, pieces, asks, read, wanted.alternatives is not None)


def tokens_of(tokenizer: Tokenizer, prompt: Prompt, field: str) -> list[int]:
    """A text's tokens, or those given. Raises Refusal, naming the field, for one that there is not."""
    if isinstance(prompt, str):
        return tokenizer.encode(prompt)
    if any(not 0 <= token < tokenizer.vocab_size for token in prompt):
        raise invalid(field, f"tokens are from 0 to {tokenizer.vocab_size - 1}")
    return prompt


def _prompt_request(prompt: list[int], wanted: Wanted, pipeline: Pipeline) -> Request:
    ensemble, field = pipeline.ensemble, wanted.field
    context = ensemble.context
    if context and len(prompt) >= context:
        raise invalid(
            wanted.field, f"has {len(prompt)} tokens, and the model continues at most {context - 1}"
        )
    if not context and len(prompt) > wanted.longest:
        raise invalid(
            wanted.field, f"has {len(prompt)} tokens, and the server takes at most {wanted.longest}"
        )
    if not prompt and ensemble.tokenizers.target.special.begin is None:
        raise invalid(field, "is empty, and the model has no token to begin a text with")
    return prompt_request(prompt, wanted.search, context)


def _split(
    text: Prompt, source: Tokenizer, room: int, wanted: Wanted, forced: bool
) -> tuple[Pieces, list[list[int]]]:
    """A source in parts that the model reads whole, with their ids."""

    def fits(part: str) -> bool:
        return not room or len(source.encode(part)) <= room

    if not isinstance(text, str):
        split, parts = Pieces([""], ["", ""]), [tokens_of(source, text, wanted.field)]
    elif not text.strip() and not forced:
        split, parts = Pieces([], [text]), []
    elif not BREAK.search(text) and fits(text):
        split, parts = Pieces([text], ["", ""]), [source.encode(text)]
    else:
        split = split_text(text, fits)
        parts = source.encode_batch(split.parts)
    longest = max(map(len, parts), default=0)
    if longest > (room or wanted.longest) and longest > wanted.longest:
        raise invalid(wanted.field, f"has {longest} tokens, and the server takes at most {wanted.longest}")
    return split, parts


def answer_of(ask: Ask, output: Output, tokenizer: Tokenizer, *, tokens: bool) -> Answer:
    """What a search found, as text: of encoder-decoders what was forced is part of it, of others not."""
    found, start = output.found, ask.request.start
    ids = found.ids[:-1] if found.finished else found.ids
    fresh = continuation(tokenizer, start, ids)
    whole = fresh if ask.request.source is None else tokenizer.decode([*start, *ids])
    if not found.finished:
        fresh, whole = whole_characters(fresh), whole_characters(whole)
    cut = cut_at(fresh, ask.stops)
    told = _tokens(tokenizer, start, ids, output) if tokens else iter(())
    return Answer(
        whole[: len(whole) - len(fresh) + len(cut)],
        found.score,
        found.finished or output.stopped or cut != fresh,
        list(_cut_tokens(told, len(cut))),
        len(found.ids),
        output.number,
    )


def _tokens(tokenizer: Tokenizer, start: list[int], ids: list[int], output: Output) -> Iterator[Token]:
    stream = TextStream(tokenizer, start)
    columns = zip(ids, output.found.log_probs, output.alternatives, strict=False)
    for i, (token, log_prob, alternatives) in enumerate(columns):
        text = stream.add(token)
        if i == len(ids) - 1:
            text += stream.finish(ended=output.found.finished)
        before = [*start, *ids[:i]][-COMPANY:]
        yield Token(text, log_prob, written(tokenizer, before, alternatives))


def written(tokenizer: Tokenizer, before: Sequence[int], tokens: Likeliest) -> list[tuple[str, float]]:
    """Tokens that may come next, as text."""
    near = before[-COMPANY:]
    return [(continuation(tokenizer, near, [token]), log_prob) for token, log_prob in tokens]


def _cut_tokens(tokens: Iterable[Token], room: int) -> Iterator[Token]:
    """Those within so many characters."""
    for token in tokens:
        if room <= 0 and token.text:
            return
        yield replace(token, text=token.text[:room])
        room -= len(token.text)


def joined(pieces: Pieces, parts: Sequence[Sequence[Answer]]) -> list[Answer]:
    """The best answers of all parts as one, then the second best, and so on; scores are summed."""
    if not pieces.parts:
        return [Answer(pieces.join([]), 0.0, True, [], 0)]
    result = []
    for number, row in enumerate(zip(*parts, strict=False)):
        tokens = [Token(pieces.gaps[0], 0.0, [])] if pieces.gaps[0] else []
        for part, gap in zip(row, pieces.gaps[1:], strict=True):
            tokens += [*part.tokens, Token(gap, 0.0, [])] if gap else part.tokens
        result.append(
            Answer(
                pieces.join([part.text for part in row]),
                sum(part.score for part in row),
                all(part.finished for part in row),
                tokens,
                sum(part.size for part in row),
                number,
            )
        )
    return result
