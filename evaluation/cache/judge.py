"""Whether the answer to one request is served for another,
decided in this process by what the gateway decides with."""

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import orjson

from plans.snapshot import CacheSettings
from proxy.core.caching.eligibility import semantic_ineligibility
from proxy.core.errors import ToolUnavailable
from proxy.core.formats import chat_completions
from proxy.core.text.normalize import fold_text
from proxy.core.types import Message, Vector
from proxy.core.verification.chat_decision import ComparedChat
from proxy.core.verification.conversation import (
    ChatTurns,
    are_windows_alike,
    build_chat_turns,
    is_comparable,
    is_unrelated,
    list_ignorable_histories,
    select_embedded_text,
    select_window,
    veto_history,
)
from proxy.core.verification.rules.rule_registry import veto_question
from proxy.engines.embedders.onnx import OnnxEmbedder
from proxy.engines.embedders.words import WordEmbedder
from proxy.engines.verifiers.alignment import AlignmentVerifier
from proxy.engines.verifiers.chats import AlignmentChatVerifier
from proxy.pipeline.question_matching import match_questions
from proxy.pipeline.toolbox import CircuitBreakers, Limits, Toolbox

PLAN = CacheSettings()
BATCH = 64
PATIENCE = 60.0  # seconds; here nobody waits for an answer


@dataclass(frozen=True, slots=True)
class Tools:
    """As much of the gateway's toolbox as a comparison takes."""

    embedder: OnnxEmbedder
    verifier: AlignmentVerifier
    breakers: CircuitBreakers = field(default_factory=CircuitBreakers)
    foreign_languages: Mapping[str, Collection[str]] = field(default_factory=dict)


class Judge:
    """`vectors`: the model's, `word_vectors`: those by which the default finds neighbours;
    `seconds`: what each second check of the default took, model and rules."""

    floor = Limits().min_similarity
    most = Limits().max_candidates

    def __init__(self, models: Path) -> None:
        self._tools = Tools(OnnxEmbedder(models), AlignmentVerifier(models))
        self._index = WordEmbedder(models, self._tools.embedder)
        self._models = models
        self.vectors: dict[str, Vector] = {}
        self.word_vectors: dict[str, Vector] = {}
        self.seconds: list[float] = []

    @cached_property
    def _chats(self) -> AlignmentChatVerifier:
        """Loaded when needed: what trains it asks for questions alone."""
        return AlignmentChatVerifier(self._models)

    async def read(self, texts: Iterable[str]) -> None:
        """Embed what has not been embedded yet."""
        waiting = [text for text in dict.fromkeys(texts) if text not in self.vectors]
        for at in range(0, len(waiting), BATCH):
            batch = waiting[at : at + BATCH]
            found = await asyncio.gather(
                *(self._tools.embedder.embed(fold_text(text)) for text in batch)
            )
            self.vectors |= zip(batch, found, strict=True)
            for text in batch:
                self.word_vectors[text] = await self._embed_words(text)

    async def _embed_words(self, text: str) -> Vector:
        """Nothing is found by a text without a word."""
        try:
            return await self._index.embed(fold_text(text))
        except ToolUnavailable:
            return np.zeros(self._index.dimension, dtype=np.float32)

    def cosine(self, asked: str, stored: str) -> float:
        """The model's of two texts that were read."""
        return float(np.dot(self.vectors[asked], self.vectors[stored]))

    def near(self, asked: str, stored: str, *, rules: bool) -> bool:
        """The cosine reaches a plan's threshold and, with `rules`, none of them objects."""
        return self.cosine(asked, stored) >= PLAN.threshold and not (
            rules and veto_question(asked, stored)
        )

    async def agree(self, asked: str, stored: str) -> bool:
        """The default's second check of two questions."""
        begun = time.perf_counter()
        tools = cast(Toolbox, self._tools)
        found = await match_questions(
            asked,
            stored,
            tools,
            threshold=PLAN.threshold,
            seconds=PATIENCE,
        )
        self.seconds.append(time.perf_counter() - begun)
        return not found.reason

    async def serves(self, asked: Sequence[Message], stored: Sequence[Message]) -> bool:
        """The default plan's decision on two requests that differ in their messages alone."""
        if asked == stored:
            return True
        ours, theirs = build_chat_turns(asked), build_chat_turns(stored)
        if not all(
            [
                await self._index.has_vocabulary_for(fold_text(each.question))
                for each in (ours, theirs)
            ]
        ):
            return False
        if any(semantic_ineligibility(_request(each), PLAN) for each in (asked, stored)) or not (
            is_comparable(asked) and is_comparable(stored)
        ):
            return False
        texts = [select_embedded_text(given, PLAN.window) for given in (ours, theirs)]
        await self.read((*texts, ours.question, theirs.question))
        if float(np.dot(*(self.word_vectors[text] for text in texts))) < self.floor or not (
            await self._turns_agree(ours, theirs)
            or await self._stands_alone(ours, theirs)
            or await self._says_the_same(asked, stored)
        ):
            return False
        return await self.agree(ours.question, theirs.question)

    async def _turns_agree(self, asked: ChatTurns, stored: ChatTurns) -> bool:
        if veto_history(asked, stored):
            return False
        if len(asked.user_turns) == 1 or asked.user_turns == stored.user_turns:
            return True
        windows = [select_window(each, PLAN.window) for each in (asked, stored)]
        await self.read(windows)
        return are_windows_alike(self.cosine(*windows))

    async def _says_the_same(self, asked: Sequence[Message], stored: Sequence[Message]) -> bool:
        """The sets have no answers to look at."""
        if len(asked) == 1:
            return False
        read = [await self._chats.read_chat(each) for each in (asked, stored)]
        chats = [
            ComparedChat(build_chat_turns(messages).question, reading)
            for messages, reading in zip((asked, stored), read, strict=True)
            if reading is not None
        ]
        return (
            len(chats) == 2 and await self._chats.veto_other_words(chats[0], chats[1], "") is None
        )

    async def _stands_alone(self, asked: ChatTurns, stored: ChatTurns) -> bool:
        told = list_ignorable_histories(asked, stored)
        if told is None:
            return False
        await self.read(told)
        return is_unrelated(self.vectors[asked.question], [self.vectors[text] for text in told])


def _request(messages: Sequence[Message]) -> chat_completions.ChatRequest:
    return chat_completions.parse_chat_request(
        orjson.dumps({"model": "any", "messages": list(messages)})
    )
