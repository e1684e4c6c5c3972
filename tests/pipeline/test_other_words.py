"""Chats told in other words, under `context: window`: who decides, and what is a miss."""

from dataclasses import replace
from typing import Any

import msgpack
import numpy as np
import pytest

from plans.snapshot import CacheSettings
from proxy.core.verification.chat_reading import read_chat
from proxy.core.verification.conversation import unpack_chat, unpack_chat_reading
from tests.core.verification.test_conversation import chat
from tests.pipeline.test_chain_context import asking, tier
from tests.support.entries import decode, encode
from tests.support.fakes import FakeChatVerifier, World, ask, full_plan

TOLD = ["I moved to Leeds and need a doctor.", "We have Dr Osei.", "When can I see her?"]
RETOLD = ["Hello, I need a GP, I live in Leeds now.", "Dr Osei is free.", "When can I see her?"]


@pytest.fixture(autouse=True, scope="module")
def read_once() -> None:
    """The first reading loads dictionaries, for longer than a request waits."""
    read_chat(chat(*TOLD), lambda texts: np.ones((len(texts), 4), dtype=np.float32))


def world_of(verifier: FakeChatVerifier | None = None, **fields: Any) -> World:
    world = World(
        plan=full_plan(cache=CacheSettings(context="window", **fields)),
        chat_verifier=verifier or FakeChatVerifier(),
    )
    world.embedder.same = True
    return world


async def test_chats_in_other_words_share_an_answer_if_the_verifier_has_nothing_against_it() -> (
    None
):
    world = world_of()
    assert await tier(world, *TOLD) == "miss"
    assert await tier(world, *RETOLD) == "semantic"
    assert world.chat_verifier is not None
    assert world.chat_verifier.compared == [(RETOLD[2], TOLD[2], "Answer 0.")]


@pytest.mark.parametrize(("threshold", "ignored"), [(0.85, False), (0.8, True)])
async def test_what_is_said_besides_is_ignored_below_the_strict_threshold_alone(
    threshold: float, ignored: bool
) -> None:
    world = world_of(similarity_threshold=threshold)
    await tier(world, *TOLD)
    await tier(world, *RETOLD)
    assert world.chat_verifier is not None
    assert world.chat_verifier.ignores_asides is ignored


async def test_its_reason_is_the_miss_reason() -> None:
    world = world_of(FakeChatVerifier(says="history"))
    await tier(world, *TOLD)
    assert (await tier(world, *RETOLD), world.event.reason) == ("miss", "history")


async def test_chats_whose_turns_agree_are_served_without_it() -> None:
    world = world_of(FakeChatVerifier(says="history"))
    await tier(world, *TOLD)
    assert await tier(world, "Hi there, how are you?", "Fine, thanks!", *TOLD) == "semantic"
    assert world.chat_verifier is not None
    assert world.chat_verifier.compared == []


async def test_the_last_questions_must_agree_all_the_same() -> None:
    world = world_of()
    await tier(world, *TOLD)
    assert await tier(world, *RETOLD[:2], "When can I not see her?") == "miss"
    assert world.event.reason == "negation"
    world.verifier.says = 0.84
    assert await tier(world, *RETOLD[:2], "What day is she in?") == "miss"


@pytest.mark.parametrize("verifier", [FakeChatVerifier(down=True), FakeChatVerifier(reads=False)])
async def test_without_a_reading_the_turns_must_agree_one_by_one(
    verifier: FakeChatVerifier,
) -> None:
    world = world_of(verifier)
    await tier(world, *TOLD)
    assert (await tier(world, *RETOLD), world.event.reason) == ("miss", "history-reply")
    assert await tier(world, "Hi there, how are you?", "Fine, thanks!", *TOLD) == "semantic"


async def test_a_plan_that_compares_cosines_does_not_ask_it() -> None:
    world = world_of(match="cosine")
    await tier(world, *TOLD)
    assert await tier(world, *RETOLD) == "miss"


async def test_what_was_answered_within_a_chat_never_answers_one_that_begins() -> None:
    world = world_of()
    await tier(world, *TOLD)
    assert (await tier(world, TOLD[2]), world.event.reason) == ("miss", "history-length")


async def test_an_entry_holds_what_was_read_and_one_of_a_former_version_is_compared_as_before() -> (
    None
):
    world = world_of()
    await tier(world, *TOLD)
    ((name, entry),) = world.semantic.entries.items()
    envelope = decode(entry.envelope)
    assert unpack_chat_reading(envelope.chat) is not None
    assert b"Osei" not in envelope.chat
    turns = unpack_chat(envelope.chat)
    assert turns is not None
    former = _pack_as_before(turns)
    world.semantic.entries[name] = replace(entry, envelope=encode(replace(envelope, chat=former)))
    assert (await tier(world, *RETOLD), world.event.reason) == ("miss", "history-reply")
    assert await tier(world, "Hi there, how are you?", "Fine, thanks!", *TOLD) == "semantic"


def _pack_as_before(turns: Any) -> bytes:
    packed: bytes = msgpack.packb(
        [turns.user_turns, turns.replies_digest, turns.is_standalone, turns.has_history]
    )
    return packed


async def test_a_chat_looks_at_eight_candidates() -> None:
    world = world_of(FakeChatVerifier(says="history"))
    for number in range(10):
        await tier(world, f"My room {number} is cold.", f"Room {number} is noted.", TOLD[2])
    await tier(world, *RETOLD)
    assert world.chat_verifier is not None
    assert len(world.chat_verifier.compared) >= 8
    world.chat_verifier.compared.clear()
    await ask(world, asking(TOLD[2]))
    assert len(world.chat_verifier.compared) == 0


async def test_a_question_that_reads_complete_is_embedded_alone() -> None:
    world = world_of()
    await tier(world, "My rent went out twice.", "We refund it.", "What's your office address?")
    assert world.embedder.texts == ["What's your office address?"]
