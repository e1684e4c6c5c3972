"""What a provider with prefix caching bills for a row of prompts.

Pure: the clock is the caller's.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import orjson
from bpe_openai import get_encoding

from evaluation.rules import Rules
from proxy.core.tokens import (
    REPLY_PRIMING_TOKENS,
    TOKENS_PER_MESSAGE,
    count_message_tokens,
    count_text,
)
from proxy.core.types import Message


@dataclass(frozen=True, slots=True)
class Billed:
    """Tokens of one prompt by what they cost; `cost` in units of one input token."""

    fresh: int
    written: int
    cached: int
    cost: float

    def at(self, read: float, write: float) -> "Billed":
        """The same tokens at other prices."""
        return replace(self, cost=self.fresh + self.written * write + self.cached * read)


class Provider:
    """One provider's cache as one customer sees it. Times in seconds, ascending."""

    def __init__(self, rules: Rules, encoding: str = "o200k_base") -> None:
        self.rules = rules
        self._encoding = encoding
        self._kept: list[tuple[float, list[bytes], frozenset[int]]] = []

    def send(self, messages: list[Message], at: float, *, marks: tuple[int, ...] = ()) -> Billed:
        """Bill a prompt and remember it.

        `marks`: breakpoints, each a number of messages from the start; none: after the last.
        """
        texts = [orjson.dumps(message, option=orjson.OPT_SORT_KEYS) for message in messages]
        sizes = [_count(text, self._encoding) for text in texts]
        total, stops = sum(sizes) + REPLY_PRIMING_TOKENS, frozenset(marks or (len(texts),))
        cached = self._cached(texts, sizes, stops, at) if self.rules.read is not None else 0
        end = sum(sizes[: max(stops)])
        by_mark = (
            self.rules.read is not None
            and self.rules.ends == "breakpoints"
            and end >= self.rules.minimum
        )
        written = max(0, end - cached) if by_mark else 0
        self._kept = [kept for kept in self._kept if at - kept[0] <= self.rules.expiry]
        self._kept.append((at, texts, stops))
        return Billed(total - cached - written, written, cached, 0.0).at(
            self.rules.read or 0.0, self.rules.write
        )

    def _cached(
        self, texts: list[bytes], sizes: list[int], stops: frozenset[int], at: float
    ) -> int:
        """Tokens of the longest prefix that is still kept.

        What is read is kept anew, as part of the prompt that read it.
        """
        live = [kept for kept in self._kept if at - kept[0] <= self.rules.expiry]
        if self.rules.ends == "steps":
            longest = max((self._common(texts, sizes, kept[1]) for kept in live), default=0)
        else:
            longest = max((self._marked(texts, sizes, stops, kept) for kept in live), default=0)
        return longest // self.rules.step * self.rules.step if longest >= self.rules.minimum else 0

    def _common(self, texts: list[bytes], sizes: list[int], earlier: list[bytes]) -> int:
        same = _same(texts, earlier)
        tokens = sum(sizes[:same])
        if same < min(len(texts), len(earlier)):
            tokens += _shared(texts[same], earlier[same], self._encoding)
        return tokens

    def _marked(
        self,
        texts: list[bytes],
        sizes: list[int],
        stops: frozenset[int],
        kept: tuple[float, list[bytes], frozenset[int]],
    ) -> int:
        same = _same(texts, kept[1])
        near = (
            end
            for end in kept[2]
            if end <= same and any(0 <= stop - end <= self.rules.lookback for stop in stops)
        )
        return sum(sizes[: max(near, default=0)])


def _same(texts: list[bytes], earlier: list[bytes]) -> int:
    """How many messages from the start are the same."""
    for index, (text, other) in enumerate(zip(texts, earlier, strict=False)):
        if text != other:
            return index
    return min(len(texts), len(earlier))


@lru_cache(maxsize=100_000)
def _count(text: bytes, encoding: str) -> int:
    return count_message_tokens(orjson.loads(text), encoding)


def _shared(text: bytes, other: bytes, encoding: str) -> int:
    """Tokens from the start that two different messages have in common:
    framing, role, and the text as far as it is the same."""
    one, two = orjson.loads(text), orjson.loads(other)
    if one.get("role") != two.get("role") or not (
        isinstance(one.get("content"), str) and isinstance(two.get("content"), str)
    ):
        return 0
    tokens = TOKENS_PER_MESSAGE + count_text(one["role"], encoding)
    for mine, theirs in zip(
        _ids(one["content"], encoding), _ids(two["content"], encoding), strict=False
    ):
        if mine != theirs:
            break
        tokens += 1
    return tokens


def _ids(text: str, encoding: str) -> list[int]:
    ids: list[int] = _tokenizer(encoding).encode(text, disallowed_special=())
    return ids


@lru_cache(maxsize=2)
def _tokenizer(encoding: str) -> Any:
    return get_encoding(encoding)
