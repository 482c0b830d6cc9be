"""Completions in OpenAI's interface: one request from its fields to its answer, whole or as a stream."""

import time
import uuid
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Literal

from fastapi import Request

from headway.decoding.streaming import TextStream
from headway.serving.asking import Answer, Plan, Wanted, tokens_of, written
from headway.serving.flow import Piece, Stream, check_size, compute, generate, models_of, planned, settings_of
from headway.serving.given import Given, Read, read_given
from headway.serving.models import Served
from headway.serving.openai_shapes import Choice, Completion, CompletionRequest, Logprobs, Usage, prompts_of
from headway.serving.refusal import invalid
from headway.serving.wishes import search_for, stops_of

USUAL_LENGTH = 16
"""Tokens that a completion has where the client does not say."""
NOT_HERE = {
    "best_of": (None, 1),
    "frequency_penalty": (None, 0),
    "presence_penalty": (None, 0),
    "logit_bias": (None, {}),
    "suffix": (None, ""),
}
"""What OpenAI has and this server does not, with the values that ask for nothing."""
WITHOUT_EFFECT = {"user", "metadata", "store", "service_tier"}

NOTHING = Answer("", 0.0, False, [], 0)
"""A completion without a token."""


def writes(served: Served) -> bool:
    """Whether a model writes text, so that it can be asked to complete one."""
    return served.bundle.architecture != "encoder"


