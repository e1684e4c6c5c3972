"""What the gateway decides of a pair of chats, step by step, in this process."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.cache.judge import Judge
from evaluation.conversations.written_pairs import ChatPair
from proxy.core.text.word_vectors import WordVectors
from proxy.core.types import Message
from proxy.core.verification.chat_alignment import summarize_chat
from proxy.core.verification.chat_decision import ComparedChat, veto_other_words
from proxy.core.verification.chat_features import CHAT_FEATURES, compute_chat_features
from proxy.core.verification.chat_reading import read_chat
from proxy.core.verification.conversation import build_chat_turns
from proxy.engines.inference.word_table import open_word_table

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class DecidedPairs:
    """Pairs, and by row what is decided of each.

    `is_open`: what was learned decides; `is_served`: the rules serve it; `matches`: the last
    questions match.
    """

    pairs: list[ChatPair]
    features: Floats
    is_open: NDArray[np.bool_]
    is_served: NDArray[np.bool_]
    matches: NDArray[np.bool_]

    @property
    def labels(self) -> NDArray[np.bool_]:
        return np.array([pair.same for pair in self.pairs])

    @property
    def kinds(self) -> NDArray[np.str_]:
        return np.array([pair.kind for pair in self.pairs])

    def decide(self, evidence: Floats, cut: float) -> NDArray[np.bool_]:
        """Return what is served; `evidence` of every row."""
        return self.matches & (self.is_served | (self.is_open & (evidence >= cut)))


@dataclass(slots=True)
class PairDecider:
    """`models`: the folder of exported models."""

    models: Path
    _table: WordVectors = field(init=False)
    _judge: Judge = field(init=False)
    _matches: dict[tuple[str, str], bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._table = open_word_table(self.models)
        self._judge = Judge(self.models)

    def decide_rules(self, pairs: Sequence[ChatPair]) -> DecidedPairs:
        """Apply the rules to each pair, and compute its features.

        The answer of the stored chat, which most sets do not have, is not looked at.
        """
        rows = np.zeros((len(pairs), len(CHAT_FEATURES)))
        is_open, is_served = np.zeros(len(pairs), dtype=bool), np.zeros(len(pairs), dtype=bool)
        for place, pair in enumerate(pairs):
            found: list[Floats] = []
            asked, stored = self._read(pair.asked), self._read(pair.stored)
            if asked is None or stored is None:
                continue

            def keep(features: Floats, found: list[Floats] = found) -> float:
                found.append(features)
                return 0.0

            if veto_other_words(asked, stored, "", keep, ignores_asides=True) is None:
                is_open[place], is_served[place] = bool(found), not found
            rows[place] = compute_chat_features(
                summarize_chat(asked.reading), summarize_chat(stored.reading)
            )
        matches = asyncio.run(self._match_questions(pairs))
        return DecidedPairs(list(pairs), rows, is_open, is_served, matches)

    def _read(self, messages: Sequence[Message]) -> ComparedChat | None:
        reading = read_chat(messages, self._table.embed_texts)
        question = build_chat_turns(messages).question
        return ComparedChat(question, reading) if reading is not None else None

    async def _match_questions(self, pairs: Sequence[ChatPair]) -> NDArray[np.bool_]:
        found = []
        for pair in pairs:
            texts = tuple(build_chat_turns(chat).question for chat in (pair.asked, pair.stored))
            key = (texts[0], texts[1])
            if key not in self._matches:
                self._matches[key] = await self._judge.agree(*key)
            found.append(self._matches[key])
        return np.array(found, dtype=bool)
