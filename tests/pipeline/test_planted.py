"""Values that others wrote into the stores: each is a miss, deleted and counted,
and never an error to the client."""

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import msgpack
import orjson
import pytest

from plans.snapshot import CacheSettings
from proxy.core.caching.envelope import Envelope
from proxy.core.ports import SemanticEntry
from proxy.core.sealing import Sealer
from tests.support.entries import COMPLETION, SEALER, decode, encode
from tests.support.fakes import World, ask, body, completion, full_plan

FORGED = COMPLETION.replace(b"By card", b"Send it to me")
ANYBODY = Sealer("anybody")
SECRETS = Sealer("pepper", keys=[b"k" * 32], encrypts=True)


def unsealed(envelope: Envelope) -> bytes:
    """As the gateway wrote it before there were seals: a scope digest is no secret."""
    names = (
        "scope",
        "plan_id",
        "created_at",
        "expires_at",
        "completion",
        "asked_tokens",
        "question_tokens",
        "completion_tokens",
    )
    return b"J" + bytes(
        msgpack.packb([2, *(getattr(envelope, name) for name in names), False, 0, [], b""])
    )


PLANTED: dict[str, Callable[[Envelope], bytes]] = {
    "before there were seals": unsealed,
    "a whole answer by somebody else": lambda kept: encode(
        replace(kept, completion=FORGED), ANYBODY
    ),
    "our seal over another value": lambda kept: (
        encode(kept)[:16] + encode(replace(kept, completion=FORGED))[16:]
    ),
    "our value without its seal": lambda kept: encode(kept)[16:],
    "our value with its seal twice": lambda kept: encode(kept)[:16] + encode(kept),
    "moved from another key of the scope": lambda kept: encode(
        replace(kept, entry_id="f" * 64, sent="")
    ),
    "moved from the semantic tier of another bucket": lambda kept: encode(
        replace(kept, bucket="f" * 64)
    ),
    "another tenant's": lambda kept: encode(replace(kept, scope="f" * 64)),
    "expires never": lambda kept: encode(replace(kept, expires_at=math.inf)),
    "made before time": lambda kept: encode(replace(kept, created_at=-math.inf)),
    "made at no time": lambda kept: encode(replace(kept, created_at=math.nan)),
    "owes tokens": lambda kept: encode(replace(kept, asked_tokens=-1)),
    "more tokens than the ledger counts": lambda kept: encode(
        replace(kept, completion_tokens=2**63 - 1)
    ),
    "a completion that is no JSON": lambda kept: encode(replace(kept, completion=b"{")),
    "a completion that is a list": lambda kept: encode(replace(kept, completion=b"[]")),
    "choices that are numbers": lambda kept: encode(replace(kept, completion=b'{"choices":[1,2]}')),
    "empty": lambda kept: b"",
    "one byte": lambda kept: b"P",
    "encrypted under a key nobody has": lambda kept: encode(
        kept, Sealer("pepper", keys=[b"x" * 32], encrypts=True)
    ),
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
@pytest.mark.parametrize("stream", [False, True])
async def test_the_exact_tier_believes_nothing_that_was_planted(
    planted: Callable[[Envelope], bytes], stream: bool
) -> None:
    world = World(plan=full_plan(cache=CacheSettings(backend=None)))
    await ask(world, body())
    ((key, value),) = world.exact.entries.items()
    world.exact.entries[key] = bad = planted(decode(value))
    world.tools.local_cache.clear()
    client = await ask(world, body(stream=stream))
    assert (client.status, client.headers["x-tokenthrift-cache"]) == (200, "miss")
    assert b"Send it to me" not in client.received
    assert world.exact.entries[key] != bad
    assert (await ask(world, body())).headers["x-tokenthrift-cache"] == "exact"


def replanted(entry: SemanticEntry, planted: Callable[[Envelope], bytes]) -> SemanticEntry:
    return replace(entry, envelope=planted(decode(entry.envelope)))


MOVED: dict[str, Callable[[SemanticEntry], SemanticEntry]] = {
    **{
        name: partial(replanted, planted=planted)
        for name, planted in PLANTED.items()
        if "semantic" not in name
    },
    "the question of another answer": lambda entry: replace(
        entry, envelope=encode(replace(decode(entry.envelope), question="Who gets the money?"))
    ),
    "another question for this answer": lambda entry: replace(entry, question="how do I pay"),
    "of another bucket": lambda entry: replace(
        entry, envelope=encode(replace(decode(entry.envelope), bucket="f" * 64))
    ),
    "an exact entry": lambda entry: replace(
        entry, envelope=encode(replace(decode(entry.envelope), bucket="", question=""))
    ),
    "no question in clear": lambda entry: replace(entry, question="", envelope=b"x" * 100),
}


@pytest.mark.parametrize("moved", MOVED.values(), ids=MOVED.keys())
@pytest.mark.parametrize("context", ["window", "strict"])
async def test_the_semantic_tier_believes_nothing_that_was_planted(
    moved: Callable[[SemanticEntry], SemanticEntry], context: Any
) -> None:
    world = World(plan=full_plan(cache=CacheSettings(context=context)))
    await ask(world, body())
    ((name, entry),) = world.semantic.entries.items()
    world.semantic.entries[name] = moved(entry)
    client = await ask(world, body("how do I PAY"))
    assert (client.status, client.headers["x-tokenthrift-cache"]) == (200, "miss")
    assert world.event.reason == "foreign"
    assert name not in world.semantic.entries  # the new answer has an id of its own
    assert orjson.loads(client.received) == completion()


async def test_what_is_refused_is_counted_and_told_at_a_bounded_rate(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(plan=full_plan(cache=CacheSettings(backend=None)))
    sealer = Sealer("pepper")
    world.tools = replace(world.tools, sealer=sealer)
    with caplog.at_level(logging.WARNING, "tokenthrift.proxy"):
        for number in range(20):
            await ask(world, body(f"{number}?"))
            for key in world.exact.entries:
                world.exact.entries[key] = b"planted"
            world.tools.local_cache.clear()
            await ask(world, body(f"{number}?"))
    assert sealer.refusals.counts == {"exact": 20}
    assert len([line for line in caplog.messages if "failed their seal" in line]) == 1


async def test_encrypted_the_whole_way_is_the_same_and_holds_no_text() -> None:
    world = World()
    world.tools = replace(world.tools, sealer=SECRETS)
    await ask(world, body("How do I pay my rent?"))
    ((name, entry),) = world.semantic.entries.items()
    assert entry.question == ""
    for value in (entry.envelope, *world.exact.entries.values()):
        assert b"pay" not in value
        assert b"assistant" not in value
    assert (await ask(world, body("how do I PAY my rent"))).headers[
        "x-tokenthrift-cache"
    ] == "semantic"
    assert (await ask(world, body("How do I pay my rent?"))).headers[
        "x-tokenthrift-cache"
    ] == "exact"
    world.semantic.entries[name] = replace(entry, envelope=entry.envelope[:-1] + b"x")
    assert (await ask(world, body("How do I PAY my rent"))).headers["x-tokenthrift-cache"] == "miss"


async def test_what_was_stored_in_clear_serves_on_after_encryption_was_turned_on() -> None:
    world = World()
    await ask(world, body())
    world.tools = replace(world.tools, sealer=SECRETS)
    world.tools.local_cache.clear()
    assert (await ask(world, body())).headers["x-tokenthrift-cache"] == "exact"
    assert (await ask(world, body("how do I PAY"))).headers["x-tokenthrift-cache"] == "semantic"
    assert SEALER.encrypts is False
