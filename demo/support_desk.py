"""The demo's own traffic, from the data of the PyPI package fow-cache (CC BY 4.0, Mabon ap Gwyn):
short questions and long chats.

Repeats follow Zipf's law, as questions at a support desk do: the r-th most popular is asked in
proportion to 1/r^s. Everything is drawn from one seeded source, so every run sends the same
requests in the same order.
"""

import random
from collections.abc import Sequence
from typing import Any, TypeVar

import fow_cache

from demo.labels import Labels
from demo.question import FAQ_PLAN, GUIDE_PLAN, Message, Question
from proxy.core.tokens import count_prompt_tokens

SEED = 20_261
QUESTIONS, CHATS = 800, 320  # requests of each kind
HISTORIES_PER_DESK = 40
# The three domains of the data, each taken for one company's desk.
DESKS = ("billing", "retail", "services")
LEAST, MOST = 8_000, 15_000  # tokens of a whole prompt
STREAMED = 0.25
ENCODING = "o200k_base"  # of gpt-4o-mini
Row = dict[str, Any]
T = TypeVar("T")


def load() -> list[Question]:
    """All requests in the order they are sent: the short questions, then the long chats."""
    source = random.Random(SEED)
    return [*short_questions(source), *long_chats(source)]


def short_questions(source: random.Random) -> list[Question]:
    """Questions of the judged pairs, either side of a pair, popular pairs more often."""
    rows = [row for row in fow_cache.load_questions() if not row.get("ambiguous")]
    names: dict[str, str] = {}  # identical texts, of which the data have some, are one question
    for row in rows:
        for side in "ab":
            names.setdefault(row[side], f"{row['id']} {side}")
    labels = Labels((names[row["a"]], names[row["b"]], row["same_answer"]) for row in rows)
    drawn = zipf(source, rows, QUESTIONS, exponent=0.9)
    texts = [row[source.choice("ab")] for row in drawn]
    return [
        Question(
            plan=FAQ_PLAN,
            messages=[{"role": "user", "content": text}],
            label=labels.label(names[text]),
            differs=labels.differs(names[text]),
            stream=source.random() < STREAMED,
        )
        for text in texts
    ]


def long_chats(source: random.Random) -> list[Question]:
    """Histories of one desk's chats strung together, each asked its final question several times
    and in several wordings."""
    rows = [row for row in fow_cache.load_conversations() if not row.get("ambiguous")]
    histories = []
    for desk in DESKS:
        own = [row for row in rows if desk in row["id"].split("-")]
        for final in source.sample(own, HISTORIES_PER_DESK):
            earlier = [row[source.choice("ab")] for row in own if row is not final]
            histories.append(_variants(_history(source, desk, earlier, final), final))
    source.shuffle(histories)
    return [
        Question(plan=GUIDE_PLAN, messages=messages, label=label, stream=source.random() < STREAMED)
        for messages, label in (
            source.choice(variants) for variants in zipf(source, histories, CHATS, exponent=0.6)
        )
    ]


def zipf(source: random.Random, items: Sequence[T], count: int, *, exponent: float) -> list[T]:
    """Draw `count` items with replacement, the r-th of a shuffled order in proportion
    to 1/r^exponent."""
    order = source.sample(list(items), len(items))
    return source.choices(order, [1 / rank**exponent for rank in range(1, len(order) + 1)], k=count)


def _history(
    source: random.Random, desk: str, chats: list[list[Message]], final: Row
) -> list[Message]:
    """The system message and earlier chats that fill a prompt to a random size,
    leaving room for the final chat."""
    room = max(count_prompt_tokens(final[side], ENCODING) for side in "ab")
    size = source.uniform(LEAST + 1_000, MOST) - room
    history: list[Message] = [
        {
            "role": "system",
            "content": (
                f"You answer for the {desk} support desk. Use the conversation so far; be "
                "brief and exact."
            ),
        }
    ]
    used = count_prompt_tokens(history, ENCODING)
    for chat in source.sample(chats, len(chats)):
        answered = chat[:-1]  # the last message of a chat in the data has no answer
        tokens = count_prompt_tokens(answered, ENCODING)
        if used + tokens <= size:
            history += answered
            used += tokens
    return history


def _variants(history: list[Message], final: Row) -> list[tuple[list[Message], str]]:
    """The final chat in both of its versions after the same history;
    when both ask the same, also the first with the second's last words.

    A version with another answer has another label: a hit between the two is wrong.
    """
    a, b = final["a"], final["b"]
    if not final["same_answer"]:
        return [(history + a, f"{final['id']} a"), (history + b, f"{final['id']} b")]
    return [(history + chat, final["id"]) for chat in (a, b, [*a[:-1], b[-1]])]
