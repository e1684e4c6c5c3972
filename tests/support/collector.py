"""An OTLP/HTTP collector on a real socket: it keeps the spans it is sent,
or says nothing at all."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass
class Span:
    """One as it arrived.

    Identifiers in hexadecimal; times in nanoseconds since the epoch; `kind`: 1 internal, 2 server,
    3 client.
    """

    name: str
    trace_id: str
    span_id: str
    parent: str
    kind: int
    begun: int
    ended: int
    failed: bool
    values: dict[str, Any]
    service: str


@dataclass
class Collector:
    """`hangs`: it takes connections and answers none, until `release`."""

    port: int = 0
    hangs: bool = False
    called: int = 0
    spans: list[Span] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def of(self, trace_id: str) -> dict[str, Span]:
        """The spans of a trace, by name."""
        return {span.name: span for span in self.spans if span.trace_id == trace_id}

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                values = {each.key: _plain(each.value) for each in span.attributes}
                ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                times = (span.start_time_unix_nano, span.end_time_unix_nano)
                self.spans.append(
                    Span(
                        span.name,
                        *ids,
                        span.kind,
                        *times,
                        span.status.code == 2,
                        values,
                        named["service.name"],
                    )
                )


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(each) for each in value.array_value.values]
    return getattr(value, kind)


@contextmanager
def running_collector(*, hangs: bool = False) -> Iterator[Collector]:
    """The collector, listening on a free port until the block ends."""
    collector = Collector(hangs=hangs)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.called += 1
            if collector.hangs:
                collector.release.wait(60)
                return
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.take(
                gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
            )
            reply = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield collector
    finally:
        collector.release.set()
        server.shutdown()
        server.server_close()
