"""What rivals do: the whole history summarised anew at every turn,
without regard to the question or to what was sent before."""

from functools import lru_cache

import numpy as np

from plans.snapshot import CompressionSettings
from proxy.core.compression.algorithm_registry import load_rank
from proxy.core.compression.document import split_by_sentence
from proxy.core.compression.memo import Memo
from proxy.core.compression.units import UnitPolicy, split_units
from proxy.core.tokens import REPLY_PRIMING_TOKENS, count_message_tokens, count_text
from proxy.core.types import Message

ENCODING = "o200k_base"
HEAD = "Summary of the conversation so far:"
FRAME = 16


def cut_anew(messages: list[Message], settings: CompressionSettings, memory: Memo) -> list[Message]:
    """System text, one message of the best sentences of all that was said before the final turn by
    the engine's own ranks, as many as the budget holds, and the final turn."""
    counts = [count_message_tokens(message, ENCODING, memory.count_tokens) for message in messages]
    if REPLY_PRIMING_TOKENS + sum(counts) <= settings.max_input_tokens:
        return messages
    chat = split_units(messages)
    kept = [
        index
        for unit in chat
        if unit.policy is UnitPolicy.PROTECTED
        for index in unit.message_indices
    ]
    history = split_by_sentence(chat, messages, settings.language, memory)
    room = (
        settings.max_input_tokens
        - REPLY_PRIMING_TOKENS
        - FRAME
        - sum(counts[index] for index in kept)
    )
    chosen = []
    for index in np.argsort(
        -np.asarray(load_rank(settings.engine)(history)), kind="stable"
    ).tolist():
        tokens = _count(history.pieces[index].text)
        if tokens <= room:
            room -= tokens
            chosen.append(index)
        elif room < FRAME:
            break
    said = "\n".join([HEAD, *(history.pieces[index].text for index in sorted(chosen))])
    before = [messages[index] for index in kept if index < _final(messages)]
    return [*before, {"role": "user", "content": said}, *messages[_final(messages) :]]


def _final(messages: list[Message]) -> int:
    return max(index for index, message in enumerate(messages) if message["role"] == "user")


@lru_cache(maxsize=100_000)
def _count(text: str) -> int:
    return count_text(f"{text}\n", ENCODING)
