"""The bare limit: an ASGI callable that reads the body, asks Redis one GET and answers."""

import argparse
from typing import Any

import uvicorn
from redis.asyncio import Redis

ANSWER = b'{"ok":true}'


def application(redis: Redis) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            more = (await receive()).get("more_body", False)
        await redis.get("benchmark")
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": ANSWER})

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--redis", required=True)
    chosen = parser.parse_args()
    app = application(Redis.from_url(chosen.redis))
    uvicorn.run(app, port=chosen.port, log_level="error", lifespan="off", loop="uvloop", http="httptools", access_log=False)
