"""A provider whose answer depends on `metadata.truth`, which no cache key holds:
the detail that a cache cannot see.

An answer gives two numbers that belong to the truth alone, in one of three wordings by turns, as a
model would. It carries the truth in `system_fingerprint`, so that whoever receives it knows whether
it was meant for them.
"""

import hashlib
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import uvicorn

_WORDINGS = (
    (
        "About {topic}: it takes {days} working days and costs {price} dollars. You find the form "
        "in the app under Account."
    ),
    (
        "It costs {price} dollars and takes {days} working days. This is about {topic}; the form "
        "is in the app, under Account."
    ),
    (
        "For {topic} please use the form under Account in the app. The price is {price} dollars, "
        "and it is done within {days} working days."
    ),
)


class Provider:
    """The ASGI application. `requests`: how often it was asked."""

    def __init__(self) -> None:
        self.requests = 0
        self._turn = itertools.count()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raw, more = b"", True
        while more:
            message = await receive()
            raw, more = raw + message.get("body", b""), message.get("more_body", False)
        self.requests += 1
        body = orjson.dumps(_completion(orjson.loads(raw), next(self._turn)))
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        await send({"type": "http.response.body", "body": body})


def _completion(asked: dict[str, Any], turn: int) -> dict[str, Any]:
    truth = str((asked.get("metadata") or {}).get("truth", ""))
    text = answer(truth, turn)
    return {
        "id": f"chatcmpl-{turn}",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": asked["model"],
        "system_fingerprint": truth,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": 20, "completion_tokens": 30, "total_tokens": 50},
    }


def answer(truth: str, turn: int) -> str:
    """What is true of it, in the wording whose turn it is."""
    digest = hashlib.sha256(truth.encode()).digest()
    topic = truth.partition(" ")[0].rpartition("/")[2].replace("_", " ")
    return _WORDINGS[turn % len(_WORDINGS)].format(
        topic=topic, days=2 + digest[0] % 28, price=31 + int.from_bytes(digest[1:4]) % 9000
    )


@contextmanager
def providing() -> Iterator[tuple[str, Provider]]:
    """The provider on a free port of the loopback interface, in a thread: its address with /v1."""
    provider = Provider()
    server = uvicorn.Server(
        uvicorn.Config(provider, host="127.0.0.1", port=0, log_level="error", lifespan="off")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1", provider
    finally:
        server.should_exit = True
        thread.join(10)
