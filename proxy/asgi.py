"""The async proxy view: /v1/* as a plain ASGI application,
beside Django and without its request handling.

    POST /v1/chat/completions        the pipeline
    GET  /v1/models[/{name}]         the routes this key may use
    POST /v1/cache/feedback          this cached answer was wrong

It owns `lifespan`, so clients open and close in the loop that uses them.
"""

import re
from collections.abc import Awaitable, Callable

import orjson

from proxy.asgi_client import AsgiClient, Receive, Scope, Send
from proxy.core.answers import ErrorAnswer
from proxy.core.errors import ClientDisconnected, GatewayError, MethodNotAllowed, PathNotFound
from proxy.core.ports import Client
from proxy.core.request_ids import REQUEST_ID, new_request_id
from proxy.endpoints.feedback import feedback
from proxy.endpoints.models import MODELS, list_models
from proxy.pipeline import chain
from proxy.pipeline.call import Call, evolve, open_call
from proxy.pipeline.stages.authenticate import authenticate
from proxy.pipeline.stages.respond import respond
from proxy.pipeline.toolbox import Toolbox
from proxy.runtime.worker import Running, open_toolbox

CHAT = "/v1/chat/completions"
FEEDBACK = "/v1/cache/feedback"
# How paths of OpenAI's API end, the ones that we do not serve among them.
ASTRAY = (
    "/completions",
    "/embeddings",
    "/responses",
    "/messages",
    "/models",
    "/moderations",
    "/api/chat",
    "/api/generate",
    "/v1",
)
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


class Gateway:
    """The ASGI callable.

    `opener` makes the tools when the server starts; tests hand in their own.
    """

    def __init__(self, opener: Callable[[], Awaitable[Running]] = open_toolbox) -> None:
        self._opener = opener
        self._running: Running | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        assert self._running is not None, "the server must run lifespan"  # noqa: S101 -- a server without it cannot work
        traffic = self._running.traffic
        traffic.now += 1
        try:
            await self._answer(self._running, scope, receive, send)
        finally:
            traffic.now -= 1

    @staticmethod
    async def _answer(running: Running, scope: Scope, receive: Receive, send: Send) -> None:
        tools = running.tools
        client = AsgiClient(scope, receive, send)
        call = open_call(
            client,
            request_id=new_request_id(),
            secret=_bearer(client.header(b"authorization")),
            cache_control=client.header(b"cache-control"),
            trace=running.tracing.begin(client.header(b"traceparent")) if running.tracing else None,
        )
        REQUEST_ID.set(call.request_id)
        path = scope["path"].rstrip("/")
        if path == CHAT and scope["method"] == "POST":
            await chain.run(call, tools)
        else:
            await _other(call, tools, scope["method"], path)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self._running = await self._opener()
        except Exception as error:
            await send(
                {"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"}
            )
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._running.close()
        await send({"type": "lifespan.shutdown.complete"})


def _bearer(header: str) -> str | None:
    """The token of `Authorization: Bearer <token>` (RFC 6750); the scheme in any case."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def _other(call: Call, tools: Toolbox, method: str, path: str) -> None:
    """Everything under /v1 that is no chat request: the models, feedback, and clear refusals."""
    try:
        if path not in (CHAT, MODELS, FEEDBACK) and not path.startswith(f"{MODELS}/"):
            served = f"POST {CHAT}, POST {FEEDBACK} and GET {MODELS}"
            raise PathNotFound(
                f"{path[:200]} is not served. The base URL is {base_url(call.client)}: "
                f"served are {served}."
            )
        expected = ("POST",) if path in (CHAT, FEEDBACK) else ("GET", "HEAD")
        if method not in expected:
            raise MethodNotAllowed(f"{method} is not allowed here: use {expected[0]}.")
        call = await authenticate(call, tools)
        if path == FEEDBACK:
            body = orjson.dumps(await feedback(call, tools))
        else:
            body = orjson.dumps(
                list_models(call, tools, path.removeprefix(MODELS).removeprefix("/"))
            )
    except ClientDisconnected:
        return
    except GatewayError as error:
        await respond(evolve(call, answer=ErrorAnswer(error), outcome="refused"), tools)
        return
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", call.request_id.encode()),
    ]
    await call.client.start_response(200, headers)
    await call.client.send_body(b"" if method == "HEAD" else body, more=False)


def is_astray(path: str) -> bool:
    """Whether an OpenAI client with another base URL than ours asks for this path,
    which is not below /v1: without /v1, with a slash too many, as on Azure
    (/openai/deployments/...), Gemini (/v1beta/openai) or Ollama."""
    ends = "/" + "/".join(part for part in path.split("/") if part)
    return ends.endswith(ASTRAY) and not ends.startswith(
        ("/admin/", "/token-saving/", "/dashboard/", "/static/")
    )


def base_url(client: Client) -> str:
    """What an SDK's base URL must be to reach us, as far as the request tells."""
    host = client.header(b"host") if isinstance(client, AsgiClient) else ""
    scheme = client.scheme if isinstance(client, AsgiClient) else "http"
    return (
        f"{scheme}://{host}/v1"
        if _HOST.fullmatch(host)
        else "the address of this server with /v1 at its end"
    )


application = Gateway()
