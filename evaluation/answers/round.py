"""All questions of all chats by all arms, one at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from evaluation.answers.ask import Door, Reply, ask, sent
from evaluation.answers.f1 import f1
from evaluation.chats import Chat, Question
from evaluation.evidence import Sent
from proxy.core.types import Message

INSTRUCTION = "Answer in a few words."


class Reader(Protocol):
    """What must be known of a model: how long a prompt is for it,
    and how to make it forget the last one."""

    def count(self, messages: list[Message]) -> int: ...

    def forget(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`cold`: the model had read nothing of this prompt before,
    else all of the same chat and arm but the question and what was chosen for it. `kept`: whether
    all evidence was sent. `prompt_tokens`: by the model's tokenizer. Times as in `Reply`."""

    chat: str
    source: str
    arm: str
    question: str
    reference: str
    text: str
    f1: float
    kept: bool
    cold: bool
    prompt_tokens: int
    first_ms: float
    overhead_ms: float
    note: str


def asked(chat: Chat, question: Question) -> list[Message]:
    """The chat with the question as its final message."""
    return [*chat.messages, {"role": "user", "content": f"{question.text}\n{INSTRUCTION}"}]


def answers(
    door: Door, reader: Reader, chats: Sequence[Chat], arms: Mapping[str, dict[str, Any] | None]
) -> Iterator[Answer]:
    """Chat by chat and arm by arm; each chat begins with another arm,
    so that none always comes first. Before each arm the model forgets, so its first question is
    read cold and the others find in the model's memory what their prompts have in common with the
    one before."""
    for number, chat in enumerate(chats):
        names = list(arms)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            reader.forget()
            plan = (arms[name] or {}).get("plan_name")
            for place, question in enumerate(chat.questions):
                messages = asked(chat, question)
                reply = ask(door, messages, plan)
                # Only now: a preview leaves the compressor warm.
                prompt = sent(door, messages, plan)
                yield _answer(
                    chat,
                    question,
                    name,
                    reply,
                    prompt,
                    cold=place == 0,
                    prompt_tokens=reader.count(prompt),
                )


def _answer(
    chat: Chat,
    question: Question,
    arm: str,
    reply: Reply,
    prompt: list[Message],
    *,
    cold: bool,
    prompt_tokens: int,
) -> Answer:
    there = Sent(prompt)
    return Answer(
        chat=chat.id,
        source=chat.source,
        arm=arm,
        question=question.text,
        reference=question.answer,
        text=reply.text,
        f1=f1(reply.text, question.answer),
        kept=all(there.has(str(chat.messages[index]["content"])) for index in question.evidence),
        cold=cold,
        prompt_tokens=prompt_tokens,
        first_ms=reply.first_ms,
        overhead_ms=reply.overhead_ms,
        note=reply.note,
    )
