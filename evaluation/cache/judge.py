"""Whether the answer to one request is served for another, decided in this process by what the gateway decides with."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import orjson

from plans.snapshot import CacheSettings
from proxy.core.caching.eligibility import semantic_refusal
from proxy.core.formats import chat_completions
from proxy.core.text.normalize import fold
from proxy.core.types import Message, Vector
from proxy.core.verification.conversation import Chat, apart, chat_of, fits, objection, text_of_window, without_histories
from proxy.core.verification.rules.registry import veto
from proxy.engines.embedders.onnx import OnnxEmbedder
from proxy.engines.verifiers.onnx import OnnxVerifier
from proxy.pipeline.question_matching import agree, compared
from proxy.pipeline.toolbox import Breakers, Limits, Toolbox

PLAN = CacheSettings()
BATCH = 64
PATIENCE = 60.0  # seconds; here nobody waits for an answer


@dataclass(frozen=True, slots=True)
class Tools:
    """As much of the gateway's toolbox as a comparison takes."""

    embedder: OnnxEmbedder
    verifier: OnnxVerifier
    breakers: Breakers = field(default_factory=Breakers)


class Judge:
    """`seconds`: what each second check of the default took, model and rules."""

    floor = Limits().floor
    most = Limits().candidates

    def __init__(self, models: Path) -> None:
        self._tools = Tools(OnnxEmbedder(models), OnnxVerifier(models))
        self.vectors: dict[str, Vector] = {}
        self.seconds: list[float] = []

    async def read(self, texts: Iterable[str]) -> None:
        """Embed what has not been embedded yet."""
        waiting = [text for text in dict.fromkeys(texts) if text not in self.vectors]
        for at in range(0, len(waiting), BATCH):
            batch = waiting[at : at + BATCH]
            found = await asyncio.gather(*(self._tools.embedder.embed(fold(text)) for text in batch))
            self.vectors |= zip(batch, found, strict=True)

    def cosine(self, asked: str, stored: str) -> float:
        """Of two texts that were read."""
        return float(np.dot(self.vectors[asked], self.vectors[stored]))

    def near(self, asked: str, stored: str, *, rules: bool) -> bool:
        """The cosine reaches a plan's threshold and, with `rules`, none of them objects."""
        return self.cosine(asked, stored) >= PLAN.similarity_threshold and not (rules and veto(asked, stored))

    async def agree(self, asked: str, stored: str, cosine: float) -> bool:
        """The default's second check of two questions."""
        if not compared(asked, stored, cosine):
            return False
        begun = time.perf_counter()
        tools = cast(Toolbox, self._tools)
        found = await agree(asked, stored, tools, threshold=PLAN.similarity_threshold, seconds=PATIENCE, similarity=cosine)
        self.seconds.append(time.perf_counter() - begun)
        return not found.reason

    async def serves(self, asked: Sequence[Message], stored: Sequence[Message]) -> bool:
        """The default plan's decision on two requests that differ in their messages alone."""
        if asked == stored:
            return True
        ours, theirs = chat_of(asked), chat_of(stored)
        if not all([await self._tools.embedder.understands(fold(each.question)) for each in (ours, theirs)]):
            return False
        if any(semantic_refusal(_request(each), PLAN) for each in (asked, stored)) or not (fits(asked) and fits(stored)):
            return False
        texts = [text_of_window(given, PLAN.window) for given in (ours, theirs)]
        await self.read((*texts, ours.question, theirs.question))
        cosine = self.cosine(*texts)
        if cosine < self.floor or (objection(ours, theirs, similarity=cosine) and not await self._stands_alone(ours, theirs)):
            return False
        return await self.agree(ours.question, theirs.question, self.cosine(ours.question, theirs.question))

    async def _stands_alone(self, asked: Chat, stored: Chat) -> bool:
        told = without_histories(asked, stored)
        if told is None:
            return False
        await self.read(told)
        return apart(self.vectors[asked.question], [self.vectors[text] for text in told])


def _request(messages: Sequence[Message]) -> chat_completions.ChatRequest:
    return chat_completions.parse(orjson.dumps({"model": "any", "messages": list(messages)}))
