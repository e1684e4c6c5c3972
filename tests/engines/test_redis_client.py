"""Every client of Redis is made in one of two places, names itself,
and costs a call no more than its deadline when Redis hangs."""

import ast
import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from redis.exceptions import ResponseError

from proxy.core.errors import ToolUnavailable
from proxy.core.flights import Flight, FlightRegistry
from proxy.core.ports import SemanticEntry
from proxy.core.prompt_caching.conversations import LastPrompt
from proxy.engines.coalescing.redis import HEARTBEAT_SECONDS, RedisLeases
from proxy.engines.conversations.redis import RedisConversationStore
from proxy.engines.exact.redis import RedisExactCache
from proxy.engines.redis_client import RedisFaults, open_redis
from proxy.engines.semantic.redis import RedisSearchCache
from tests.support.entries import SEALER, make_semantic_entry
from tests.support.servers import RedisServer

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gateway_project", "accounts", "plans", "proxy", "stats")
CLIENT_MODULES = {"proxy/engines/redis_client.py", "stats/redis_connection.py"}
DEADLINE = 0.2
LOOSE = 1.0  # seconds a busy machine may add
VECTOR = np.eye(1, 4, dtype=np.float32)[0]
Engines = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path_factory.mktemp("redis"))
    yield made
    made.kill()


def iter_redis_calls(source: str) -> Iterator[str]:
    """What of redis-py a module calls, by its full name, but for exceptions and their kin."""
    tree = ast.parse(source)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                names[each.asname or each.name.split(".")[0]] = (
                    each.name if each.asname else each.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, _, rest = ast.unparse(node.func).partition(".")
            called = f"{names.get(first, '')}.{rest}".strip(".")
            if called.startswith("redis.") and not called.startswith("redis.exceptions."):
                yield called


def test_clients_of_redis_are_made_in_two_modules() -> None:
    builders = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if list(iter_redis_calls(path.read_text()))
    }
    assert builders == CLIENT_MODULES


@pytest.mark.parametrize(
    "source",
    [
        "import redis\nredis.Redis()",
        "import redis.asyncio\nredis.asyncio.Redis.from_url('')",
        "import redis.asyncio as aio\naio.from_url('')",
        "from redis import asyncio as aio\naio.ConnectionPool()",
        "from redis.asyncio import Redis as Client\ndef f():\n    return Client.from_url('')",
    ],
)
def test_the_scan_knows_every_way_to_make_one(source: str) -> None:
    assert list(iter_redis_calls(source))


def open_engines(url: str) -> Engines:
    times: dict[str, Any] = {"prefix": "hung", "timeout": DEADLINE}
    return {
        "exact": RedisExactCache(url, **times),
        "chats": RedisConversationStore(url, sealer=SEALER, **times),
        "flights": RedisLeases(url, FlightRegistry(), sealer=SEALER, **times),
        "redis_semantic": RedisSearchCache(url, "embedder", 4, write_timeout=DEADLINE, **times),
    }


def build_entry() -> SemanticEntry:
    return make_semantic_entry("embedder", VECTOR)


# Every call of an engine that asks Redis, and within how many seconds it gives up.
CALLS: dict[str, tuple[str, float, Callable[[Any], Awaitable[object]]]] = {
    "get": ("exact", DEADLINE, lambda tool: tool.get("k")),
    "set": ("exact", DEADLINE, lambda tool: tool.set("k", b"v", 60)),
    "delete": ("exact", DEADLINE, lambda tool: tool.delete("k")),
    "claim": ("exact", DEADLINE, lambda tool: tool.claim("c", 60)),
    "load": ("chats", DEADLINE, lambda tool: tool.load("c", tenant=1, route=1)),
    "save": (
        "chats",
        DEADLINE,
        lambda tool: tool.save("c", LastPrompt("cut", 1.0, 2), turn=1, tenant=1, route=1),
    ),
    "claim_flight": (
        "flights",
        HEARTBEAT_SECONDS,
        lambda tool: tool.claim_flight(Flight("k")),
    ),
    "follow_flight": ("flights", HEARTBEAT_SECONDS, lambda tool: tool.follow_flight("k", "w:1:s")),
    "find_nearest": (
        "redis_semantic",
        DEADLINE,
        lambda tool: tool.find_nearest("b", VECTOR, floor=0.9, limit=3),
    ),
    "add": ("redis_semantic", DEADLINE, lambda tool: tool.add(build_entry())),
    "remove": ("redis_semantic", DEADLINE, lambda tool: tool.delete("e")),
    "read": ("redis_semantic", DEADLINE, lambda tool: tool.get("e")),
    "check_ready": ("redis_semantic", DEADLINE, lambda tool: tool.check_ready()),
}


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "new"])
@pytest.mark.parametrize("call", CALLS)
async def test_a_hung_redis_costs_a_call_its_deadline(
    server: RedisServer, call: str, connected: bool
) -> None:
    tool, seconds, ask = CALLS[call]
    engines = open_engines(server.url)
    if connected:
        await ask(engines[tool])
    with server.frozen():
        start = time.monotonic()
        with pytest.raises(ToolUnavailable) as refused:
            async with asyncio.timeout(seconds + 10 * LOOSE):
                await ask(engines[tool])
        took = time.monotonic() - start
        assert refused.value.tool == tool
        assert seconds * 0.9 <= took <= seconds + LOOSE
    for engine in engines.values():
        await engine.close()


async def test_redis_lists_whose_connection_it_is(server: RedisServer) -> None:
    client = open_redis(server.url, name="exact", connect_seconds=1, command_seconds=1)
    listed = [each["lib-name"] for each in await client.client_list()]
    await client.aclose()
    assert "redis-py(tokenthrift-exact)" in listed


async def test_a_redis_that_forbids_naming_is_used_all_the_same(server: RedisServer) -> None:
    admin: Any = open_redis(server.url, name="admin", connect_seconds=1, command_seconds=1)
    await admin.execute_command("ACL", "SETUSER", "plain", "on", ">pw", "~*", "+get", "+set")
    url = server.url.replace("://", "://plain:pw@")
    client = open_redis(url, name="exact", connect_seconds=1, command_seconds=1)
    assert await client.set("named", b"no")
    assert await client.get("named") == b"no"
    await client.aclose()
    await admin.aclose()


def test_faults_are_told_apart_from_errors_of_ours() -> None:
    with pytest.raises(ToolUnavailable, match="exact: ResponseError"), RedisFaults("exact"):
        raise ResponseError("key of somebody")
    with pytest.raises(ValueError, match="ours"), RedisFaults("exact"):
        raise ValueError("ours")
