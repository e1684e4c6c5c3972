"""The verifier of chats with the files that ship: its contract, and what it must not confuse."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from proxy.core.errors import ToolUnavailable
from proxy.core.verification.chat_decision import ComparedChat
from proxy.core.verification.chat_features import CHAT_FEATURES
from proxy.engines.verifiers.chat_weights import load_chat_weights
from proxy.engines.verifiers.chats import AlignmentChatVerifier
from tests.core.verification.test_conversation import chat

FLOWERS = [
    "I'd like a bunch of tulips for my mother, 20 stems",
    "Lovely. Which colour, and where shall we bring them?",
    "Yellow. She lives in Totnes, the bell on the left",
    "Noted: 20 yellow tulips to Totnes, left-hand bell.",
    "so when will she get them?",
]
TRIP = [
    "I would like to fly from Seattle to Oslo on Friday.",
    "There is one at 9 in the morning.",
    "Paint the case red for the trip.",
    "It will be red.",
    "Paint the case blue for the trip.",
    "It will be blue.",
    "How much luggage may I take?",
]
CHATTER = ["sorry, doorbell, back in a sec", "Take your time, I'm not going anywhere."]
OTHERS = {
    "another plain word": [*FLOWERS[:2], FLOWERS[2].replace("left", "right"), *FLOWERS[3:]],
    "another colour throughout": [text.replace("ellow", "hite") for text in FLOWERS],
    "another place, and chatter": [text.replace("Totnes", "Exeter") for text in FLOWERS],
    "another chat": [
        "My washing machine leaks from the door",
        "Is the seal damaged?",
        "yes, there's a small tear in it",
        "Then the seal needs replacing.",
        FLOWERS[4],
    ],
    "nothing before": [FLOWERS[4]],
}


@pytest.fixture
def verifier(models: Path) -> AlignmentChatVerifier:
    return AlignmentChatVerifier(models)


async def compare(
    verifier: AlignmentChatVerifier, asked: Sequence[str], stored: Sequence[str]
) -> str:
    chats = []
    for texts in (asked, stored):
        reading = await verifier.read_chat(chat(*texts))
        assert reading is not None
        chats.append(ComparedChat(texts[-1], reading))
    return (
        await verifier.veto_other_words(chats[0], chats[1], "Tomorrow.", ignores_asides=True) or ""
    )


async def test_chatter_makes_no_other_chat_of_the_one_asked(
    verifier: AlignmentChatVerifier,
) -> None:
    told = [*FLOWERS[:2], *CHATTER, *FLOWERS[2:]]
    assert await compare(verifier, FLOWERS, told) == "history"
    assert await compare(verifier, told, FLOWERS) == ""


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
async def test_another_chat_is_not_taken_for_this_one(
    verifier: AlignmentChatVerifier, other: list[str]
) -> None:
    assert await compare(verifier, FLOWERS, other)
    if len(other) > 1:
        assert await compare(verifier, [*CHATTER, *other], FLOWERS)


@pytest.mark.parametrize(
    "other",
    [
        [TRIP[0].replace("from Seattle to Oslo", "from Oslo to Seattle"), *TRIP[1:]],
        [*TRIP[:2], *TRIP[4:6], *TRIP[2:4], TRIP[6]],
    ],
    ids=["the way back", "another last wish"],
)
async def test_the_same_words_in_another_order_are_another_chat(
    verifier: AlignmentChatVerifier, other: list[str]
) -> None:
    assert await compare(verifier, TRIP, other)
    assert await compare(verifier, other, TRIP)


async def test_a_long_chat_with_another_word_in_one_turn_is_another(
    verifier: AlignmentChatVerifier,
) -> None:
    talk = [
        text
        for number in range(20)
        for text in (f"my shelf {number} is too narrow for books", f"Shelf {number} can be wider.")
    ]
    one, other = (
        [*talk, f"I take the {word} curtains", "Good choice."] for word in ("red", "blue")
    )
    assert await compare(verifier, [*one, "what do they cost?"], [*other, "what do they cost?"])


async def test_texts_in_no_known_words_are_other_chats(verifier: AlignmentChatVerifier) -> None:
    ends = ["Verstanden.", "Wann kommt das?"]
    told = [["Ich nehme die rote Lampe.", *ends], ["Ich nehme die blaue Lampe.", *ends]]
    assert await compare(verifier, *told)
    assert await compare(
        verifier,
        ["我要红色的灯。", "好的。", "什么时候到？"],
        ["我要蓝色的灯。", "好的。", "什么时候到？"],
    )


async def test_what_would_be_late_is_refused(verifier: AlignmentChatVerifier) -> None:
    long = chat(*(["I need a cab to Oakland. It must be a large one."] * 60), "When does it come?")
    for _ in range(2):  # the first loads the table
        await verifier.read_chat(long)
    first = asyncio.create_task(verifier.read_chat(long))
    await asyncio.sleep(0)
    with pytest.raises(ToolUnavailable) as refused:
        await verifier.read_chat(long, within=0.0)
    assert refused.value.skipped
    assert await first is not None


async def test_without_its_words_it_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(ToolUnavailable, match="prepare_embedder"):
        await AlignmentChatVerifier(tmp_path).read_chat(chat("Hello?"))


async def test_closed_it_refuses(verifier: AlignmentChatVerifier) -> None:
    await verifier.close()
    with pytest.raises(ToolUnavailable):
        await verifier.read_chat(chat("Hello?"))


def test_the_committed_weights_are_of_the_features() -> None:
    weights = load_chat_weights()
    assert weights.trees.features.max() < len(CHAT_FEATURES)
    assert weights.cut >= 0


def test_weights_of_other_features_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    path.write_text('{"features": ["a"], "cut": 0, "offset": 0, "trees": []}')
    with pytest.raises(ValueError, match="train_conversations"):
        load_chat_weights(path)
