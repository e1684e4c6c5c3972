"""Traces of a real gateway, as a real collector gets them;
and what a collector that hangs costs."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_django import Settings

from gateway_project.checks import deployment
from proxy.core.trace_context import TraceContext, parse_traceparent
from tests.support.collector import Collector, Span, running_collector
from tests.support.gateways import ROUTE, Gateway, running_gateway
from tests.support.upstream import MockUpstream, running_upstream

CANARY = "canary-7f31"
OURS, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
OPENED = """
import os, sys, django
os.environ["DJANGO_SETTINGS_MODULE"] = "gateway_project.settings"
django.setup()
from proxy import asgi; from proxy.runtime import worker
worker.open_tracing()
print(any(name.startswith("opentelemetry.exporter") for name in sys.modules))
"""
SERVER, CLIENT = "POST /v1/chat/completions", "chat gpt-4o-mini"


class Listening(MockUpstream):
    """An upstream that keeps the `traceparent` it was sent."""

    heard: list[str]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.heard.append(dict(scope["headers"]).get(b"traceparent", b"").decode())
        await super().__call__(scope, receive, send)


@pytest.fixture(scope="module")
def upstream() -> Iterator[MockUpstream]:
    with running_upstream() as running:
        running.__class__ = Listening
        running.heard = []  # type: ignore[attr-defined]  # it is Listening by now
        yield running


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    upstream: MockUpstream, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("traces")
    with running_gateway(
        upstream, folder, TOKENTHRIFT_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="100"
    ) as running:
        made = running.api(
            "POST",
            "/token-saving/plans",
            json={"plan_name": "desk", "cache": {"similarity_threshold": 0.8}},
        )
        assert made.status_code == 201, made.text
        running.wait_plan("desk")
        yield running


def asked(
    gateway: Gateway, question: str, trace_id: str, *, flags: str = "01", **fields: Any
) -> httpx.Response:
    """One chat request within a trace of the caller's."""
    body = {
        "model": ROUTE,
        "messages": [{"role": "user", "content": f"{question} {CANARY}"}],
        "token_saving_plan_id": "desk",
    } | fields
    headers = {
        "authorization": f"Bearer {gateway.virtual_key}",
        "traceparent": f"00-{trace_id}-{SPAN}-{flags}",
    }
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers, timeout=60)


