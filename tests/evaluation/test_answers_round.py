"""The round of questions through a real gateway, to an upstream that says one thing."""

from dataclasses import dataclass, field

import pytest

from evaluation.answers.arms import ARMS, BUDGET
from evaluation.answers.ask import Door
from evaluation.answers.round import INSTRUCTION, Answer, answers
from evaluation.answers.scene import set_up
from evaluation.chats import Chat, Question
from proxy.core.tokens import count_prompt_tokens
from proxy.core.types import Message
from tests.support.gateways import Gateway
from tests.support.texts.chats import journeys
from tests.support.upstream import MockUpstream, completion

TURNS = 200
QUESTIONS = (
    Question("Where did train 1021 go?", (6,), "to Gdansk"),
    Question("Where did train 1042 go?", (12,), "Malmo"),
)


@dataclass
class Reader:
    """Counts as the gateway does."""

    forgot: int = 0
    read: list[list[Message]] = field(default_factory=list)

    def count(self, messages: list[Message]) -> int:
        self.read.append(messages)
        return count_prompt_tokens(messages, "o200k_base")

    def forget(self) -> None:
        self.forgot += 1


@pytest.fixture(scope="module")
def door(gateway: Gateway) -> Door:
    opened = Door(gateway.url, gateway.virtual_key, gateway.admin_key)
    set_up(opened, ARMS)
    return opened


def test_every_question_is_asked_by_every_arm_and_judged_by_what_was_sent(
    door: Door, upstream: MockUpstream
) -> None:
    upstream.says, upstream.requests = completion("To Gdansk!"), []
    reader = Reader()
    given = list(
        answers(door, reader, [Chat("trains", "trains", journeys(TURNS), QUESTIONS)], ARMS)
    )
    assert [(answer.arm, answer.cold) for answer in given] == [
        (name, cold) for name in ARMS for cold in (True, False)
    ]
    assert [answer.f1 for answer in given] == [1.0, 0.0] * 3
    assert reader.forgot == len(ARMS)
    # what was counted and searched for evidence is what the provider got
    assert reader.read == [request["messages"] for request in upstream.requests]
    assert all(
        request["messages"][-1]["content"].endswith(f"?\n{INSTRUCTION}")
        for request in upstream.requests
    )
    assert all(
        (request["temperature"], request["stream"]) == (0, True) for request in upstream.requests
    )
    full, compressed, trimmed = (by_arm(given, name) for name in ARMS)
    assert all(answer.kept and answer.prompt_tokens > BUDGET for answer in full)
    assert all(answer.kept and answer.prompt_tokens <= BUDGET for answer in compressed)
    assert all(answer.prompt_tokens <= BUDGET and not answer.note for answer in trimmed)


def test_each_chat_begins_with_another_arm(door: Door, upstream: MockUpstream) -> None:
    upstream.says = completion("Malmo")
    chats = [Chat(str(number), "trains", journeys(4), QUESTIONS[:1]) for number in range(3)]
    first = {
        answer.chat: answer.arm for answer in reversed(list(answers(door, Reader(), chats, ARMS)))
    }
    assert set(first.values()) == set(ARMS)


def test_the_first_text_is_timed_not_the_last(door: Door, upstream: MockUpstream) -> None:
    upstream.says = completion("one two three four five six seven eight nine ten")
    upstream.pause = 0.5  # between role, text, finish, usage and end
    try:
        (given,) = answers(
            door, Reader(), [Chat("0", "trains", journeys(4), QUESTIONS[:1])], {"full": None}
        )
    finally:
        upstream.pause = 0.0
    assert 500 <= given.first_ms < 1500


def by_arm(given: list[Answer], name: str) -> list[Answer]:
    return [answer for answer in given if answer.arm == name]
