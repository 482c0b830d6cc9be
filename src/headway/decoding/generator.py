"""Text in, hypotheses out: for encoder-decoders from a source, for causal models from a prompt."""

from collections.abc import Iterator, Sequence

from headway.decoding.batches import token_batches
from headway.decoding.beam import beam_search
from headway.decoding.ensemble import Ensemble
from headway.decoding.hypothesis import Found, Hypothesis
from headway.decoding.long_text import Pieces, longest_end, split_text
from headway.decoding.requests import Request, numbered, pair_request, prompt_request
from headway.decoding.sample import Chosen, Room, Sampler, collect, emit, likeliest
from headway.decoding.settings import SearchConfig
from headway.decoding.streaming import TextStream, continuation, whole_characters
from headway.errors import UserError


class Generator:
    """Searches with one or several models, with the same settings for every text."""

    def __init__(self, ensemble: Ensemble, search: SearchConfig | None = None) -> None:
        if ensemble.architecture == "encoder":
            raise UserError("a masked language model does not write text: give it a text with blanks to fill")
        self.ensemble = ensemble
        self.search = search or SearchConfig()

    def generate(self, texts: Sequence[str], prefixes: Sequence[str] | None = None) -> list[list[Hypothesis]]:
        """Hypotheses for each text, best first.

        Encoder-decoders: the output for a source; `prefixes` are what each is to start with. A source longer
        than any in training is split, its parts are decoded apart and joined with its line breaks and blanks;
        blank text stays as it is. Causal models: the continuation of each prompt, without the prompt.
        """
        if self.ensemble.architecture == "decoder":
            if prefixes is not None:
                raise UserError("a causal model takes no target prefixes: put them at the end of the prompts")
            encoded = self.ensemble.tokenizers.target.encode_batch(texts)
            return self._search([self._prompt_request(ids) for ids in encoded])
        if prefixes is not None and len(prefixes) != len(texts):
            raise UserError(f"{len(prefixes)} target prefixes for {len(texts)} texts: give one for each")
        return self._transform(texts, prefixes or [""] * len(texts))

    def stream(self, prompt: str) -> Iterator[str]:
        """The continuation of a prompt, in pieces as they become certain; joined, the text of `generate`."""
        if self.ensemble.architecture != "decoder":
            raise UserError("only a causal model streams; an encoder-decoder answers as a whole")
        if self.search.method == "beam" or self.search.n_best > 1:
            raise UserError(
                "a stream shows one text while it grows: "
                "choose search.method = 'greedy' or 'sample', and n_best = 1"
            )
        return self._stream(self._prompt_request(self.ensemble.tokenizers.target.encode(prompt)))

    def _stream(self, request: Request) -> Iterator[str]:
        tokenizer = self.ensemble.tokenizers.target
        stream = TextStream(tokenizer, request.start)
        ended = False
        with self.ensemble.evaluating():
            for chosen in self._emit([request]):
                ended = chosen[0].token == tokenizer.special.end
                piece = stream.finish(ended=True) if ended else stream.add(chosen[0].token)
                if piece:
                    yield piece
        rest = "" if ended else stream.finish(ended=False)
        if rest:
            yield rest

    def prompt_that_fits(self, prompt: str) -> str:
        """A causal model's prompt, or where it leaves no room to go on, its longest end that leaves some.

        Some is what `max_length` asks for, but at most half of the context.
        """
        context, encode = self.ensemble.context, self.ensemble.tokenizers.target.encode
        if not context or len(encode(prompt)) < context:
            return prompt
        left = min(self.search.max_length or context, (context + 1) // 2)
        return longest_end(prompt, lambda end: len(encode(end)) <= context - left)

    def _prompt_request(self, prompt: list[int]) -> Request:
        if not prompt and self.ensemble.tokenizers.target.special.begin is None:
            raise UserError(
                "the prompt is empty, and the model has no token to begin a text with: write some"
            )
        return prompt_request(prompt, self.search, self.ensemble.context)

    def _transform(self, texts: Sequence[str], prefixes: Sequence[str]) -> list[list[Hypothesis]]:
        source, target = self.ensemble.tokenizers
        assert source is not None, "an encoder-decoder has a source tokenizer"
        room = self.ensemble.source_room

        def fits(part: str) -> bool:
            return not room or len(source.encode(part)) <= room

        pieces, requests = [], []
        encoded = zip(texts, prefixes, source.encode_batch(texts), target.encode_batch(prefixes), strict=True)
        for text, prefix, ids, start in encoded:
            if not text.strip() and not start:
                split, parts = Pieces([], [text]), []
            elif room and len(ids) > room:
                split = split_text(text, fits)
                parts = source.encode_batch(split.parts)
            else:
                split, parts = Pieces([text], ["", ""]), [ids]
            if target.special.unknown in start:
                raise UserError(f"a prefix holds what the vocabulary lacks: {target.unknown_in(prefix)}")
            pieces.append(split)
            for i, part in enumerate(parts):
                forced = [] if i else start
                requests.append(pair_request(part, forced, self.search, self.ensemble.target_room))
        found = iter(self._search(requests))
        return [_joined(each, [next(found) for _ in each.parts]) for each in pieces]

    def _search(self, requests: Sequence[Request]) -> list[list[Hypothesis]]:
        """Hypotheses of each request, in its order, whatever the batches."""
        requests = numbered(requests)
        results: list[list[Hypothesis]] = [[] for _ in requests]
        budget = max(1, self.search.batch_tokens // self._copies)
        for batch in token_batches([request.size for request in requests], budget):
            with self.ensemble.evaluating():
                found = self._search_batch([requests[i] for i in batch])
            for i, each in zip(batch, found, strict=True):
                results[i] = [self._hypothesis(requests[i], one) for one in each]
        return results

    @property
    def _copies(self) -> int:
        """Rows that each request takes."""
        return self.search.beams if self.search.method == "beam" else self.search.n_best

    def _search_batch(self, requests: Sequence[Request]) -> list[list[Found]]:
        config, copies, special = self.search, self._copies, self.ensemble.tokenizers.target.special
        if config.method == "beam":
            steps, first = self.ensemble.begin(_sources(requests), [r.start for r in requests], copies)
            room = Room([r.shortest for r in requests], [r.longest for r in requests])
            competes = self.ensemble.architecture == "decoder"
            return beam_search(steps, first[::copies], room, config, special, cut_competes=competes)
        found = collect(self._emit(requests), len(requests) * copies, config.length_penalty, special.end)
        groups = [found[i : i + copies] for i in range(0, len(found), copies)]
        return [sorted(group, key=lambda each: each.score, reverse=True) for group in groups]

    def _emit(self, requests: Sequence[Request]) -> Iterator[list[Chosen]]:
        """Greedy search or sampling, `n_best` adjacent rows for each request."""
        config = self.search
        steps, first = self.ensemble.begin(_sources(requests), [r.start for r in requests], config.n_best)
        rows = [request for request in requests for _ in range(config.n_best)]
        room = Room([row.shortest for row in rows], [row.longest for row in rows])
        choose = likeliest
        if config.method == "sample":
            keys = [key for request in requests for key in request.keys(config.seed, config.n_best)]
            choose = Sampler(config, keys)
        special, starts = self.ensemble.tokenizers.target.special, [row.start for row in rows]
        return emit(steps, first, starts, room, choose, special, config.repetition_penalty)

    def _hypothesis(self, request: Request, found: Found) -> Hypothesis:
        """With its text: of encoder-decoders what was forced is part of it, of causal models it is not."""
        chosen = found.ids[:-1] if found.finished else found.ids
        tokenizer = self.ensemble.tokenizers.target
        if request.source is None:
            ids, text = chosen, continuation(tokenizer, request.start, chosen)
        else:
            ids = [*request.start, *chosen]
            text = tokenizer.decode(ids)
        text = text if found.finished else whole_characters(text)
        return Hypothesis(ids, text, found.score, found.finished, found.log_probs)


def _sources(requests: Sequence[Request]) -> list[list[int]] | None:
    sources = [request.source for request in requests if request.source is not None]
    return sources or None


def _joined(pieces: Pieces, found: Sequence[Sequence[Hypothesis]]) -> list[Hypothesis]:
    """The best hypotheses of all parts as one, then the second best, and so on; scores are summed."""
    if not pieces.parts:
        return [Hypothesis([], pieces.join([]), 0.0, True, [])]
    return [
        Hypothesis(
            [token for part in parts for token in part.ids],
            pieces.join([part.text for part in parts]),
            sum(part.score for part in parts),
            all(part.finished for part in parts),
            [value for part in parts for value in part.log_probs],
        )
        for parts in zip(*found, strict=False)
    ]
