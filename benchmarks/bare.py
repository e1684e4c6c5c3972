"""The bare limit of an exact hit: an ASGI callable that reads the body,
asks Redis one GET and answers with what is there.

python -m benchmarks.bare --port 9001 --redis redis://...
python -m benchmarks.bare --loop 3 --redis redis://...      the GETs alone, 16 at a time for 3 s;
                                                            prints how many a second
"""

import argparse
import asyncio
import time
from typing import Any

import uvicorn
import uvloop
from redis.asyncio import Redis

# As large as a short completion.
KEY, ANSWER = "tokenthrift-bench-bare", b'{"ok":"%b"}' % (b"x" * 700)
AT_ONCE = 16


def application(redis: Redis) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            more = (await receive()).get("more_body", False)
        body = await redis.get(KEY) or ANSWER
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


async def loop(redis: Redis, seconds: float) -> float:
    """GETs a second."""
    await redis.set(KEY, ANSWER)
    end, done = time.perf_counter() + seconds, 0

    async def ask() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await redis.get(KEY)
            done += 1

    await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
    await redis.aclose()
    return done / seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--redis", required=True)
    parser.add_argument("--port", type=int)
    parser.add_argument("--loop", type=float)
    chosen = parser.parse_args()
    redis: Redis = Redis.from_url(chosen.redis)
    if chosen.loop:
        print(uvloop.run(loop(redis, chosen.loop)))
    else:
        uvicorn.run(
            application(redis),
            port=chosen.port,
            log_level="error",
            lifespan="off",
            loop="uvloop",
            http="httptools",
            access_log=False,
        )


if __name__ == "__main__":
    main()
