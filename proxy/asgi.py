"""The ASGI application for /v1/*, which bypasses Django's request handling.

POST /v1/chat/completions        the pipeline
GET  /v1/models[/{name}]         the routes this key may use
POST /v1/cache/feedback          report a cached answer as wrong
"""

import re
from collections.abc import Awaitable, Callable

import orjson

from proxy.asgi_client import AsgiClient, Receive, Scope, Send
from proxy.core.answers import ErrorAnswer
from proxy.core.errors import ClientDisconnected, GatewayError, MethodNotAllowed, PathNotFound
from proxy.core.ports import Client
from proxy.core.request_ids import REQUEST_ID, new_request_id
from proxy.endpoints.feedback import accept_feedback
from proxy.endpoints.models import MODELS_PATH, list_models
from proxy.pipeline import chain
from proxy.pipeline.call import Call, evolve, open_call
from proxy.pipeline.stages.authenticate import authenticate
from proxy.pipeline.stages.respond import respond
from proxy.pipeline.toolbox import Toolbox
from proxy.runtime.worker import Worker, start_worker

CHAT_PATH = "/v1/chat/completions"
FEEDBACK_PATH = "/v1/cache/feedback"
PLAN_HEADER = b"x-token-saving-plan"
# Endings of OpenAI API paths, including ones that are not served.
OPENAI_PATH_ENDINGS = (
    "/completions",
    "/embeddings",
    "/responses",
    "/messages",
    "/models",
    "/moderations",
    "/api/chat",
    "/api/generate",
)
PAGE_PREFIXES = ("/account/", "/admin/", "/dashboard/", "/sso/", "/static/", "/token-saving/")
_HOST_PATTERN = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


class Gateway:
    """The ASGI application; `opener` starts the worker, tests pass their own."""

    def __init__(self, opener: Callable[[], Awaitable[Worker]] = start_worker) -> None:
        self._start_worker = opener
        self._worker: Worker | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
            return
        assert self._worker is not None, "the server must run lifespan"  # noqa: S101 -- required
        traffic = self._worker.in_flight
        traffic.request_count += 1
        try:
            await self._answer_request(self._worker, scope, receive, send)
        finally:
            traffic.request_count -= 1

    @staticmethod
    async def _answer_request(running: Worker, scope: Scope, receive: Receive, send: Send) -> None:
        tools = running.tools
        client = AsgiClient(scope, receive, send)
        call = open_call(
            client,
            request_id=new_request_id(),
            secret=_parse_bearer_token(client.get_header(b"authorization")),
            cache_control=client.get_header(b"cache-control"),
            plan_header=client.get_header(PLAN_HEADER).strip(),
            headers=scope["headers"],
            trace=running.tracing.begin_trace(client.get_header(b"traceparent"))
            if running.tracing
            else None,
        )
        REQUEST_ID.set(call.request_id)
        path = scope["path"].rstrip("/")
        if path == CHAT_PATH and scope["method"] == "POST":
            await chain.run(call, tools)
        else:
            await _answer_other_path(call, tools, scope["method"], path)

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        # The worker starts and stops here, so that its clients live in the loop that uses them.
        await receive()
        try:
            self._worker = await self._start_worker()
        except Exception as error:
            await send(
                {"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"}
            )
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._worker.close()
        await send({"type": "lifespan.shutdown.complete"})


def _parse_bearer_token(header: str) -> str | None:
    """Return the token of `Authorization: Bearer <token>` (RFC 6750); the scheme in any case."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def _answer_other_path(call: Call, tools: Toolbox, method: str, path: str) -> None:
    """Answer everything under /v1 except chat requests: models, feedback and errors."""
    try:
        if path not in (CHAT_PATH, MODELS_PATH, FEEDBACK_PATH) and not path.startswith(
            f"{MODELS_PATH}/"
        ):
            served = f"POST {CHAT_PATH}, POST {FEEDBACK_PATH} and GET {MODELS_PATH}"
            raise PathNotFound(
                f"{path[:200] or '/'} is not served. The base URL is "
                f"{describe_base_url(call.client)}: served are {served}."
            )
        expected = ("POST",) if path in (CHAT_PATH, FEEDBACK_PATH) else ("GET", "HEAD")
        if method not in expected:
            raise MethodNotAllowed(f"{method} is not allowed here: use {expected[0]}.")
        call = await authenticate(call, tools)
        if path == FEEDBACK_PATH:
            body = orjson.dumps(await accept_feedback(call, tools))
        else:
            body = orjson.dumps(
                list_models(call, tools, path.removeprefix(MODELS_PATH).removeprefix("/"))
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


def is_api_request(method: str, path: str) -> bool:
    """Return whether an OpenAI client sent this request, be it with a wrong base URL."""
    # Without /v1, with an extra slash, or as on Azure (/openai/deployments/...), Gemini
    # (/v1beta/openai) or Ollama.
    parts = [part for part in path.split("/") if part]
    if not parts:  # the page there is only read
        return method not in ("GET", "HEAD")
    ends = "/" + "/".join(parts)
    return ("v1" in parts or ends.endswith(OPENAI_PATH_ENDINGS)) and (
        not ends.startswith(PAGE_PREFIXES)
    )


def describe_base_url(client: Client) -> str:
    """Return the base URL an SDK needs to reach the gateway, as far as the request shows it."""
    host = client.get_header(b"host") if isinstance(client, AsgiClient) else ""
    scheme, prefix = client.published_at if isinstance(client, AsgiClient) else ("http", "")
    return (
        f"{scheme}://{host}{prefix}/v1"
        if _HOST_PATTERN.fullmatch(host)
        else "the address of this server with /v1 at its end"
    )


application = Gateway()