class Completing:
    """One request for completions."""

    def __init__(self, request: Request, asked: CompletionRequest) -> None:
        self.request, self.asked = request, asked
        self.served = models_of(request).named(asked.model, writes)
        self.settings = settings_of(request)
        self.prompts = prompts_of(asked.prompt)
        architecture = self.served.bundle.architecture
        if architecture == "encoder":
            raise invalid("model", "a masked model completes nothing: use /fill-mask")
        if not self.prompts:
            raise invalid("prompt", "holds nothing to complete")
        check_size(request, "prompt", self.prompts)
        if asked.echo and architecture != "decoder":
            raise invalid("echo", "an encoder-decoder's output does not go on from the prompt")
        if asked.max_tokens == 0 and not asked.echo:
            raise invalid("max_tokens", "0 tokens can be asked for together with echo only")
        if len(self.prompts) * asked.n > self.settings.max_texts:
            most = self.settings.max_texts
            raise invalid("n", f"{len(self.prompts)} prompts with {asked.n} outputs each: at most {most}")
        tokenizers = self.served.bundle.tokenizers
        self.ids = [
            tokens_of(tokenizers.source or tokenizers.target, each, "prompt") for each in self.prompts
        ]
        self.warnings = self._warnings()
        self.id, self.created = f"cmpl-{uuid.uuid4().hex}", int(time.time())

    def _warnings(self) -> list[str]:
        """Raises Refusal for what the client must not believe to have an effect."""
        found = []
        for name, value in (self.asked.model_extra or {}).items():
            if name in NOT_HERE and value not in NOT_HERE[name]:
                if name == "best_of" and value == self.asked.n:
                    continue
                raise invalid(name, "is not supported here; leave it out")
            if name not in NOT_HERE and name not in WITHOUT_EFFECT:
                found.append(f"{name[:60]!r} is not known here and has no effect")
        return found[:16]

    async def plan(self) -> Plan | None:
        """The searches; none where only the prompts are asked for."""
        asked, served = self.asked, self.served
        longest = asked.max_tokens
        if longest == 0:
            return None
        if longest is None and served.bundle.architecture == "decoder":
            longest = USUAL_LENGTH
        search = search_for(served.pipeline.search, asked, self.settings, asked.n, longest)
        wanted = Wanted(
            search=search,
            stops=stops_of(asked.stop),
            alternatives=asked.logprobs,
            longest=self.settings.max_tokens,
        )
        return await planned(self.request, served, self.prompts, wanted)

    async def answer(self) -> Completion:
        """The completions of all prompts."""
        plan, echoes = await self.plan(), await self.echoes()
        found = await generate(self.request, self.served, plan) if plan else [[NOTHING] for _ in self.prompts]
        choices = [
            self._choice(answer, i * self.asked.n + number, *echo)
            for i, (answers, echo) in enumerate(zip(found, echoes, strict=True))
            for number, answer in enumerate(answers)
        ]
        completed = sum(answer.size for answers in found for answer in answers)
        return self._completion(choices, self._usage(completed))

    async def chunks(self) -> AsyncIterator[Completion]:
        """The same bit by bit. What can be refused is refused before the first."""
        plan, echoes = await self.plan(), await self.echoes()
        stream = Stream(self.served, plan) if plan else None
        return self._chunks(stream, echoes)

    async def _chunks(
        self, stream: Stream | None, echoes: Sequence[tuple[str, Logprobs | None]]
    ) -> AsyncIterator[Completion]:
        offsets = {}
        for i, (text, logprobs) in enumerate(echoes):
            for index in range(i * self.asked.n, (i + 1) * self.asked.n):
                offsets[index] = len(text)
                if text or stream is None:
                    reason: Literal["length"] | None = "length" if stream is None else None
                    yield self._completion(
                        [Choice(text=text, index=index, logprobs=logprobs, finish_reason=reason)]
                    )
        completed = 0
        if stream is not None:
            async for piece in stream.pieces(self.settings.timeout):
                choice = self._grown(piece, offsets)
                completed += piece.answer.size if piece.answer else 0
                if choice.text or choice.finish_reason or choice.logprobs:
                    yield self._completion([choice])
        if self.asked.stream_options is not None and self.asked.stream_options.include_usage:
            yield self._completion([], self._usage(completed))

    def _grown(self, piece: Piece, offsets: dict[int, int]) -> Choice:
        """What one output grew by."""
        index = piece.text_number * self.asked.n + piece.output
        choice = Choice(text=piece.text, index=index)
        if self.asked.logprobs is not None and piece.tokens:
            choice.logprobs = Logprobs()
            for each in piece.tokens:
                choice.logprobs.add(each.text, each.log_prob, each.alternatives, offsets[index])
        if piece.answer is not None:
            choice.finish_reason = "stop" if piece.answer.finished else "length"
        offsets[index] += len(piece.text)
        return choice

    def _choice(self, answer: Answer, index: int, before: str, logprobs: Logprobs | None) -> Choice:
        if self.asked.logprobs is not None:
            logprobs = (logprobs or Logprobs()).model_copy(deep=True)
            for each in answer.tokens:
                logprobs.add(each.text, each.log_prob, each.alternatives)
        reason: Literal["stop", "length"] = "stop" if answer.finished else "length"
        return Choice(text=before + answer.text, index=index, logprobs=logprobs, finish_reason=reason)

    async def echoes(self) -> list[tuple[str, Logprobs | None]]:
        """The prompts as text, with what the model gives their tokens; empty unless they are asked for."""
        if self.asked.echo:
            tokenizer = self.served.bundle.tokenizers.target
            texts = [each if isinstance(each, str) else tokenizer.decode(each) for each in self.prompts]
            if self.asked.logprobs is None:
                return [(text, None) for text in texts]
            ensemble = self.served.pipeline.ensemble
            found = await compute(
                self.request,
                self.served,
                ("given", partial(read_given, ensemble)),
                [Given(None, ids, self.asked.logprobs) for ids in self.ids],
                sum(map(len, self.ids)),
            )
            return [
                (text, self._echoed(ids, reads))
                for text, ids, reads in zip(texts, self.ids, found, strict=True)
            ]
        return [("", None)] * len(self.prompts)

    def _echoed(self, ids: list[int], reads: Sequence[Read]) -> Logprobs:
        tokenizer, result = self.served.bundle.tokenizers.target, Logprobs()
        stream = TextStream(tokenizer, [])
        for i, (token, read) in enumerate(zip(ids, reads, strict=True)):
            text = stream.add(token)
            if i == len(ids) - 1:
                text += stream.finish(ended=True)
            result.add(text, read.log_prob, written(tokenizer, ids[:i], read.alternatives))
        return result

    def _usage(self, completed: int) -> Usage:
        read = sum(map(len, self.ids))
        return Usage(prompt_tokens=read, completion_tokens=completed, total_tokens=read + completed)

    def _completion(self, choices: list[Choice], usage: Usage | None = None) -> Completion:
        return Completion(
            id=self.id,
            created=self.created,
            model=self.served.name,
            choices=choices,
            usage=usage,
            warnings=self.warnings or None,
        )
