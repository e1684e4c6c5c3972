"""Export finished requests as OpenTelemetry spans; loaded only if a collector is configured.

Names follow the conventions for HTTP servers and GenAI clients
(opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans, of which 1.37 is the first with
`gen_ai.provider.name`). A span holds no text of a prompt, an answer or an error.
"""

import asyncio
import logging
import threading

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from proxy.core.trace_context import TraceContext, new_span_id, new_trace_id, parse_traceparent
from proxy.pipeline.call import Call
from proxy.pipeline.stage_times import list_stage_times
from proxy.runtime.otel_attributes import (
    SpanAttributes,
    build_client_attributes,
    build_server_attributes,
)
from stats.events import Event

log = logging.getLogger("tokenthrift.proxy")
SERVER_SPAN_NAME = "POST /v1/chat/completions"
SHUTDOWN_TIMEOUT_SECONDS = 2.0  # to export what is queued


class Tracing:
    """One per worker.

    `endpoint`: the collector, to which `/v1/traces` is added; "" leaves it to the OTEL_* variables,
    as are the sampler, the resource and the sizes of batches and queue.
    """

    def __init__(self, endpoint: str, version: str) -> None:
        exporter = OTLPSpanExporter(
            endpoint=f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None
        )
        # Its queue is bounded (OTEL_BSP_MAX_QUEUE_SIZE): what a collector does not take is dropped.
        self._processor = BatchSpanProcessor(exporter)
        self._sampler = TracerProvider().sampler
        self._resource = _build_resource(version)
        self._scope = InstrumentationScope("tokenthrift", version)

    def begin_trace(self, traceparent: str) -> TraceContext:
        """Continue the caller's trace, or begin a new one if the header is invalid."""
        found = parse_traceparent(traceparent)
        trace_id, parent, flag = found or (new_trace_id(), "", False)
        above = (
            set_span_in_context(
                NonRecordingSpan(_build_span_context(trace_id, parent, flag, remote=True))
            )
            if found
            else None
        )
        sampled = self._sampler.should_sample(
            above, int(trace_id, 16), SERVER_SPAN_NAME, SpanKind.SERVER
        ).decision.is_sampled()  # type: ignore[no-untyped-call]
        return TraceContext(
            trace_id=trace_id,
            parent_span_id=parent,
            span_id=new_span_id(),
            upstream_span_id=new_span_id(),
            is_sampled=sampled,
        )

    def __call__(self, call: Call, event: Event) -> None:
        """Export the spans of a finished call. Implements `Observer`."""
        if call.trace is None or not call.trace.is_sampled:
            return
        try:
            for span in self._build_spans(call, call.trace, event):
                self._processor.on_end(span)
        except Exception:  # tracing must not fail a request
            log.exception("request %s could not be traced", call.request_id)

    async def close(self) -> None:
        """Export what is queued, within SHUTDOWN_TIMEOUT_SECONDS."""
        # A hanging collector blocks only a daemon thread, which ends with the process.
        ending = threading.Thread(target=self._processor.shutdown, daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, SHUTDOWN_TIMEOUT_SECONDS)

    def _build_spans(self, call: Call, trace: TraceContext, event: Event) -> list[ReadableSpan]:
        ended = call.started_at + event.duration_ms / 1000
        spans = [
            self._build_span(call, trace, name, begun, until)
            for name, begun, until in list_stage_times(call)
            if name != "call_upstream"
        ]
        if event.attempts and call.route is not None:
            # A stream outlasts its stage, and a revalidation follows all stages: the wait for the
            # provider is known, and it ends with the answer.
            begun = next(
                (begun for name, begun, _ in call.stage_times if name == "call_upstream"),
                ended - call.upstream_seconds,
            )
            values = build_client_attributes(call, event)
            until = min(ended, begun + call.upstream_seconds)
            name, kind = f"chat {event.model}", SpanKind.CLIENT
            spans.append(
                self._build_span(
                    call,
                    trace,
                    name,
                    begun,
                    until,
                    span_id=trace.upstream_span_id,
                    kind=kind,
                    values=values,
                )
            )
        values = build_server_attributes(call, event)
        kind, above = SpanKind.SERVER, trace.parent_span_id
        served = self._build_span(
            call,
            trace,
            SERVER_SPAN_NAME,
            call.started_at,
            ended,
            span_id=trace.span_id,
            kind=kind,
            values=values,
            parent=above,
        )
        return [*spans, served]

    def _build_span(
        self,
        call: Call,
        trace: TraceContext,
        name: str,
        begun: float,
        ended: float,
        *,
        span_id: str = "",
        kind: SpanKind = SpanKind.INTERNAL,
        values: SpanAttributes | None = None,
        parent: str | None = None,
    ) -> ReadableSpan:
        """Build a span from monotonic times; `parent` None is the server span."""
        above = trace.span_id if parent is None else parent
        failed = (
            values is not None
            and "error.type" in values
            and not (kind is SpanKind.SERVER and call.status < 500)
        )
        return ReadableSpan(
            name=name,
            context=_build_span_context(trace.trace_id, span_id or new_span_id(), sampled=True),
            parent=_build_span_context(
                trace.trace_id, above, sampled=True, remote=parent is not None
            )
            if above
            else None,
            resource=self._resource,
            attributes=values,
            kind=kind,
            status=Status(StatusCode.ERROR) if failed else Status(),
            start_time=int((call.at + begun - call.started_at) * 1e9),
            end_time=int((call.at + ended - call.started_at) * 1e9),
            instrumentation_scope=self._scope,
        )


def _build_span_context(
    trace_id: str, span_id: str, sampled: bool, *, remote: bool = False
) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=remote, trace_flags=flags)


def _build_resource(version: str) -> Resource:
    """Return the OTEL_* resource, with our service name if they name none."""
    found = Resource.create({SERVICE_VERSION: version})
    unnamed = str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service")
    return found.merge(Resource({SERVICE_NAME: "tokenthrift"})) if unnamed else found
