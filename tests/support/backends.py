"""Semantic caches of one kind, real ones, for tests that must hold for every kind."""

import time
import uuid
from typing import Any

import numpy as np
from qdrant_client import AsyncQdrantClient

from proxy.core.ports import SemanticEntry
from proxy.core.types import Vector
from proxy.engines.semantic.pgvector import PgvectorCache
from proxy.engines.semantic.qdrant import QdrantCache
from proxy.engines.semantic.redis import RedisSearchCache

AnyCache = PgvectorCache | RedisSearchCache | QdrantCache
DIMENSION = 8
GENEROUS = 10.0  # the deadline is not what these tests are about, and test machines are busy


class Backend:
    """Caches of one kind whose entries no other test sees."""

    def __init__(self, kind: str, url: str, api_key: str = "") -> None:
        self.kind = kind
        self.url = url
        self.api_key = api_key
        self.local = AsyncQdrantClient(location=":memory:") if kind == "qdrant-local" else None
        self.run = uuid.uuid4().hex[:12]
        self.open: list[AnyCache] = []

    def cache(
        self, embedder: str = "tiny", dimension: int = DIMENSION, instance: str = ""
    ) -> AnyCache:
        made: AnyCache
        name, prefix = self.embedder(embedder), f"{self.run}{instance}"
        if self.kind == "pgvector":
            made = PgvectorCache(self.url, name, dimension, timeout=GENEROUS)
        elif self.kind == "redis":
            made = RedisSearchCache(self.url, name, dimension, prefix=prefix, timeout=GENEROUS)
        elif self.local is not None:
            made = QdrantCache(
                self.local, name, dimension, prefix=prefix, timeout=GENEROUS, write_timeout=GENEROUS
            )
        else:
            made = QdrantCache.from_url(
                self.url,
                self.api_key,
                name,
                dimension,
                prefix=prefix,
                timeout=GENEROUS,
                write_timeout=GENEROUS,
            )
        self.open.append(made)
        return made

    def embedder(self, name: str) -> str:
        return f"{name}@{self.run}"

    def entry(self, entry_id: str, vector: Vector, **fields: Any) -> SemanticEntry:
        known: dict[str, Any] = {
            "bucket": "b1",
            "scope": "s1",
            "question": f"question {entry_id}",
            "envelope": entry_id.encode(),
            "ttl": 60.0,
        }
        known |= fields
        now, ttl = time.time(), known.pop("ttl")
        embedder = self.embedder(known.pop("embedder", "tiny"))
        return SemanticEntry(
            entry_id=self.id(entry_id),
            plan_id=1,
            embedder=embedder,
            vector=vector,
            created_at=now,
            expires_at=now + ttl,
            **known,
        )

    def id(self, name: str) -> str:
        return f"{self.run}{name}"

    async def sweep(self) -> None:
        """Of a server that lives on, only our collections are taken away."""
        if self.kind == "qdrant-server":
            client = AsyncQdrantClient(
                url=self.url, api_key=self.api_key or None, check_compatibility=False
            )
            for collection in (await client.get_collections()).collections:
                if collection.name.startswith(self.run):
                    await client.delete_collection(collection.name)
            await client.close()


def at(degrees: float, dimension: int = DIMENSION) -> Vector:
    """A unit vector that far from the first axis."""
    vector = np.zeros(dimension, dtype=np.float32)
    vector[0], vector[1] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vector
