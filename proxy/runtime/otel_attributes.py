"""The attributes of a request's spans, without any text of the request or its answer."""

from typing import Any
from urllib.parse import urlsplit

from proxy.core.providers import get_provider
from proxy.pipeline.call import Call
from stats.events import Event

AttributeValue = str | bool | int | float | tuple[str, ...]
SpanAttributes = dict[str, AttributeValue]
PARAMETER_NAMES = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
}


def build_server_attributes(call: Call, event: Event) -> SpanAttributes:
    """Return the attributes of the request as the client sees it."""
    # Billed tokens are on the client span only, so that they are not counted twice.
    saved = event.cost_saved
    return _drop_empty(
        {
            "http.request.method": "POST",
            "http.route": "/v1/chat/completions",
            "url.path": "/v1/chat/completions",
            "http.response.status_code": event.status,
            "error.type": _find_error_type(event),
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": event.route,
            "gen_ai.request.stream": event.stream,
            "tokenthrift.request_id": event.event_id,
            "tokenthrift.tenant": event.tenant,
            "tokenthrift.plan": event.plan,
            "tokenthrift.plan_version": event.plan_version,
            "tokenthrift.tier": event.tier,
            "tokenthrift.reason": event.reason,
            "tokenthrift.outcome": event.outcome,
            "tokenthrift.would": event.would,
            "tokenthrift.collapsed": event.collapsed,
            "tokenthrift.stale": event.stale,
            "tokenthrift.similarity": event.similarity,
            "tokenthrift.score": event.score,
            "tokenthrift.failures": event.failures,
            "tokenthrift.compression": event.engine,
            "tokenthrift.tokens_saved": event.tokens_saved,
            "tokenthrift.cost_saved_usd": None if saved is None else float(saved),
            "tokenthrift.overhead_ms": round(event.overhead_ms, 3),
        }
    )


def build_client_attributes(call: Call, event: Event) -> SpanAttributes:
    """Return the attributes of the call to the provider."""
    upstream, said = call.resolved_route.upstream, call.completion or {}
    address = urlsplit(upstream.base_url)
    asked = call.chat_request.body
    given = {
        f"gen_ai.request.{name}": asked[field]
        for field, name in PARAMETER_NAMES.items()
        if isinstance(asked.get(field), int | float)
    }
    return _drop_empty(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": get_provider(upstream.provider).trace_name or upstream.provider,
            "gen_ai.request.model": event.model,
            "gen_ai.request.stream": event.stream,
            **given,
            "gen_ai.response.model": _truncate_text(said.get("model")),
            "gen_ai.response.id": _truncate_text(said.get("id")),
            "gen_ai.response.finish_reasons": _list_finish_reasons(said),
            "gen_ai.usage.input_tokens": event.prompt_tokens,
            "gen_ai.usage.output_tokens": event.completion_tokens,
            "gen_ai.usage.cache_read.input_tokens": event.cached_tokens,
            "server.address": address.hostname,
            "server.port": address.port or (443 if address.scheme == "https" else 80),
            "error.type": _find_error_type(event),
            "tokenthrift.upstream": event.upstream,
        }
    )


def _drop_empty(values: dict[str, Any]) -> SpanAttributes:
    """Drop None and empty values, which attributes may not have."""
    return {
        name: value for name, value in values.items() if value is not None and value not in ("", ())
    }


def _find_error_type(event: Event) -> str:
    """Return the error code, the status or the outcome of a failed request, else ""."""
    if event.outcome == "ok" and event.status < 400:
        return ""
    return event.error_code or (str(event.status) if event.status >= 400 else event.outcome)


def _truncate_text(value: object) -> str:
    return value[:100] if isinstance(value, str) else ""


def _list_finish_reasons(said: dict[str, Any]) -> tuple[str, ...]:
    choices = said.get("choices")
    found = (
        [choice.get("finish_reason") for choice in choices if isinstance(choice, dict)]
        if isinstance(choices, list)
        else []
    )
    return tuple(_truncate_text(reason) for reason in found if isinstance(reason, str))
