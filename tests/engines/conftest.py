"""The semantic backends as a fixture: what takes `backend` runs once with each."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.conftest import QDRANT
from tests.support.backends import Backend
from tests.support.servers import QdrantServer


@pytest.fixture(scope="session")
def qdrant_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = QdrantServer(tmp_path_factory.mktemp("qdrant"))
    yield server.url
    server.kill()


@pytest_asyncio.fixture(
    params=[
        "pgvector",
        "redis",
        "qdrant-local",
        "qdrant-rest",
        *(["qdrant-server"] if QDRANT[0] else []),
    ]
)
async def backend(
    request: pytest.FixtureRequest, database_url: str, redis_url: str, qdrant_url: str
) -> AsyncIterator[Backend]:
    url, *key = {"pgvector": [database_url], "redis": [redis_url], "qdrant-server": QDRANT}.get(
        request.param, [qdrant_url]
    )
    made = Backend(request.param, url, *key)
    yield made
    await made.sweep()
    for cache in made.open:
        await cache.close()
