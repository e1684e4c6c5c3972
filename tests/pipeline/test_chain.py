"""What happens to a request, in order: the whole chain over tools made of dictionaries."""

import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest

from plans import key_secrets
from plans.pricing import Price
from plans.snapshot import CacheSettings
from proxy.core.formats.stream_collector import StreamCollector
from proxy.core.tenant_memory import CURRENT_TENANT
from tests.support.entries import PEPPER, decode, encode
from tests.support.fakes import World, ask, body, chunks_of, completion, full_plan, restated


async def test_a_miss_is_answered_by_the_upstream_and_stored_in_both_tiers() -> None:
    world = World()
    client = await ask(world, body())
    assert orjson.loads(client.received) == completion()
    assert client.headers["x-tokenthrift-cache"] == "miss"
    assert client.headers["cache-status"] == "tokenthrift; fwd=miss; stored"
    assert len(world.exact.entries) == len(world.semantic.entries) == 1
    assert world.event.tier == "miss"
    assert (world.event.attempts, len(world.ledger.attempts)) == (1, 1)


async def test_the_same_request_again_is_an_exact_hit_and_costs_nothing() -> None:
    world = World()
    first = await ask(world, body())
    again = await ask(world, body())
    assert again.received == first.received
    assert again.headers["x-tokenthrift-cache"] == "exact"
    assert again.headers["cache-status"].startswith("tokenthrift; hit; ttl=")
    assert again.headers["age"] == "0"
    assert again.headers["x-tokenthrift-tokens-saved"] == "110"
    assert again.headers["x-tokenthrift-cost-saved-usd"] == "0.00012"
    assert len(world.upstream.bodies) == 1
    assert (world.event.attempts, world.event.billed_cost, world.event.would_cost) == (
        0,
        Decimal(0),
        Decimal("0.00012"),
    )


async def test_a_recent_answer_is_served_without_asking_the_store_until_it_changes() -> None:
    world = World()
    world.tools.local_cache.start_invalidations()
    await ask(world, body())
    await ask(world, body())
    ((key, stored),) = world.exact.entries.items()
    world.exact.entries.clear()
    again = await ask(world, body())
    assert (again.headers["x-tokenthrift-cache"], orjson.loads(again.received)) == (
        "exact",
        completion(),
    )
    world.exact.entries[key] = stored
    world.exact.down = True
    assert (await ask(world, body())).headers["x-tokenthrift-cache"] == "exact"
    world.tools.local_cache.invalidate_keys([key])
    assert (await ask(world, body())).headers["x-tokenthrift-cache"] == "semantic"


async def test_a_recent_answer_that_is_too_old_is_not_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(plan=full_plan(cache=CacheSettings(ttl=60, backend=None)))
    world.tools.local_cache.start_invalidations()
    for _ in range(2):
        await ask(world, body())
    (envelope,) = [decode(value) for value in world.exact.entries.values()]
    monkeypatch.setattr("time.time", lambda: envelope.expires_at + 1)
    assert (await ask(world, body())).headers["x-tokenthrift-cache"] == "miss"


async def test_the_same_bytes_are_prepared_once_and_anew_when_the_configuration_changes() -> None:
    world = World()
    await ask(world, body())
    await ask(world, body())
    assert len(world.tools.prepared_requests) == 1
    ((digest, key),) = world.source.config.keys.items()
    narrowed = replace(
        world.source.config, revision=2, keys={digest: replace(key, routes=frozenset({"other"}))}
    )
    world.source.config = narrowed
    assert (await ask(world, body())).status == 403
    world.source.config = replace(narrowed, revision=3, keys={digest: key}, plans={})
    assert (await ask(world, body())).headers["x-tokenthrift-bypass-reason"] == "unknown-plan"


