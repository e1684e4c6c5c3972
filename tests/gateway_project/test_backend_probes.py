"""A plan may choose `qdrant_semantic` only while a server is configured and answers;
otherwise it is told why not."""

import sys
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from gateway_project import backend_probes, running_capabilities
from gateway_project.checks import services
from gateway_project.embedded import processes
from proxy.runtime.semantic_indexes import open_semantic_caches
from tests.support.fakes import FakeEmbedder
from tests.support.servers import QdrantServer
from tests.support.upstream import running_upstream

Settings = Any
EMBEDDER = FakeEmbedder()


@pytest.fixture
def server(tmp_path: Path) -> Any:
    made = QdrantServer(tmp_path, "the-key")
    yield made
    made.kill()


def listed() -> Any:
    return next(
        engine
        for engine in running_capabilities.RunningCapabilities().list_cache_engines()
        if engine.name == "qdrant_semantic"
    )


@pytest.mark.django_db
def test_without_a_server_it_is_listed_with_the_reason(settings: Settings) -> None:
    settings.QDRANT_URL = ""
    assert not listed().available
    assert "set QDRANT_URL" in listed().reason
    assert services.check_qdrant() == []  # nobody asked for it


@pytest.mark.django_db
def test_with_a_server_that_answers_it_can_be_chosen(
    settings: Settings, server: QdrantServer
) -> None:
    settings.QDRANT_URL, settings.QDRANT_API_KEY = f"{server.url}/", "the-key"
    assert listed().available
    assert services.check_qdrant() == []
    settings.QDRANT_API_KEY = "another"
    assert "refuses the key" in listed().reason
    settings.QDRANT_API_KEY = "the-key"
    with server.frozen():
        assert "No Qdrant answers" in listed().reason
    server.kill()
    assert "No Qdrant answers" in listed().reason
    assert [(message.id, message.is_serious()) for message in services.check_qdrant()] == [
        ("tokenthrift.W025", False)
    ]


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:6333",
        "http://127.0.0.1:port",
        "http://127.0.0.1:{free}",
        "ftp://127.0.0.1",
        "http://",
    ],
)
def test_an_address_where_no_qdrant_answers_is_refused(settings: Settings, url: str) -> None:
    settings.QDRANT_URL = url.format(free=processes.find_free_port())
    assert str(backend_probes.probe_qdrant()).startswith("No Qdrant answers")


def test_another_service_at_that_address_is_not_taken_for_it(settings: Settings) -> None:
    with running_upstream() as upstream:
        upstream.status, upstream.body = 200, b"{}"
        settings.QDRANT_URL = f"http://127.0.0.1:{upstream.port}"
        assert str(backend_probes.probe_qdrant()).startswith("No Qdrant answers")


@pytest.mark.django_db
def test_without_its_client_it_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.QDRANT_URL = "http://127.0.0.1:6333"
    monkeypatch.setitem(sys.modules, "qdrant_client", None)
    monkeypatch.delitem(sys.modules, "proxy.engines.semantic.qdrant", raising=False)
    assert "requirements-qdrant.txt" in str(backend_probes.probe_qdrant())
    assert set(open_semantic_caches(EMBEDDER)) == {"pgvector_semantic", "redis_semantic"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "on"),
    [
        ("", False),
        ("ftp://127.0.0.1", False),
        ("http://127.0.0.1:port", False),
        ("http://127.0.0.1:6333", True),
    ],
)
def test_a_gateway_starts_whatever_the_address_says(settings: Settings, url: str, on: bool) -> None:
    settings.QDRANT_URL = url
    assert ("qdrant_semantic" in open_semantic_caches(EMBEDDER)) == on


def test_the_semantic_redis_may_be_behind_a_socket(
    settings: Settings, redis_url: str, tmp_path: Path
) -> None:
    """The search module knows the database 0 alone, whatever the address names."""
    settings.REDIS_SEMANTIC_URL = f"{redis_url}/5"
    assert backend_probes.probe_redis_search() is None
    with Redis.from_url(redis_url) as client:
        socket = str(client.config_get("unixsocket")["unixsocket"])
    if socket:
        settings.REDIS_SEMANTIC_URL = f"unix://{socket}?db=5"
        assert backend_probes.probe_redis_search() is None
    settings.REDIS_SEMANTIC_URL = f"unix://{tmp_path}/none.sock"
    assert f"{tmp_path}/none.sock does not answer" in str(backend_probes.probe_redis_search())


@pytest.mark.parametrize("url", ["redis://127.0.0.1:port/0", "http://127.0.0.1", "", "redis://["])
def test_an_address_of_no_redis_is_a_reason_and_no_fault(settings: Settings, url: str) -> None:
    settings.REDIS_SEMANTIC_URL = url
    assert backend_probes.probe_redis_search() == "REDIS_SEMANTIC_URL is no address of a Redis."
