"""A stream of questions that turns hostile half way, sent through a running gateway,
and what its statistics say meanwhile."""

import asyncio
import gzip
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from demo.replay import ROUTE

AT_ONCE = 4
WATCH_SECONDS = 0.2
SEED = 20260101


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and what its answer depends on."""

    text: str
    truth: str


@dataclass(frozen=True, slots=True)
class Served:
    """One reply: the tier it came from, and whether it was meant for another truth.

    `at` by the monotonic clock, when it arrived.
    """

    tier: str
    wrong: bool
    at: float


@dataclass(frozen=True, slots=True)
class Seen:
    """The plan's error budget as its statistics showed it after so many replies."""

    replies: int
    budget: dict[str, Any]


def questions(data: Path, *, hostile: float, count: int | None) -> list[Asked]:
    """The FAQ stream in its order.

    In its second half the share `hostile` of the questions has a truth of its own each.
    """
    with gzip.open(data / "faq_stream.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines][:count]
    source = random.Random(SEED)  # noqa: S311 -- the same stream every time
    return [
        Asked(
            row["query"],
            f"{row['intent']} {number}"
            if 2 * number >= len(rows) and source.random() < hostile
            else row["intent"],
        )
        for number, row in enumerate(rows)
    ]


async def send(
    url: str, keys: dict[str, str], plan: str, asked: Sequence[Asked]
) -> tuple[list[Served], list[Seen]]:
    """Send them in order, a few at once, and look at the statistics five times a second.

    Raises httpx.HTTPError.
    """
    waiting, served, seen = iter(asked), list[Served](), list[Seen]()
    async with httpx.AsyncClient(base_url=url, timeout=120) as client, asyncio.TaskGroup() as group:
        watching = group.create_task(_watch(client, keys["admin_key"], plan, served, seen))
        await asyncio.gather(
            *(_work(client, keys["virtual_key"], plan, waiting, served) for _ in range(AT_ONCE))
        )
        await asyncio.sleep(3)  # the last samples and their way into the statistics
        watching.cancel()
        seen.append(await _look(client, keys["admin_key"], plan, len(served)))
    return served, seen


async def _work(
    client: httpx.AsyncClient, key: str, plan: str, waiting: Iterator[Asked], served: list[Served]
) -> None:
    for question in waiting:
        body = {
            "model": ROUTE,
            "messages": [{"role": "user", "content": question.text}],
            "metadata": {"truth": question.truth},
            "token_saving_plan_id": plan,
        }
        reply = await client.post(
            "/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}
        )
        reply.raise_for_status()
        wrong = reply.json()["system_fingerprint"] != question.truth
        served.append(Served(reply.headers["x-tokenthrift-cache"], wrong, time.monotonic()))


async def _watch(
    client: httpx.AsyncClient, key: str, plan: str, served: list[Served], seen: list[Seen]
) -> None:
    while True:
        seen.append(await _look(client, key, plan, len(served)))
        await asyncio.sleep(WATCH_SECONDS)


async def _look(client: httpx.AsyncClient, key: str, plan: str, replies: int) -> Seen:
    reply = await client.get(
        f"/token-saving/plans/{plan}/stats", headers={"authorization": f"Bearer {key}"}
    )
    reply.raise_for_status()
    return Seen(replies, reply.json()["detail"]["error_budget"])
