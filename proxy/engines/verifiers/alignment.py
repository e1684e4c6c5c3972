"""The verifier: how likely two questions have the same answer, by aligning their words and tokens.

What a model makes of one question is kept for the next comparison (`SentenceReader`).
"""

import asyncio
import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

from proxy.core.tenant_memory import TenantMemory
from proxy.core.text.normalize import fold_text
from proxy.core.verification.pair_features import (
    TokenReading,
    WordReading,
    compute_cheap_features,
    compute_features,
)
from proxy.core.verification.rules.rule_registry import list_doubtful_objections
from proxy.engines.inference.sentence_reader import SentenceReader
from proxy.engines.verifiers.weights import (
    LearnedWeights,
    bound_score,
    compute_score,
    load_learned_weights,
    verifier_id,
)
from proxy.engines.verifiers.word_reader import WordReader

MAX_TEXT_CHARACTERS = 4096  # of one text; a longer one scores 0
MAX_REMEMBERED_READINGS = 1024  # of words, some 3 KB each


class AlignmentVerifier:
    """Scores pairs with the model in `models`, or with the embedder's `reader` of the same model.

    The first `score_questions` loads it; while it is missing every call raises ToolUnavailable.
    """

    name = "verifier"

    def __init__(self, models: Path, reader: SentenceReader | None = None) -> None:
        self.id = verifier_id()
        self._reader = reader or SentenceReader(models)
        self._word_reader = WordReader(models)
        self._weights: LearnedWeights = load_learned_weights()
        self._words: TenantMemory[int | None, bytes, WordReading] = TenantMemory(
            MAX_REMEMBERED_READINGS
        )

    async def score_questions(
        self,
        asked: str,
        stored: Sequence[str],
        *,
        within: float = math.inf,
        tenant: int | None = None,
    ) -> list[float]:
        """Score `asked` against each of `stored`; see the port. Texts too long score 0."""
        scores = [0.0] * len(stored)
        await self._load_words()
        open_ones = [
            place
            for place, other in enumerate(stored)
            if max(len(asked), len(other)) <= MAX_TEXT_CHARACTERS
        ]
        if open_ones:
            # One after the other: a request's own reading is none that it waits for.
            ours = await self._reader.read(fold_text(asked), tenant=tenant, within=within)
            theirs = await asyncio.gather(
                *(
                    self._reader.read(fold_text(stored[place]), tenant=tenant, within=within)
                    for place in open_ones
                )
            )
            for place, other_tokens in zip(open_ones, theirs, strict=True):
                scores[place] = self._score_pair(
                    (asked, ours), (stored[place], other_tokens), tenant
                )
        return scores

    async def bound_score(self, asked: str, stored: str, *, tenant: int | None = None) -> float:
        """Bound the score of a pair; see the port."""
        if max(len(asked), len(stored)) > MAX_TEXT_CHARACTERS:
            return 0.0
        await self._load_words()
        words = (self._read_words(text, tenant) for text in (asked, stored))
        return bound_score(compute_cheap_features(*words), self._weights)

    async def close(self) -> None:
        """Let the thread end; texts that were not begun are dropped."""
        await self._reader.close()

    async def _load_words(self) -> None:
        """Load the table of word vectors. Raises ToolUnavailable."""
        if not self._word_reader.is_loaded:
            await asyncio.to_thread(self._word_reader.load)

    def _score_pair(
        self, asked: tuple[str, TokenReading], stored: tuple[str, TokenReading], tenant: int | None
    ) -> float:
        if not (asked[1].is_whole and stored[1].is_whole):
            return 0.0
        features = compute_features(
            (self._read_words(asked[0], tenant), asked[1]),
            (self._read_words(stored[0], tenant), stored[1]),
            list_doubtful_objections(asked[0], stored[0]),
        )
        return compute_score(features, self._weights)

    def _read_words(self, text: str, tenant: int | None) -> WordReading:
        key = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
        known = self._words.get(tenant, key)
        if known is None:
            known = self._word_reader.read_words(text)
            self._words.remember(tenant, key, known)
        return known
