"""What simple methods would send: whole messages of a chat within a budget,
and its final message."""

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache

from proxy.core.text.languages import terms
from proxy.core.tokens import REPLY_PRIMING_TOKENS, count_message_tokens
from proxy.core.types import Message

ENCODING = "o200k_base"
LANGUAGE = "english"
K1, B = 1.2, 0.75

# (messages, budget) -> what is sent of them
Cutter = Callable[[list[Message], int], list[Message]]


def keep_last(messages: list[Message], budget: int) -> list[Message]:
    """The newest, up to the first that does not fit."""
    return _kept(messages, reversed(range(len(messages) - 1)), budget, skip=False)


def at_random(messages: list[Message], budget: int) -> list[Message]:
    """In an order that is always the same, up to the first that does not fit:
    not filled up with short ones."""
    order = list(range(len(messages) - 1))
    random.Random(0).shuffle(order)  # noqa: S311 - chance to compare with, no secret
    return _kept(messages, order, budget, skip=False)


def bm25(messages: list[Message], budget: int) -> list[Message]:
    """The best by BM25 against the final message."""
    said = [_terms(message["content"]) for message in messages[:-1]]
    frequency = Counter(term for some in said for term in some)
    mean = sum(map(Counter.total, said)) / max(1, len(said))
    asked = _terms(messages[-1]["content"])

    def score(index: int) -> float:
        some = said[index]
        long = K1 * (1 - B + B * some.total() / mean)
        return sum(
            math.log((len(said) + 1) / (frequency[term] + 0.5))
            * some[term]
            * (K1 + 1)
            / (some[term] + long)
            for term in asked
            if term in some
        )

    return _kept(messages, sorted(range(len(said)), key=score, reverse=True), budget, skip=True)


SIMPLE: dict[str, Cutter] = {"keep last": keep_last, "BM25": bm25, "random": at_random}


def _kept(
    messages: list[Message], order: Iterable[int], budget: int, *, skip: bool
) -> list[Message]:
    """Those that fit, in the order of the chat; `skip`: what does not fit is passed over,
    else it is the end."""
    room = budget - REPLY_PRIMING_TOKENS - count_message_tokens(messages[-1], ENCODING)
    kept: set[int] = set()
    for index in order:
        tokens = _count(str(messages[index]["role"]), messages[index]["content"])
        if tokens <= room:
            room -= tokens
            kept.add(index)
        elif not skip:
            break
    return [
        message
        for index, message in enumerate(messages)
        if index in kept or index == len(messages) - 1
    ]


@lru_cache(maxsize=20_000)
def _count(role: str, content: str) -> int:
    return count_message_tokens({"role": role, "content": content}, ENCODING)


@lru_cache(maxsize=20_000)
def _terms(text: str) -> Counter[str]:
    return Counter(terms(text, LANGUAGE))
