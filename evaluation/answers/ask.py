"""One question through the gateway with the official SDK, as it streams in,
and what the gateway sent of its history."""

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

import httpx
from openai import OpenAI

from demo.replay import ROUTE
from proxy.core.types import Message

MAX_TOKENS = 32
STOP = ["\n", "USER:"]  # the model goes on as the other speaker
SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Door:
    """A gateway's address and keys."""

    url: str
    virtual_key: str
    admin_key: str


@dataclass(frozen=True, slots=True)
class Reply:
    """`first_ms`: from sending the request to the first text of the answer, at the client,
    or to the end of an empty answer. `overhead_ms`: what the gateway says it added; `note`: what it
    says of a compression that went otherwise than planned."""

    text: str
    first_ms: float
    overhead_ms: float
    note: str


def ask(door: Door, messages: list[Message], plan: str | None) -> Reply:
    """Raises openai.APIError."""
    # by extra_body, as they are: the SDK would walk hundreds of messages by their type hints, which
    # takes longer than the gateway
    extra = {"messages": messages} | ({"token_saving_plan_id": plan} if plan else {})
    with closing(
        OpenAI(base_url=f"{door.url}/v1", api_key=door.virtual_key, max_retries=0, timeout=SECONDS)
    ) as sdk:
        started = time.perf_counter()
        streamed = sdk.chat.completions.with_raw_response.create(
            model=ROUTE,
            messages=(),
            stream=True,
            temperature=0,
            seed=0,
            max_tokens=MAX_TOKENS,
            stop=STOP,
            extra_body=extra,
        )
        first, parts = 0.0, list[str]()
        for chunk in streamed.parse():
            parts += [choice.delta.content for choice in chunk.choices if choice.delta.content]
            if parts and not first:
                first = time.perf_counter()
        return _reply("".join(parts), (first or time.perf_counter()) - started, streamed.headers)


def _reply(text: str, seconds: float, headers: Mapping[str, str]) -> Reply:
    overhead = float(headers["x-tokenthrift-overhead-ms"])
    return Reply(
        text.strip(),
        round(1000 * seconds, 1),
        overhead,
        headers.get("x-tokenthrift-compression-note", ""),
    )


def sent(door: Door, messages: list[Message], plan: str | None) -> list[Message]:
    """What the provider gets of these messages. Raises httpx.HTTPStatusError."""
    if plan is None:
        return messages
    url, headers = (
        f"{door.url}/token-saving/plans/{plan}/preview",
        {"authorization": f"Bearer {door.admin_key}"},
    )
    reply = httpx.post(
        url, json={"messages": messages, "model": ROUTE}, headers=headers, timeout=60
    )
    found: list[Message] = reply.raise_for_status().json()["messages"]
    return found
