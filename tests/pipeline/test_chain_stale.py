"""Expired answers: served at once while one call fetches the next, or where the provider fails;
marked, and billed once."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest

from plans.snapshot import CacheSettings
from proxy.core.answers import CachedAnswer
from proxy.core.errors import UpstreamTimeout, UpstreamUnreachable
from proxy.pipeline import chain
from proxy.pipeline.explain import explain_request
from proxy.pipeline.stages.authenticate import authenticate
from stats.events import Event
from tests.support.entries import decode, encode
from tests.support.fakes import FakeReply, World, ask, body, chunks_of, completion, full_plan

OLD, NEW = completion("old"), completion("new")


def world(*, swr: int = 0, sie: int = 0, backend: str | None = None) -> World:
    cache = CacheSettings(
        ttl=60, ttl_jitter=0, stale_while_revalidate=swr, stale_if_error=sie, backend=backend
    )
    made = World(plan=full_plan(cache=cache))
    made.upstream.says = OLD
    return made


def age(made: World, seconds: float) -> None:
    """Let the stored entries become older by so much."""
    for key, value in made.exact.entries.items():
        old = decode(value)
        made.exact.entries[key] = encode(
            replace(old, created_at=old.created_at - seconds, expires_at=old.expires_at - seconds)
        )
    made.tools.local_cache.clear()


async def expired(by: float = 5, **settings: Any) -> World:
    """A world with one entry, which expired so many seconds ago;
    the provider would say something new now."""
    made = world(**settings)
    await ask(made, body())
    age(made, 60 + by)
    made.upstream.says = NEW
    return made


def bill(event: Event) -> tuple[Any, ...]:
    return (
        event.attempts,
        event.prompt_tokens,
        event.completion_tokens,
        event.billed_cost,
        event.would_cost,
        event.tokens_saved,
    )


PAID = (1, 100, 10, Decimal("0.00012"), Decimal("0.00012"), 0)


# While a new answer is fetched


async def test_an_expired_answer_is_served_marked_and_renewed_for_the_next() -> None:
    made = await expired(swr=30)
    client = await ask(made, body())
    assert orjson.loads(client.received) == OLD
    assert client.headers["x-tokenthrift-cache"] == "exact"
    assert client.headers["x-tokenthrift-stale"] == "revalidating"
    assert client.headers["cache-status"].startswith("tokenthrift; hit; ttl=-")
    assert client.headers["cache-status"].endswith("; detail=stale")
    assert 64 <= int(client.headers["age"]) <= 67
    again = await ask(made, body())
    assert orjson.loads(again.received) == NEW
    assert "x-tokenthrift-stale" not in again.headers
    assert again.headers["cache-status"].endswith("detail=exact")


async def test_the_one_that_fetches_pays_for_it_in_its_own_event() -> None:
    made = await expired(swr=30)
    client = await ask(made, body())
    assert (
        client.headers["x-tokenthrift-tokens-saved"],
        client.headers["x-tokenthrift-cost-saved-usd"],
    ) == ("0", "0")
    event = made.event
    assert (event.tier, event.stale, event.reason, event.status, event.outcome) == (
        "exact",
        True,
        "stale-revalidating",
        200,
        "ok",
    )
    assert bill(event) == PAID
    assert event.served_tokens == 10
    assert len(made.ledger.events) == len(made.ledger.attempts) == len(made.upstream.bodies) == 2
    assert {attempt.event_id for attempt in made.ledger.attempts} == {
        each.event_id for each in made.ledger.events
    }


async def test_the_client_does_not_wait_for_the_new_answer_and_the_event_does() -> None:
    made = await expired(swr=30)
    go = asyncio.Event()
    send = made.upstream.send

    async def slow(*args: Any, **fields: Any) -> Any:
        await go.wait()
        return await send(*args, **fields)

    made.upstream.send = slow  # type: ignore[method-assign]
    call = made.call(body())
    running = asyncio.create_task(chain.run(call, made.tools))
    await asyncio.sleep(0.05)
    assert orjson.loads(call.client.received) == OLD  # type: ignore[attr-defined]
    assert len(made.ledger.events) == 1
    await asyncio.sleep(0.1)
    go.set()
    await running
    assert bill(made.event) == PAID
    assert made.event.duration_ms < 100
    assert made.event.upstream_ms == 0


async def test_one_fetches_and_the_others_save() -> None:
    made = await expired(swr=30)
    clients = await asyncio.gather(*(ask(made, body()) for _ in range(20)))
    assert {
        orjson.loads(client.received)["choices"][0]["message"]["content"] for client in clients
    } <= {"old", "new"}
    assert sum(client.headers["x-tokenthrift-tokens-saved"] == "0" for client in clients) == 1
    assert len(made.upstream.bodies) == 2
    assert sum(event.attempts for event in made.ledger.events) == 2
    assert sum(event.tokens_saved for event in made.ledger.events) == 19 * 110


async def test_a_failed_fetch_is_billed_nothing_stores_nothing_and_is_not_tried_again_at_once() -> (
    None
):
    made = await expired(swr=30)
    made.upstream.error = UpstreamUnreachable("gone")
    for _ in range(3):
        assert orjson.loads((await ask(made, body())).received) == OLD
    assert len(made.upstream.bodies) == 2
    assert [event.attempts for event in made.ledger.events] == [1, 1, 0, 0]
    assert made.ledger.events[1].billed_cost == 0
    assert (made.ledger.events[1].status, made.ledger.events[1].outcome) == (200, "ok")


async def test_an_explanation_claims_no_renewal() -> None:
    made = await expired(swr=30)
    call = await authenticate(made.call(body()), made.tools)
    found = await explain_request(
        replace(call, raw_body=body()), made.tools, plan="support", neighbours=5, seconds=1
    )
    assert isinstance(found.decided_call.answer, CachedAnswer)
    assert found.decided_call.answer.stale == "revalidating"
    assert (made.exact.claims, len(made.upstream.bodies)) == (set(), 1)
    assert (await ask(made, body())).headers["x-tokenthrift-stale"] == "revalidating"
    assert orjson.loads((await ask(made, body())).received) == NEW


async def test_a_bug_while_fetching_is_no_harm_to_what_was_served() -> None:
    made = await expired(swr=30)

    async def bug(*_args: object, **_kwargs: object) -> None:
        raise ZeroDivisionError

    made.upstream.send = bug  # type: ignore[assignment,method-assign]
    assert orjson.loads((await ask(made, body())).received) == OLD
    assert (made.event.status, made.event.outcome, made.event.attempts, made.event.stale) == (
        200,
        "ok",
        1,
        True,
    )


async def test_a_worker_that_stops_while_it_fetches_has_recorded_the_request() -> None:
    made = await expired(swr=30)
    made.upstream.hang = True
    running = asyncio.create_task(chain.run(made.call(body()), made.tools))
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (made.event.status, made.event.outcome, made.event.attempts, made.event.stale) == (
        200,
        "ok",
        1,
        True,
    )


@pytest.mark.parametrize("stored_as_stream", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_both_shapes_are_served_expired_and_renewed(
    stored_as_stream: bool, stream: bool
) -> None:
    made = world(swr=30)
    await ask(made, body(stream=stored_as_stream))
    age(made, 65)
    made.upstream.says = NEW
    client = await ask(made, body(stream=stream))
    assert "old" in str(chunks_of(client) if stream else orjson.loads(client.received))
    assert bill(made.event) == PAID
    assert orjson.loads((await ask(made, body())).received)["choices"] == NEW["choices"]


async def test_the_semantic_entry_is_renewed_with_it() -> None:
    made = await expired(swr=30, backend="pgvector_semantic")
    await ask(made, body())
    near = await ask(made, body("how do i pay"))
    assert near.headers["x-tokenthrift-cache"] == "semantic"
    assert orjson.loads(near.received) == NEW


async def test_a_near_question_is_never_given_an_expired_answer() -> None:
    made = await expired(swr=30, sie=30, backend="pgvector_semantic")
    for name, entry in made.semantic.entries.items():
        old = decode(entry.envelope)
        made.semantic.entries[name] = replace(
            entry,
            envelope=encode(
                replace(old, created_at=old.created_at - 65, expires_at=old.expires_at - 65)
            ),
        )
    made.upstream.error = UpstreamUnreachable("gone")
    assert (await ask(made, body("how do i pay"))).status == 502
    assert made.event.reason == "stale"


async def test_after_its_time_it_is_a_miss() -> None:
    made = await expired(by=31, swr=30)
    client = await ask(made, body())
    assert (orjson.loads(client.received), client.headers["x-tokenthrift-cache"]) == (NEW, "miss")


async def test_it_is_off_by_default() -> None:
    made = await expired(by=0.5)
    assert (await ask(made, body())).headers["x-tokenthrift-cache"] == "miss"


async def test_the_store_keeps_an_entry_for_as_long_as_it_may_be_served() -> None:
    made = world(swr=30, sie=600)
    kept: list[int] = []
    plain = made.exact.set

    async def noted(key: str, value: bytes, ttl: int) -> None:
        kept.append(ttl)
        await plain(key, value, ttl)

    made.exact.set = noted  # type: ignore[method-assign]
    await ask(made, body())
    assert kept == [660]
    [entry] = [decode(value) for value in made.exact.entries.values()]
    assert entry.expires_at - entry.created_at == pytest.approx(60)


async def test_what_a_worker_holds_in_memory_is_served_expired_too() -> None:
    made = world(swr=30)
    made.tools.local_cache.start_invalidations()
    await ask(made, body())
    age(made, 65)
    made.upstream.error = UpstreamUnreachable("gone")
    await ask(made, body())  # reads the store
    made.exact.entries.clear()
    assert (await ask(made, body())).headers["x-tokenthrift-stale"] == "revalidating"


@pytest.mark.parametrize("accepted", [{"no-cache": True}, {"s-maxage": 60}])
async def test_a_request_that_wants_nothing_so_old_is_a_miss(accepted: dict[str, Any]) -> None:
    made = await expired(swr=30)
    assert orjson.loads((await ask(made, body(cache=accepted))).received) == NEW


async def test_a_request_that_accepts_its_age_is_given_it() -> None:
    made = await expired(swr=30)
    assert (await ask(made, body(cache={"s-maxage": 70}))).headers[
        "x-tokenthrift-stale"
    ] == "revalidating"


async def test_only_if_cached_is_given_the_expired_answer_and_calls_nobody() -> None:
    made = await expired(swr=30, sie=600)
    client = await ask(made, body(cache={"only-if-cached": True}))
    assert (orjson.loads(client.received), client.headers["x-tokenthrift-stale"]) == (
        OLD,
        "only-if-cached",
    )
    assert (made.event.attempts, made.event.tokens_saved, len(made.upstream.bodies)) == (0, 110, 1)
    age(made, 60)
    assert (await ask(made, body(cache={"only-if-cached": True}))).status == 504


async def test_where_nobody_can_be_kept_from_fetching_too_the_provider_is_asked_at_once() -> None:
    made = await expired(swr=30)
    made.tools.local_cache.start_invalidations()
    await ask(made, body())
    age(made, 65)
    made.upstream.error = UpstreamUnreachable("gone")
    await ask(made, body())
    made.upstream.error = None
    made.exact.down = True
    assert (await ask(made, body())).headers["x-tokenthrift-cache"] == "miss"


# Where the provider fails

FAILURES = [UpstreamUnreachable("gone"), UpstreamTimeout("late")]
# A refused key is the gateway's own trouble, not the client's.
STATUSES = [401, 403, 429, 500, 502, 503, 529]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("failure", [*FAILURES, *STATUSES], ids=str)
async def test_an_expired_answer_stands_in_for_a_provider_that_fails(
    failure: Any, stream: bool
) -> None:
    made = await expired(sie=30)
    if isinstance(failure, int):
        made.upstream.reply = FakeReply(
            failure,
            {"content-type": "application/json", "retry-after": "9"},
            [b'{"error":{"message":"no"}}'],
        )
    else:
        made.upstream.error = failure
    client = await ask(made, body(stream=stream))
    assert client.status == 200
    assert "old" in str(chunks_of(client) if stream else orjson.loads(client.received))
    assert (client.headers["x-tokenthrift-cache"], client.headers["x-tokenthrift-stale"]) == (
        "exact",
        "error",
    )
    assert client.headers["cache-status"].startswith("tokenthrift; fwd=stale; ttl=-")
    assert client.headers["x-tokenthrift-tokens-saved"] == "0"
    assert "retry-after" not in client.headers
    event = made.event
    assert (event.tier, event.stale, event.reason, event.outcome, event.failures) == (
        "exact",
        True,
        "stale-error",
        "ok",
        ("upstream",),
    )
    late = isinstance(failure, UpstreamTimeout)  # it had the request, and may bill it
    assert bill(event) == (1, 0, 0, None if late else 0, 0, 0)
    assert event.bill == ("unknown" if late else "list")
    assert len(made.exact.entries) == 1


@pytest.mark.parametrize("status", [400, 404, 413])
async def test_what_is_the_requests_own_fault_is_told(status: int) -> None:
    made = await expired(sie=30)
    made.upstream.reply = FakeReply(
        status, {"content-type": "application/json"}, [b'{"error":{"message":"no"}}']
    )
    assert (await ask(made, body())).status == status


@pytest.mark.parametrize("accepted", [{"no-cache": True}, {"s-maxage": 60}, {"no-store": True}])
async def test_a_request_that_wants_nothing_so_old_is_told_of_the_failure(
    accepted: dict[str, Any],
) -> None:
    made = await expired(sie=30)
    made.upstream.error = UpstreamUnreachable("gone")
    assert (await ask(made, body(cache=accepted))).status == 502
    assert made.event.outcome == "upstream_error"


async def test_a_provider_that_works_is_asked_and_after_its_time_the_failure_is_told() -> None:
    made = await expired(sie=30)
    assert orjson.loads((await ask(made, body())).received) == NEW
    made = await expired(by=31, sie=30)
    made.upstream.error = UpstreamUnreachable("gone")
    assert (await ask(made, body())).status == 502


async def test_an_expired_answer_that_was_forgotten_never_stands_in() -> None:
    made = await expired(swr=30, sie=30)
    old = made.source.config
    made.source.config = replace(old, revision=3, min_revisions={(1, None, ""): 2})
    made.upstream.error = UpstreamUnreachable("gone")
    assert (await ask(made, body())).status == 502


async def test_another_tenants_expired_answer_never_stands_in() -> None:
    made = await expired(swr=30, sie=30)
    made.exact.entries = {
        key: encode(replace(decode(value), scope="another"))
        for key, value in made.exact.entries.items()
    }
    made.upstream.error = UpstreamUnreachable("gone")
    assert (await ask(made, body())).status == 502


# Lives


async def test_entries_written_at_once_expire_one_after_the_other() -> None:
    made = World(plan=full_plan(cache=CacheSettings(ttl=3600, ttl_jitter=0.5, backend=None)))
    for number in range(30):
        await ask(made, body(f"question {number}"))
    entries = [decode(value) for value in made.exact.entries.values()]
    lives = {round(entry.expires_at - entry.created_at) for entry in entries}
    assert len(lives) > 25
    assert 1800 <= min(lives) <= max(lives) <= 3600


# Tags


async def test_who_renews_an_answer_keeps_the_tags_it_was_stored_with() -> None:
    made = world(swr=30)
    await ask(made, body(cache={"tags": ["prices"]}))
    age(made, 65)
    await ask(made, body(cache={"tags": ["de"]}))
    [entry] = [decode(value) for value in made.exact.entries.values()]
    assert entry.tags == ("de", "prices")
