"""The embedded Redis runs with the search module, and without it where no package has one."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from gateway_project.embedded import processes, redis
from gateway_project.embedded.redis import EmbeddedRedis, find_search_module
from stats.redis_connection import open_redis


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that services run by root can enter."""
    with tempfile.TemporaryDirectory(prefix="tokenthrift-redis-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def serve(folder: Path) -> EmbeddedRedis:
    return EmbeddedRedis(
        folder / "redis",
        folder / "redis.log",
        port=processes.find_free_port(),
        password="secret",
        account=processes.choose_account(),
    )


@pytest.mark.skipif(find_search_module() is None, reason="no search module for this platform")
def test_with_its_module_it_searches(folder: Path) -> None:
    server = serve(folder)
    child = server.start_process()
    try:
        with open_redis(server.url, seconds=2) as client:
            assert client.execute_command("FT._LIST") == []  # type: ignore[no-untyped-call]
    finally:
        processes.stop_process(child, server.stop_signal)


def test_without_a_module_it_caches_and_says_that_it_cannot_search(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "find_search_module", lambda: None)
    server = serve(folder)
    # Files of a Redis 8, which Valkey would refuse to start with.
    (folder / "redis" / "appendonlydir").mkdir(parents=True)
    (folder / "redis" / "appendonlydir" / "appendonly.aof.manifest").write_text("of another kind")
    child = server.start_process()
    try:
        with open_redis(server.url, seconds=2) as client:
            client.set("key", "value")
            assert client.get("key") == b"value"
            with pytest.raises(ResponseError, match="unknown command"):
                client.execute_command("FT._LIST")  # type: ignore[no-untyped-call]
    finally:
        processes.stop_process(child, server.stop_signal)
    assert os.listdir(folder / "redis" / "valkey") == ["appendonlydir"]
