"""A chat as it went, turn by turn: what each way of cutting would have sent,
and what was left of the evidence at its end."""

from collections.abc import Callable
from dataclasses import dataclass

from evaluation.chats import Chat, Question
from evaluation.every_turn import cut_anew
from evaluation.evidence import Sent
from plans.snapshot import CompressionSettings
from proxy.core.compression.compress import compress
from proxy.core.compression.memo import Memo
from proxy.core.text.word_vectors import WordVectors
from proxy.core.types import Message

MODEL = "gpt-4o-mini"
MINUTE, REST = 60.0, 1800.0
MEMORY = 64 * 1024 * 1024

Cutter = Callable[[list[Message], CompressionSettings, Memo], list[Message]]


def _whole(messages: list[Message], _settings: CompressionSettings, _memory: Memo) -> list[Message]:
    return messages


def _frozen(messages: list[Message], settings: CompressionSettings, memory: Memo) -> list[Message]:
    return compress(messages, settings, model=MODEL, memory=memory).messages or messages


# What stands for itself: `saves` is the one or the other of the first and the last, by price.
CUTTERS: dict[str, Cutter] = {"none": _whole, "every_turn": cut_anew, "always": _frozen}


@dataclass(frozen=True, slots=True)
class Replay:
    """`sent`: prompts by cutter, one a turn; `kept`: by cutter, for each question of the chat,
    whether its evidence was sent when it was asked last."""

    source: str
    sent: dict[str, list[list[Message]]]
    kept: dict[str, list[bool]]


def replay(
    chat: Chat, settings: CompressionSettings, meanings: WordVectors | None = None
) -> Replay:
    """All turns of a chat by all cutters, which find by meaning where there is a table.

    Takes seconds.
    """
    sent, kept = {}, {}
    for name, cut in CUTTERS.items():
        memory = Memo(MEMORY, word_vectors=meanings)
        sent[name] = [cut(prompt, settings, memory) for prompt in chat.requests()]
        kept[name] = [
            _survives(chat, question, cut(_asked(chat, question), settings, memory))
            for question in chat.questions
        ]
    return Replay(chat.source, sent, kept)


def times(turns: int) -> list[float]:
    """When each turn comes, in seconds: a minute apart, and once, half-way, half an hour."""
    return [turn * MINUTE + (REST - MINUTE if turn >= turns // 2 else 0.0) for turn in range(turns)]


def _asked(chat: Chat, question: Question) -> list[Message]:
    return [*chat.messages, {"role": "user", "content": question.text}]


def _survives(chat: Chat, question: Question, messages: list[Message]) -> bool:
    sent = Sent(messages)
    return all(sent.has(str(chat.messages[index]["content"])) for index in question.evidence)