async def test_the_same_bytes_under_another_header_are_another_request() -> None:
    world, raw = World(), body(plan=None)
    world.tools.local_cache.start_invalidations()
    reasons = []
    for header in ("support", "", "none", "nobody", "support"):
        reply = await ask(world, raw, plan_header=header)
        reasons.append(
            (
                reply.headers["x-tokenthrift-cache"],
                reply.headers.get("x-tokenthrift-plan"),
                reply.headers.get("x-tokenthrift-bypass-reason"),
            )
        )
    assert reasons == [
        ("miss", "support", None),
        ("bypass", None, "no-plan"),
        ("bypass", None, "opted-out"),
        ("bypass", None, "unknown-plan"),
        ("exact", "support", None),
    ]
    # The header is no part of what the provider is sent: the body is the client's, but for the
    # model's name.
    assert len({orjson.dumps(sent) for sent in world.upstream.bodies}) == 1


async def test_the_same_bytes_of_two_keys_are_each_under_the_default_of_their_key() -> None:
    world, raw = World(), body(plan=None)
    secret = key_secrets.generate_key("tt", pepper=PEPPER).secret
    ((digest, key),) = world.source.config.keys.items()
    other = replace(key, id=2, digest=key_secrets.compute_key_digest(secret, pepper=PEPPER))
    with_default = replace(key, default_plan_id=1)
    world.source.config = replace(
        world.source.config, keys={digest: with_default, other.digest: other}
    )
    world.tools.local_cache.start_invalidations()
    for tier in ("miss", "exact"):
        first, second = await ask(world, raw), await ask(world, raw, secret=secret)
        assert first.headers["x-tokenthrift-cache"] == tier
        assert first.headers["x-tokenthrift-plan"] == "support"
        assert second.headers["x-tokenthrift-bypass-reason"] == "no-plan"
    assert (world.event.plan_id, len(world.upstream.bodies)) == (None, 3)
    opted_out = await ask(world, raw, plan_header="none")
    assert opted_out.headers["x-tokenthrift-bypass-reason"] == "opted-out"
    unknown = await ask(world, raw, plan_header="nobody")
    assert unknown.headers["x-tokenthrift-bypass-reason"] == "unknown-plan"


async def test_what_the_body_says_of_the_plan_comes_before_the_header() -> None:
    world = World()
    named = await ask(world, body(plan="none"), plan_header="support")
    assert named.headers["x-tokenthrift-bypass-reason"] == "opted-out"
    inside = body(plan=None, metadata={"token_saving_plan": "support"})
    assert (await ask(world, inside, plan_header="nobody")).headers["x-tokenthrift-cache"] == "miss"


async def test_the_same_bytes_from_two_tenants_are_two_requests() -> None:
    world, secret = (
        World(plan=full_plan(tenant_id=None)),
        key_secrets.generate_key("tt", pepper=PEPPER).secret,
    )
    ((_, key),) = world.source.config.keys.items()
    digest = key_secrets.compute_key_digest(secret, pepper=PEPPER)
    other = replace(key, id=2, digest=digest, tenant_id=2, tenant="other")
    world.source.config = replace(
        world.source.config,
        keys={**world.source.config.keys, digest: other},
        granted_routes=dict.fromkeys((1, 2), frozenset("*")),
    )
    world.tools.local_cache.start_invalidations()
    for _ in range(2):
        await ask(world, body())
    assert (await ask(world, body(), secret=secret)).headers["x-tokenthrift-cache"] == "miss"
    assert world.event.tenant == "other"


async def test_the_same_bytes_with_another_cache_control_are_another_request() -> None:
    world = World()
    await ask(world, body())
    assert (await ask(world, body(), cache_control="no-store")).headers[
        "x-tokenthrift-bypass-reason"
    ] == "no-store"
    assert (await ask(world, body())).headers["x-tokenthrift-cache"] == "exact"


async def test_a_request_that_no_cache_may_answer_leaves_nothing_in_memory() -> None:
    world = World()
    await ask(world, body(plan=None))
    await ask(world, body(), cache_control="no-store")
    assert len(world.tools.prepared_requests) == 0


