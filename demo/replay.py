"""Send the questions through the gateway with the official openai SDK and write down
what came back."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from openai import APIError, AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk

from demo.answers import label_in
from demo.question import Question

AT_ONCE = 8
ROUTE = "smart/balanced"
HIT_TIERS = ("exact", "semantic")


class ReplayError(Exception):
    """A request failed. The message says which and how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one request brought.

    `ms`: from sending to the last byte, at the client; `overhead_ms`: what the gateway says it
    added.

    `joined`: it heard another request's stream while that arrived, so that no header could tell
    what it saved. `made_for`: the label that the answer carries; None when the upstream writes
    none.
    """

    question: Question
    tier: str
    completion_id: str
    made_for: str | None
    ms: float
    overhead_ms: float
    tokens_saved: int
    cost_saved: Decimal
    compressed: bool
    joined: bool = False


@asynccontextmanager
async def client(url: str, key: str, *, retries: int = 0) -> AsyncIterator[AsyncOpenAI]:
    """The SDK as a customer sets it up: one base URL and one key.

    Without retries, every request sent is one request counted.
    """
    sdk = AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=retries, timeout=120)
    try:
        yield sdk
    finally:
        await sdk.close()


async def replay(
    sdk: AsyncOpenAI, questions: Sequence[Question], *, labelled: bool, done: Callable[[], None]
) -> list[Outcome]:
    """Send all questions in order, `AT_ONCE` at a time; call `done` after each.

    Raises ReplayError at the first failure.

    `labelled`: the upstream reads labels from `metadata`, which no cache key holds and which is
    passed on as it is.
    """
    waiting: Iterator[Question] = iter(questions)
    outcomes: list[Outcome] = []

    async def work() -> None:
        for question in waiting:  # one iterator shared by all: each question is taken once
            outcomes.append(await ask(sdk, question, labelled=labelled))
            done()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())
    except* (APIError, ReplayError) as failures:
        raise ReplayError(
            f"request {len(outcomes) + 1} of {len(questions)} failed: {failures.exceptions[0]}"
        ) from None
    return outcomes


async def ask(sdk: AsyncOpenAI, question: Question, *, labelled: bool) -> Outcome:
    """Send one question.

    Raises openai.APIError, or ReplayError when the answer lacks the gateway's headers.
    """
    # `messages` go in by extra_body, as they are: the SDK would walk hundreds of them by their type
    # hints, 0.15 s that no gateway causes
    extra: dict[str, Any] = {
        **question.parameters,
        "messages": question.messages,
        "token_saving_plan_id": question.plan,
    }
    if labelled:
        extra["metadata"] = {"label": question.label}
    create = sdk.chat.completions.with_raw_response.create
    started = time.perf_counter()
    if question.stream:
        streamed = await create(model=ROUTE, messages=(), stream=True, extra_body=extra)
        headers, completion_id, text = streamed.headers, *await _read(streamed.parse())
    else:
        whole = await create(model=ROUTE, messages=(), extra_body=extra)
        completion = whole.parse()
        headers, completion_id, text = (
            whole.headers,
            completion.id,
            completion.choices[0].message.content or "",
        )
    ms = (time.perf_counter() - started) * 1000
    return _outcome(question, headers, completion_id, label_in(text) if labelled else None, ms)


async def _read(stream: AsyncStream[ChatCompletionChunk]) -> tuple[str, str]:
    """Id and text of a streamed completion."""
    completion_id, parts = "", []
    async for chunk in stream:
        completion_id = chunk.id
        parts += [choice.delta.content or "" for choice in chunk.choices]
    return completion_id, "".join(parts)


def _outcome(
    question: Question,
    headers: Mapping[str, str],
    completion_id: str,
    made_for: str | None,
    ms: float,
) -> Outcome:
    tier = headers.get("x-tokenthrift-cache")
    if tier is None:
        raise ReplayError("the answer has no x-tokenthrift-cache header: is this the gateway?")
    return Outcome(
        question=question,
        tier=tier,
        completion_id=completion_id,
        made_for=made_for,
        ms=ms,
        overhead_ms=float(headers.get("x-tokenthrift-overhead-ms", 0)),
        tokens_saved=int(headers.get("x-tokenthrift-tokens-saved", 0)),
        cost_saved=Decimal(headers.get("x-tokenthrift-cost-saved-usd", "0")),
        compressed="x-tokenthrift-compression" in headers,
        joined="x-tokenthrift-tokens-saved" not in headers,
    )


def origins(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """Label of the question that each completion was made for:
    its provider gave it to one miss, hits repeat its id."""
    return {
        outcome.completion_id: outcome.question.label
        for outcome in outcomes
        if outcome.tier not in HIT_TIERS
    }


def answered_label(outcome: Outcome, known: Mapping[str, str]) -> str | None:
    """The label the answer carries or, from a provider that writes none,
    that of the miss which first got this completion."""
    return outcome.made_for or known.get(outcome.completion_id)