def arrived(collector: Collector, trace_id: str) -> dict[str, Span]:
    """The trace, once its server span is there, which is exported last."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if SERVER in collector.of(trace_id):
            return collector.of(trace_id)
        time.sleep(0.05)
    raise AssertionError([span.name for span in collector.spans])


def test_a_miss_is_a_server_span_with_its_stages_and_the_call_below_it(
    gateway: Gateway, collector: Collector, upstream: MockUpstream
) -> None:
    reply = asked(gateway, "How do I pay by card?", OURS, temperature=0.5)
    spans = arrived(collector, OURS)
    assert {SERVER, CLIENT, "exact_lookup", "embed", "semantic_lookup"} <= set(spans)
    server, client = spans[SERVER], spans[CLIENT]
    assert (server.parent, server.kind, server.service) == (SPAN, 2, "tokenthrift")
    for name, span in spans.items():
        assert server.begun <= span.begun <= span.ended <= server.ended
        assert name == SERVER or span.parent == server.span_id
    assert server.values["tokenthrift.request_id"] == reply.headers["x-request-id"]
    assert (server.values["tokenthrift.plan"], server.values["tokenthrift.tier"]) == (
        "desk",
        "miss",
    )
    assert client.kind == 3
    assert upstream.heard[-1] == f"00-{OURS}-{client.span_id}-01"  # type: ignore[attr-defined]  # it is Listening
    assert (
        client.values
        | {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.request.temperature": 0.5,
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 19,
            "gen_ai.usage.output_tokens": 10,
            "server.address": "127.0.0.1",
            "server.port": upstream.port,
        }
        == client.values
    )


def test_a_hit_says_what_it_saved_and_calls_nobody(gateway: Gateway, collector: Collector) -> None:
    asked(gateway, "Where is the shop?", "1" * 32)
    assert asked(gateway, "Where is the shop?", "2" * 32).headers["x-tokenthrift-cache"] == "exact"
    spans = arrived(collector, "2" * 32)
    assert set(spans) == {SERVER, "exact_lookup"}
    assert spans[SERVER].values["tokenthrift.tier"] == "exact"
    assert spans[SERVER].values["tokenthrift.tokens_saved"] > 0
    assert spans[SERVER].values["tokenthrift.cost_saved_usd"] > 0
    assert "gen_ai.usage.input_tokens" not in spans[SERVER].values


def test_a_stream_lasts_to_its_end(
    gateway: Gateway, collector: Collector, upstream: MockUpstream
) -> None:
    upstream.pause = 0.1
    asked(gateway, "And in parts?", "3" * 32, stream=True)
    upstream.pause = 0.0
    spans = arrived(collector, "3" * 32)
    assert spans[CLIENT].ended - spans[CLIENT].begun > 0.2e9
    assert spans[SERVER].values["gen_ai.request.stream"] is True
    assert spans[CLIENT].values["gen_ai.usage.output_tokens"] == 10


def test_failures_are_marked_and_their_words_stay_here(
    gateway: Gateway, collector: Collector, upstream: MockUpstream
) -> None:
    upstream.status, upstream.body = 503, b'{"error": {"message": "canary-7f31 is busy"}}'
    asked(gateway, "Will this fail?", "5" * 32)
    upstream.status = 200
    spans = arrived(collector, "5" * 32)
    assert spans[CLIENT].failed
    assert spans[SERVER].failed
    assert spans[CLIENT].values["error.type"] == "503"
    asked(gateway, "What is this?", "6" * 32, model="no-such-model")
    refused = arrived(collector, "6" * 32)[SERVER]
    assert (refused.failed, refused.values["error.type"]) == (False, "model_not_found")


def test_what_the_caller_does_not_sample_is_not_exported_and_still_handed_on(
    gateway: Gateway, collector: Collector, upstream: MockUpstream
) -> None:
    asked(gateway, "Do you see me?", "7" * 32, flags="00")
    assert upstream.heard[-1].startswith(f"00-{'7' * 32}-")  # type: ignore[attr-defined]  # it is Listening
    assert upstream.heard[-1].endswith("-00")  # type: ignore[attr-defined]  # likewise
    asked(gateway, "And me?", "8" * 32)
    arrived(collector, "8" * 32)
    assert collector.of("7" * 32) == {}


def test_no_text_of_a_request_or_its_answer_is_in_a_span(
    gateway: Gateway, collector: Collector
) -> None:
    assert collector.spans
    assert CANARY not in repr(collector.spans)
    assert "Pay by card" not in repr(collector.spans)


def test_a_collector_that_hangs_holds_nobody_up(upstream: MockUpstream, tmp_path: Path) -> None:
    with running_collector(hangs=True) as hung:
        small: dict[str, Any] = {
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_BSP_MAX_QUEUE_SIZE": "16",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8",
        }
        with running_gateway(
            upstream, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=hung.url, **small
        ) as running:
            for number in range(60):
                begun = time.monotonic()
                assert running.chat(f"Question {number}?").status_code == 200
                assert time.monotonic() - begun < 2
            assert hung.called >= 1
            begun = time.monotonic()
        assert time.monotonic() - begun < 15


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (f"00-{OURS}-{SPAN}-01", (OURS, SPAN, True)),
        (f"00-{OURS}-{SPAN}-00", (OURS, SPAN, False)),
        (f"01-{OURS}-{SPAN}-01-more", (OURS, SPAN, True)),
        (f"00-{OURS}-{SPAN}-01-more", None),
        (f"ff-{OURS}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{OURS}-{'0' * 16}-01", None),
        (f"00-{OURS.upper()}-{SPAN}-01", None),
        ("", None),
    ],
)
def test_a_header_is_read_as_the_standard_says(
    header: str, found: tuple[str, str, bool] | None
) -> None:
    assert parse_traceparent(header) == found


def test_what_goes_out_can_be_read_again() -> None:
    trace = TraceContext(
        trace_id=OURS, parent_span_id="", span_id="1" * 16, upstream_span_id=SPAN, is_sampled=True
    )
    assert parse_traceparent(trace.traceparent) == (OURS, SPAN, True)


@pytest.mark.parametrize(
    ("endpoint", "installed", "said"),
    [
        ("http://collector:4318", lambda name: True, []),
        ("collector:4318", lambda name: True, ["tokenthrift.E007"]),
        ("http://collector:4318", lambda name: False, ["tokenthrift.E007"]),
    ],
)
def test_traces_that_cannot_be_exported_are_refused_at_the_start(
    endpoint: str,
    installed: Callable[[str], bool],
    said: list[str],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.TRACING, settings.OTLP_ENDPOINT = True, endpoint
    monkeypatch.setattr(deployment, "_is_installed", installed)
    assert [message.id for message in deployment.check_trace_export(None)] == said


@pytest.mark.parametrize(("endpoint", "loaded"), [("", "False"), ("http://127.0.0.1:1", "True")])
def test_without_a_collector_nothing_of_it_is_loaded(endpoint: str, loaded: str) -> None:
    environment = {**os.environ, "TOKENTHRIFT_OTLP_ENDPOINT": endpoint}
    done = subprocess.run(
        [sys.executable, "-c", OPENED],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == loaded