async def test_a_near_question_is_a_semantic_hit() -> None:
    world = World()
    await ask(world, body("How do I pay?"))
    near = await ask(world, body("how do i pay"))
    assert near.headers["x-tokenthrift-cache"] == "semantic"
    assert near.headers["x-tokenthrift-similarity"] == "1.00"
    assert orjson.loads(near.received) == completion()
    # The stored prompt was 100 tokens; this question is a token shorter.
    assert world.event.asked_tokens == 99


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (body("Return it in 30 days?"), body("30 Return it in days?  in 60")),
        (body("How do I pay?", history=1), body("how do i pay", history=2)),
        (body("How do I pay?"), body("how do i pay", temperature=0.3)),
        (body("How do I pay?"), body("how do i pay", plan=None)),
    ],
)
async def test_what_differs_in_more_than_words_is_a_miss(first: bytes, second: bytes) -> None:
    world = World()
    await ask(world, first)
    assert (await ask(world, second)).headers["x-tokenthrift-cache"] in ("miss", "bypass")
    assert len(world.upstream.bodies) == 2


async def test_a_veto_is_named_in_the_record() -> None:
    world = World(plan=full_plan(cache=CacheSettings(match="cosine")))
    await ask(world, body("Do you ship to France?"))
    world.semantic.entries = {
        name: restated(entry, "Do you ship to Spain?")
        for name, entry in world.semantic.entries.items()
    }
    await ask(world, body("do you ship to France"))
    assert (world.event.tier, world.event.reason) == ("miss", "names")


@pytest.mark.parametrize("stored_as_stream", [False, True])
@pytest.mark.parametrize("asked_as_stream", [False, True])
async def test_one_entry_serves_both_shapes(stored_as_stream: bool, asked_as_stream: bool) -> None:
    world = World()
    await ask(world, body(stream=stored_as_stream))
    options = {"include_usage": True} if asked_as_stream else None
    hit = await ask(world, body(stream=asked_as_stream, stream_options=options))
    assert hit.headers["x-tokenthrift-cache"] == "exact"
    if asked_as_stream:
        collector = StreamCollector()
        for chunk in chunks_of(hit):
            collector.take_chunk(chunk)
        assert collector.build_completion() == completion()
    else:
        assert orjson.loads(hit.received) == completion()


async def test_usage_is_always_asked_for_and_shown_only_on_request() -> None:
    world = World()
    shown = await ask(world, body("a", stream=True, stream_options={"include_usage": True}))
    hidden = await ask(world, body("b", stream=True))
    assert [body["stream_options"]["include_usage"] for body in world.upstream.bodies] == [
        True,
        True,
    ]
    assert chunks_of(shown)[-1]["usage"]["total_tokens"] == 110
    assert all(not chunk.get("usage") for chunk in chunks_of(hidden))
    assert world.event.prompt_tokens == 100


async def test_a_provider_without_usage_gets_an_estimate_that_says_so() -> None:
    world = World()
    world.upstream.says = completion(usage=False)
    await ask(world, body())
    assert world.event.estimated
    assert world.event.prompt_tokens > 0
    assert world.event.completion_tokens > 0


async def test_an_estimate_has_the_discount_that_the_route_had_lately() -> None:
    world = World()
    world.upstream.says = completion()
    world.upstream.says["usage"]["prompt_tokens_details"] = {"cached_tokens": 50}
    await ask(world, body("first"))
    world.upstream.says = completion(usage=False)
    await ask(world, body("second"))
    assert world.event.estimated
    assert world.event.cached_tokens == round(world.event.prompt_tokens / 2) > 0


