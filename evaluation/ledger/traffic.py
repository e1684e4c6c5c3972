"""Mixed requests through a gateway whose workers are killed meanwhile:
what is asked, by whom, and how clients behave."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from evaluation.ledger.accounts import PLANS
from evaluation.ledger.provider import PRICES, SLOW

AT_ONCE = 24
PATIENCE = 60.0
REPEATS = 250  # one known question to so many requests, asked again and again
# What a client does, and how often in a hundred.
KINDS = {
    "again": 34,
    "again_streamed": 16,
    "new": 18,
    "new_streamed": 16,
    "leaves_midway": 5,
    "leaves_early": 3,
    "error": 4,
    "cut": 4,
}
HISTORY = [
    {"role": role, "content": f"Turn {turn}. " + "All of this was said before. " * 8}
    for turn, role in enumerate(("user", "assistant"))
]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: the tenant's key, what is asked, and what its client does."""

    key: str
    kind: str
    body: dict[str, object]


def requests(number: int, keys: Sequence[str], *, seed: int) -> Iterator[Asked]:
    """So many, the same ones for the same seed."""
    dice, known = random.Random(seed), max(1, number // REPEATS)  # noqa: S311 -- repeatable on purpose
    for place in range(number):
        kind = dice.choices(list(KINDS), list(KINDS.values()))[0]
        mark = {
            "leaves_midway": "[slow] ",
            "leaves_early": "[slow] ",
            "error": "[error] ",
            "cut": "[cut] ",
        }.get(kind, "")
        text = (
            f"{mark}What is item {dice.randrange(known)}?"
            if kind.startswith("again")
            else f"{mark}What is number {seed}-{place}?"
        )
        history = HISTORY if dice.random() < 0.2 else []
        body: dict[str, object] = {
            "model": f"books/{dice.choice(list(PRICES))}",
            "messages": [*history, {"role": "user", "content": text}],
            "stream": kind in ("again_streamed", "new_streamed", "leaves_midway", "cut"),
        }
        plan = dice.choice([*PLANS, None])
        if plan is not None:
            body["token_saving_plan_id"] = plan
        yield Asked(dice.choice(list(keys)), kind, body)


async def send(url: str, asked: Iterator[Asked]) -> Counter[str]:
    """Send them all, `AT_ONCE` at a time; how many ended in which way.

    A worker that dies takes its connections along: that is one way.
    """
    ends: Counter[str] = Counter()
    # A new connection each time: workers share them evenly.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with (
        aiohttp.ClientSession(f"{url}/", connector=connector, timeout=timeout) as session,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(AT_ONCE):
            group.create_task(_work(session, asked, ends))
    return ends


async def _work(session: aiohttp.ClientSession, asked: Iterator[Asked], ends: Counter[str]) -> None:
    for each in asked:
        try:
            ends[await _ask(session, each)] += 1
        except TimeoutError:
            ends["timed out"] += 1
        except aiohttp.ClientError:
            ends["connection lost"] += 1
            await asyncio.sleep(0.05)


async def _ask(session: aiohttp.ClientSession, asked: Asked) -> str:
    headers = {"authorization": f"Bearer {asked.key}"}
    if asked.kind == "leaves_early":
        with suppress(TimeoutError):
            async with asyncio.timeout(SLOW / 2):
                async with session.post(
                    "v1/chat/completions", json=asked.body, headers=headers
                ) as reply:
                    await reply.read()
        return "left early"
    async with session.post("v1/chat/completions", json=asked.body, headers=headers) as reply:
        if asked.kind == "leaves_midway":
            await reply.content.readany()
            await asyncio.sleep(SLOW * 1.5)
            return "left midway"
        await reply.read()
        tier = reply.headers.get("x-tokenthrift-cache", "-")
        return f"{reply.status} {tier}"


async def kill(
    workers: Callable[[], list[int]], *, every: float, most: float, seed: int, done: asyncio.Event
) -> int:
    """Until `done`, SIGKILL one of the workers at random,
    after a random time of `every` seconds on average, `most` of them; how many were killed."""
    dice, killed = random.Random(seed), 0  # noqa: S311 -- likewise
    while killed < most:
        with suppress(TimeoutError):
            async with asyncio.timeout(dice.expovariate(1 / every)):
                await done.wait()
                return killed
        if len(alive := workers()) > 1:  # one goes on serving
            with suppress(ProcessLookupError):
                os.kill(dice.choice(alive), signal.SIGKILL)
                killed += 1
    return killed
