"""Chats for tests of compression: generated ones, with all that makes cutting hard,
and real ones strung together."""

import random
from typing import Any

import fow_cache
from hypothesis import strategies as st

from plans.snapshot import CompressionSettings
from proxy.core.compression.results import CompressionResult

Message = dict[str, Any]
MODEL = "gpt-4o-mini"


def plan(engine: str = "text_rank", budget: int = 300, **more: Any) -> CompressionSettings:
    return CompressionSettings(engine=engine, max_input_tokens=budget, **more)


def support_history(chats: int) -> list[Message]:
    """Real chats of a support desk strung together, with a question at the end."""
    history = [message for chat in fow_cache.load_conversations()[:chats] for message in chat["a"]]
    return [
        {"role": "system", "content": "You help customers."},
        *history,
        {"role": "user", "content": "What did we agree on?"},
    ]


def sent(cut: CompressionResult, messages: list[Message]) -> list[Message]:
    return messages if cut.messages is None else cut.messages


def tool_turn(call_ids: list[str], result: str) -> list[Message]:
    calls = [
        {"id": call_id, "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
        for call_id in call_ids
    ]
    return [
        {"role": "assistant", "content": None, "tool_calls": calls},
        *({"role": "tool", "tool_call_id": call_id, "content": result} for call_id in call_ids),
    ]


def talk(seed: int, exchanges: int, *, tools: bool = True) -> list[Message]:
    """A chat of that many exchanges and a last question:
    user and assistant take turns, some answers after calls of tools."""
    source = random.Random(seed)
    messages: list[Message] = (
        [{"role": "system", "content": "You help."}] if source.random() < 0.7 else []
    )
    for _ in range(exchanges):
        messages.append({"role": "user", "content": _said(source)})
        if tools and source.random() < 0.3:
            messages += tool_turn(["a", "b"][: source.randrange(1, 3)], _said(source))
        messages.append({"role": "assistant", "content": _said(source)})
    return [*messages, {"role": "user", "content": "What about the refund of my order?"}]


_NOUNS = (
    "order",
    "refund",
    "parcel",
    "price",
    "invoice",
    "account",
    "card",
    "label",
    "shop",
    "address",
)
_VERBS = (
    "arrived",
    "was sent",
    "is late",
    "changed",
    "was lost",
    "is blocked",
    "costs 4.50",
    "was paid on 3.4.2026",
)


def _said(source: random.Random) -> str:
    count = source.choice((1, 1, 2, 3, 8))
    sentences = [
        f"The {source.choice(_NOUNS)} {source.randrange(900)} {source.choice(_VERBS)}."
        for _ in range(count)
    ]
    return source.choice((" ", "\n")).join(sentences)


# ---------------------------------------------------------------- generated

BITS = (
    *(
        "The order is late.",
        "Refund it!\n",
        "```\nx = 1\n```\n",
        "- a\n- b\n",
        "你好。",
        "Why? ",
        "e.g. 3.5 kg",
        "\n",
        "…",
        "> quoted",
    ),
    *(
        "\nAssistant: I promise a refund.",
        "\r\n  **user**: yes",
        "\nAnn: I am Ann.",
        "\u2028TOOL: 4711",
        "Noted.",
        "\x00",
        "\ud800",
    ),
    *(
        "\n[Earlier in this conversation",
        "\n[From earlier in this conversation, for the message that follows]",
    ),
    *("\x85Bob Lee : no", "यह है।", "نعم؟"),
)
TEXT = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(BITS), max_size=12).map(" ".join))
PARTS = st.lists(
    st.one_of(
        TEXT.map(lambda text: {"type": "text", "text": text}),
        st.just(
            {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}}
        ),
    ),
    max_size=3,
)
NAMES = st.sampled_from(
    (
        {},
        {},
        {},
        {"name": "Ann"},
        {"name": "Bob Lee"},
        {"name": "assistant"},
        {"name": "x: y"},
        {"name": "Ann\nUser"},
    )
)
SAID = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["user", "assistant"]),
    st.one_of(TEXT, PARTS),
)
NAMED = st.builds(lambda message, name: message | name, SAID, NAMES)
SYSTEM = TEXT.map(lambda text: [{"role": "system", "content": text}])
CACHED = st.builds(
    lambda role, text: [
        {
            "role": role,
            "content": [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}],
        }
    ],
    st.sampled_from(["user", "assistant"]),
    TEXT,
)
TOOLS = st.builds(
    tool_turn,
    st.lists(st.sampled_from(["c1", "c2", "c3"]), min_size=1, max_size=3, unique=True),
    TEXT,
)
_one = NAMED.map(lambda message: [message])
CHATS = st.lists(st.one_of(_one, _one, _one, SYSTEM, CACHED, TOOLS), max_size=12).map(
    lambda turns: [m for turn in turns for m in turn]
)


def _cached(message: Message) -> Message:
    content = message["content"]
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    return message | {
        "content": [
            *parts,
            {"type": "text", "text": "guide", "cache_control": {"type": "ephemeral"}},
        ]
    }


@st.composite
def exchanges(draw: st.DrawFn) -> list[Message]:
    """User and assistant take turns, beginning and ending with the user;
    some messages are cached, some answers come after tools."""
    messages: list[Message] = draw(st.one_of(st.just([]), SYSTEM))
    for _ in range(draw(st.integers(0, 9))):
        asked = {"role": "user", "content": draw(st.one_of(TEXT, PARTS))} | draw(NAMES)
        answer = {"role": "assistant", "content": draw(TEXT)}
        tools = draw(st.one_of(st.just([]), st.just([]), TOOLS))
        messages += [
            draw(st.sampled_from((asked, asked, _cached(asked)))),
            *tools,
            draw(st.sampled_from((answer, answer, _cached(answer)))),
        ]
    return [*messages, {"role": "user", "content": draw(TEXT)}]


TOWNS = "Oslo Bergen Turku Gdansk Riga Tartu Malmo Aarhus Narvik Bodo".split()


def journeys(turns: int) -> list[Message]:
    """A chat in which each turn tells of a journey, by a train with a number of its own."""
    messages: list[Message] = []
    for turn in range(turns):
        town = TOWNS[turn % len(TOWNS)]
        messages.append(
            {
                "role": "user",
                "content": (
                    f"On day {turn} I took the train number {1000 + 7 * turn} to "
                    f"{town} with my sister."
                ),
            }
        )
        messages.append(
            {
                "role": "assistant",
                "content": f"Noted, train {1000 + 7 * turn}. A hotel near the harbour of {town}?",
            }
        )
    return messages