@pytest.mark.parametrize("stream", [False, True])
async def test_what_the_provider_wrote_into_its_prefix_cache_is_billed_at_the_price_of_that(
    stream: bool,
) -> None:
    world = World()
    route = world.source.config.routes["smart/balanced"]
    price = Price(
        input=Decimal(1),
        output=Decimal(2),
        cached_input=Decimal("0.1"),
        cache_write=Decimal("1.25"),
    )
    world.source.config.routes["smart/balanced"] = replace(route, price=price)
    world.upstream.says = completion()
    world.upstream.says["usage"]["prompt_tokens_details"] = {
        "cached_tokens": 50,
        "cache_write_tokens": 40,
    }
    await ask(world, body(stream=stream))
    assert (world.event.prompt_tokens, world.event.cached_tokens, world.event.written_tokens) == (
        100,
        50,
        40,
    )
    assert world.event.billed_cost == (
        10 * 1 + 50 * Decimal("0.1") + 40 * Decimal("1.25") + 10 * 2
    ) / Decimal(1_000_000)
    await ask(world, body(stream=stream))
    assert (world.event.tier, world.event.written_tokens, world.event.billed_cost) == (
        "exact",
        0,
        Decimal(0),
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_the_headers_of_a_compressed_chat_say_what_the_ledger_will_also_before_a_stream_begins(  # noqa: E501 -- a test's name is its sentence
    stream: bool,
) -> None:
    """Cutting loses the provider's discount on what it held of the chat."""
    world = World()
    route = world.source.config.routes["smart/balanced"]
    price = Price(input=Decimal(1), output=Decimal(2), cached_input=Decimal("0.1"))
    world.source.config.routes["smart/balanced"] = replace(route, price=price)
    world.upstream.says = completion()
    world.upstream.says["usage"] = {
        "prompt_tokens": 10,
        "completion_tokens": 10,
        "total_tokens": 20,
    }
    # Discounts come in steps, which the part that is cut reaches later than the whole.
    for history in range(60, 80):
        client = await ask(
            world, body("How do I pay?", history=history, stream=stream, cache={"no-store": True})
        )
        event = world.event
        assert event.would_cost is not None
        assert event.billed_cost is not None
        assert (
            client.headers["x-tokenthrift-tokens-saved"]
            == str(event.tokens_saved)
            == str(20 * history)
        )
        assert (
            Decimal(client.headers["x-tokenthrift-cost-saved-usd"])
            == event.would_cost - event.billed_cost
        )
        # Which forgets the discount.
        assert event.would_cost - event.billed_cost < Decimal(20 * history) / 1_000_000


async def test_a_long_history_is_cut_and_the_final_message_is_not() -> None:
    world = World()
    client = await ask(world, body("How do I pay?", history=10))
    assert world.upstream.bodies[0]["messages"] == [{"role": "user", "content": "How do I pay?"}]
    assert client.headers["x-tokenthrift-compression"] == "0.048"
    assert client.headers["x-tokenthrift-tokens-saved"] == "200"
    assert (world.event.asked_tokens, world.event.prompt_tokens, world.event.tokens_saved) == (
        300,
        100,
        200,
    )
    assert world.event.cost_saved == Decimal("0.0002")


async def test_a_model_without_a_known_tokenizer_is_said_so() -> None:
    world = World()
    known, unknown = (
        await ask(world, body(history=10)),
        world.source.config.routes["smart/balanced"],
    )
    world.source.config = replace(
        world.source.config,
        routes={"smart/balanced": replace(unknown, model="claude-9", version=2)},
    )
    assert "x-tokenthrift-compression-note" not in known.headers
    said = (await ask(world, body(history=10))).headers["x-tokenthrift-compression-note"]
    assert said == world.event.note == "unknown-model-counted-by-o200k_base"


async def test_a_hit_never_pays_for_compression() -> None:
    world = World()
    await ask(world, body(history=10))
    world.compressor.down = True
    hit = await ask(world, body(history=10))
    assert hit.headers["x-tokenthrift-cache"] == "exact"
    assert hit.headers["x-tokenthrift-tokens-saved"] == "310"
    assert world.event.failures == ()


async def test_another_history_that_is_cut_to_the_same_request_has_the_same_answer() -> None:
    world = World()
    await ask(world, body(history=10))
    hit = await ask(world, body(history=20))
    assert hit.headers["x-tokenthrift-cache"] == "exact"
    assert world.event.asked_tokens == 410
    assert len(world.upstream.bodies) == 1


async def test_the_clients_bytes_go_out_as_they_came_when_nothing_changed() -> None:
    world = World()
    route = replace(world.source.config.routes["smart/balanced"], model="smart/balanced")
    world.source.config = replace(world.source.config, routes={"smart/balanced": route})
    raw = (
        b'{ "model":"smart/balanced",\n "messages":[{"role":"user","content":"x"}], '
        b'"temperature": 1.50 }'
    )
    await ask(world, raw)
    assert world.upstream.raw == [raw]


async def test_our_own_fields_never_reach_the_upstream() -> None:
    world = World()
    await ask(
        world,
        body(cache={"no-cache": True}, metadata={"token_saving_plan_id": "support", "a": "b"}),
    )
    assert set(world.upstream.bodies[0]) == {"model", "messages", "metadata"}
    assert world.upstream.bodies[0]["metadata"] == {"a": "b"}
    assert world.upstream.bodies[0]["model"] == "gpt-4o-mini"


async def test_no_store_neither_reads_nor_writes() -> None:
    world = World()
    await ask(world, body())
    client = await ask(world, body(cache={"no-store": True}))
    assert client.headers["x-tokenthrift-cache"] == "bypass"
    assert client.headers["x-tokenthrift-bypass-reason"] == "no-store"
    assert len(world.upstream.bodies) == 2
    fresh = World()
    await ask(fresh, body(), cache_control="no-store")
    assert not fresh.exact.entries
    assert not fresh.semantic.entries


async def test_no_cache_does_not_read_and_does_refresh() -> None:
    world = World()
    await ask(world, body())
    world.upstream.says = completion("A newer answer.")
    refreshed = await ask(world, body(cache={"no-cache": True}))
    assert (
        refreshed.headers["x-tokenthrift-cache"],
        refreshed.headers["x-tokenthrift-bypass-reason"],
    ) == ("miss", "no-cache")
    assert b"A newer answer." in (await ask(world, body())).received


async def test_only_if_cached_is_504_on_a_miss_and_makes_no_call() -> None:
    world = World()
    client = await ask(world, body(cache={"only-if-cached": True}))
    assert client.status == 504
    assert orjson.loads(client.received)["error"]["code"] == "not_cached"
    assert not world.upstream.bodies
    await ask(world, body())
    assert (await ask(world, body(cache={"only-if-cached": True}))).status == 200


async def test_ttl_shortens_and_s_maxage_refuses_what_is_older() -> None:
    world = World()
    await ask(world, body(cache={"ttl": 60}))
    ((key, value),) = world.exact.entries.items()
    assert round(decode(value).expires_at - decode(value).created_at) == 60
    old = decode(value)
    world.exact.entries[key] = encode(replace(old, created_at=old.created_at - 30))
    world.semantic.entries.clear()
    assert (await ask(world, body(cache={"s-maxage": 40}))).headers[
        "x-tokenthrift-cache"
    ] == "exact"
    assert (await ask(world, body(cache={"s-maxage": 20}))).headers["x-tokenthrift-cache"] == "miss"


async def test_a_namespace_narrows() -> None:
    world = World()
    await ask(world, body(cache={"namespace": "a"}))
    assert (await ask(world, body(cache={"namespace": "b"}))).headers[
        "x-tokenthrift-cache"
    ] == "miss"
    assert (await ask(world, body())).headers["x-tokenthrift-cache"] == "miss"
    assert (await ask(world, body(cache={"namespace": "a"}))).headers[
        "x-tokenthrift-cache"
    ] == "exact"


async def test_the_embedder_leaves_time_for_the_look_up() -> None:
    world = World(plan=full_plan())
    await ask(world, body("How do I pay?"))
    assert (
        0.5 * world.tools.limits.cache_seconds
        < world.embedder.within
        <= 0.7 * world.tools.limits.cache_seconds
    )


async def test_a_request_may_raise_the_threshold_and_never_lower_it() -> None:
    world = World(plan=full_plan(cache=CacheSettings(similarity_threshold=0.9, match="cosine")))
    await ask(world, body("How do I pay?"))
    ((name, entry),) = world.semantic.entries.items()
    vector = await world.embedder.embed("how do i pay")
    other = await world.embedder.embed("something else")
    aside = other - (other @ vector) * vector
    world.semantic.entries[name] = replace(
        entry, vector=0.92 * vector + (1 - 0.92**2) ** 0.5 * aside / (aside @ aside) ** 0.5
    )
    control = {"no-store": False}
    assert (
        await ask(world, body("how do i pay", cache=control | {"similarity_threshold": 0.95}))
    ).headers["x-tokenthrift-cache"] == "miss"
    world.exact.entries.clear()
    world.semantic.entries = {name: world.semantic.entries[name]}
    assert (
        await ask(world, body("how do i PAY", cache=control | {"similarity_threshold": 0.1}))
    ).headers["x-tokenthrift-cache"] == "semantic"


@pytest.mark.parametrize(
    ("plan", "name", "reason"),
    [
        (full_plan(), "nobody", "unknown-plan"),
        (full_plan(mode="off"), "support", "plan-off"),
        (full_plan(cache=None), "support", "no-cache-in-plan"),
    ],
)
async def test_a_plan_that_is_not_there_is_skipped_and_said_so(
    plan: Any, name: str, reason: str
) -> None:
    world = World(plan=plan)
    client = await ask(world, body(plan=name))
    assert client.status == 200
    assert (
        client.headers["x-tokenthrift-cache"],
        client.headers["x-tokenthrift-bypass-reason"],
    ) == ("bypass", reason)


@pytest.mark.parametrize("asked", ["nobody", "x" * 5_000])
@pytest.mark.parametrize("in_header", [True, False])
async def test_the_name_of_an_unknown_plan_is_in_the_ledger(asked: str, in_header: bool) -> None:
    world = World()
    await ask(
        world, body(plan=None if in_header else asked), plan_header=asked if in_header else ""
    )
    assert (world.event.plan_id, world.event.plan) == (None, asked[:64])
    assert not world.event.is_counted


@pytest.mark.parametrize(
    "secret", [None, "", "sk-123", "tt-short", "tt-" + "A" * 43, "tta-" + "A" * 43]
)
async def test_a_wrong_key_is_401_before_anything_else(secret: str | None) -> None:
    world = World()
    client = await ask(world, b"not even json", secret=secret)
    assert client.status == 401
    assert orjson.loads(client.received)["error"]["code"] == "invalid_api_key"
    assert client.headers["www-authenticate"] == "Bearer"
    assert client.headers["x-request-id"] == world.event.event_id


async def test_an_expired_key_is_401() -> None:
    world = World()
    ((digest, key),) = world.source.config.keys.items()
    world.source.config = replace(world.source.config, keys={digest: replace(key, expires_at=1.0)})
    assert (await ask(world, body())).status == 401


async def test_models_are_404_when_unknown_and_403_when_not_for_this_key() -> None:
    world = World()
    assert (await ask(world, body(model="gpt-99"))).status == 404
    ((digest, key),) = world.source.config.keys.items()
    world.source.config = replace(
        world.source.config, keys={digest: replace(key, routes=frozenset({"other"}))}
    )
    refused = await ask(world, body())
    assert refused.status == 403
    assert orjson.loads(refused.received)["error"]["code"] == "model_not_found"


async def test_another_tenants_plan_does_not_exist() -> None:
    world = World(plan=full_plan(tenant_id=2))
    assert (await ask(world, body())).headers["x-tokenthrift-bypass-reason"] == "unknown-plan"
    by_header = await ask(world, body(plan=None), plan_header="support")
    assert by_header.headers["x-tokenthrift-bypass-reason"] == "unknown-plan"


async def test_the_time_spent_is_told_in_whole_milliseconds() -> None:
    reply = await ask(World(), body("How do I pay?"))
    assert re.fullmatch(r"[1-9]\d*", reply.headers["x-tokenthrift-overhead-ms"])


async def test_each_text_is_embedded_and_each_chat_compressed_in_the_name_of_its_tenant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, told = World(), []

    def note(tool: Any, name: str) -> None:
        real = getattr(tool, name)

        async def noted(*arguments: Any, tenant: int | None = None, **keywords: Any) -> Any:
            told.append((name, tenant, CURRENT_TENANT.get()))
            return await real(*arguments, tenant=tenant, **keywords)

        monkeypatch.setattr(tool, name, noted)

    note(world.embedder, "embed")
    note(world.compressor, "compress")
    await ask(world, body("How do I pay?"))
    assert set(told) == {("embed", 1, 1), ("compress", 1, 1)}
