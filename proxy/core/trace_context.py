"""The position of a request in a trace (W3C Trace Context, www.w3.org/TR/trace-context)."""

import os
import re
from dataclasses import dataclass

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?"
)
_SAMPLED_FLAG = 0x01


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """Hexadecimal ids of a request's trace and spans."""

    trace_id: str
    # The caller's, "" if the trace begins here.
    parent_span_id: str
    span_id: str
    upstream_span_id: str
    # Whether it is exported; the provider is told.
    is_sampled: bool

    @property
    def traceparent(self) -> str:
        """The `traceparent` header for the provider."""
        return f"00-{self.trace_id}-{self.upstream_span_id}-{int(self.is_sampled):02x}"


def parse_traceparent(header: str) -> tuple[str, str, bool] | None:
    """Parse a `traceparent` into trace id, span id and sampled flag; None if it is invalid."""
    # Later versions are read as the first (section 3.2.4), which may not hold more than it does.
    found = _TRACEPARENT.fullmatch(header)
    if found is None or (header.startswith("00") and len(header) != 55):
        return None
    return found[1], found[2], bool(int(found[3], 16) & _SAMPLED_FLAG)


def new_trace_id() -> str:
    """Return 128 random bits."""
    # All zeroes would be invalid, at negligible odds.
    return os.urandom(16).hex()


def new_span_id() -> str:
    """Return 64 random bits."""
    return os.urandom(8).hex()
