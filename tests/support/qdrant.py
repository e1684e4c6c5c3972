"""A stand-in for a Qdrant server: the client library's local engine behind Qdrant's REST paths,
in a process of its own.

It proves what we send, what several workers see of each other, and what happens when a server
freezes or dies. It proves nothing about the real server's search: for that, set QDRANT_URL (and
TOKENTHRIFT_QDRANT_API_KEY) when running the tests.
"""

import sys
import warnings
from typing import Any

import orjson
import uvicorn
from qdrant_client import AsyncQdrantClient, models

warnings.filterwarnings("ignore", message="Payload indexes have no effect in the local Qdrant")


class StandIn:
    """Empty when it starts. With `api_key`, a request without it is refused."""

    def __init__(self, api_key: str) -> None:
        self._key = api_key.encode()
        self._engine = AsyncQdrantClient(location=":memory:")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raw, more = b"", True
        while more:
            message = await receive()
            raw, more = raw + message.get("body", b""), message.get("more_body", False)
        status, result = 401, None
        if not self._key or dict(scope["headers"]).get(b"api-key") == self._key:
            status, result = await self._answer(
                scope["method"],
                scope["path"].strip("/").split("/"),
                orjson.loads(raw) if raw else {},
            )
        body = orjson.dumps(
            {
                "result": result,
                "status": "ok" if status == 200 else {"error": str(result)},
                "time": 0.0,
            }
        )
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, method: str, path: list[str], body: Any) -> tuple[int, Any]:
        if len(path) == 1:
            return 200, (await self._engine.get_collections()).model_dump(mode="json")
        name, action = path[1], " ".join([method, *path[2:]])
        exists = await self._engine.collection_exists(name)
        if action == "GET exists":
            return 200, {"exists": exists}
        if action == "PUT" and exists:
            return 409, "it exists"
        if action != "PUT" and not exists:
            return 404, "no such collection"
        return 200, await getattr(self, f"_{action.replace(' ', '_').lower()}")(name, body)

    async def _put(self, name: str, body: Any) -> bool:
        vectors = models.CreateCollection.model_validate(body).vectors
        return await self._engine.create_collection(name, vectors_config=vectors)

    async def _delete(self, name: str, _: Any) -> bool:
        return await self._engine.delete_collection(name)

    async def _put_index(self, name: str, body: Any) -> Any:
        asked = models.CreateFieldIndex.model_validate(body)
        return _plain(
            await self._engine.create_payload_index(name, asked.field_name, asked.field_schema)
        )

    async def _put_points(self, name: str, body: Any) -> Any:
        return _plain(
            await self._engine.upsert(name, models.PointsList.model_validate(body).points)
        )

    async def _post_points(self, name: str, body: Any) -> Any:
        asked = models.PointRequest.model_validate(body)
        found = await self._engine.retrieve(
            name,
            asked.ids,
            with_payload=asked.with_payload or False,
            with_vectors=asked.with_vector or False,
        )
        return [_plain(one) for one in found]

    async def _post_points_query(self, name: str, body: Any) -> Any:
        asked = models.QueryRequest.model_validate(body)
        found = await self._engine.query_points(
            name,
            query=asked.query.nearest
            if isinstance(asked.query, models.NearestQuery)
            else asked.query,
            query_filter=asked.filter,
            limit=asked.limit or 10,
            score_threshold=asked.score_threshold,
            with_payload=asked.with_payload or False,
        )
        return _plain(found)

    async def _post_points_scroll(self, name: str, body: Any) -> Any:
        asked = models.ScrollRequest.model_validate(body)
        points, after = await self._engine.scroll(
            name,
            asked.filter,
            limit=asked.limit or 10,
            offset=asked.offset,
            with_payload=asked.with_payload or False,
        )
        return {"points": [_plain(point) for point in points], "next_page_offset": after}

    async def _post_points_count(self, name: str, body: Any) -> Any:
        return _plain(
            await self._engine.count(
                name, models.CountRequest.model_validate(body).filter, exact=True
            )
        )

    async def _post_points_delete(self, name: str, body: Any) -> Any:
        kind = models.FilterSelector if "filter" in body else models.PointIdsList
        return _plain(await self._engine.delete(name, kind.model_validate(body)))


def _plain(model: Any) -> Any:
    return model.model_dump(mode="json")


if __name__ == "__main__":
    uvicorn.run(StandIn(sys.argv[2]), port=int(sys.argv[1]), log_level="warning", lifespan="off")
