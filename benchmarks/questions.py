"""The chats that are sent: a short system prompt and one question,
as a customer of a shop asks it."""

import itertools
from collections.abc import Sequence
from typing import Any

import orjson

from benchmarks.wire import Request, Requests, post
from demo.replay import ROUTE

Message = dict[str, Any]
SYSTEM: Message = {"role": "system", "content": "You help customers of a shop."}
HOT = 100  # different questions that exact hits are spread over


def ask(question: str, *, before: Sequence[Message] = (), **fields: Any) -> dict[str, Any]:
    """The body of a chat that ends in the question."""
    messages = [SYSTEM, *before, {"role": "user", "content": question}]
    return {"model": ROUTE, "messages": messages, **fields}


def chat(
    url: str,
    question: str,
    *,
    key: str = "",
    plan: str | None = None,
    before: Sequence[Message] = (),
    **fields: Any,
) -> Request:
    """One request, with what was said `before`; its answer must be signed with the question."""
    body = ask(question, before=before, **fields)
    if plan:
        body["token_saving_plan_id"] = plan
    return post(url, orjson.dumps(body), key=key, sign=question.encode())


def hot(url: str, *, key: str, plan: str, **fields: Any) -> Sequence[Request]:
    """Questions that are asked again and again."""
    return [
        chat(url, f"How do I return the {name(number)} lamp?", key=key, plan=plan, **fields)
        for number in range(HOT)
    ]


_numbers = itertools.count(HOT)


def fresh(url: str, **fields: Any) -> Requests:
    """Questions never asked before, without end."""
    blank = name(0)
    payload, sign = chat(url, f"How do I return the {blank} lamp?", **fields)
    before, after = payload.split(blank.encode())
    first, last = sign.split(blank.encode())
    while True:
        word = name(next(_numbers)).encode()
        yield Request(before + word + after, first + word + last)


def name(number: int) -> str:
    """A product's name of ten letters, another one for each number:
    digits would look like an order number, which no cache compares."""
    letters = []
    for _ in range(5):
        number, place = divmod(number, len(_SYLLABLES))
        letters.append(_SYLLABLES[place])
    return "".join(letters).title()


_SYLLABLES = [consonant + vowel for consonant in "bdfghklmnprstvz" for vowel in "aeiou"]
