"""Where a request stands in somebody's trace (W3C Trace Context, www.w3.org/TR/trace-context),
by identifiers alone."""

import os
import re
from dataclasses import dataclass

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?"
)
_SAMPLED_FLAG = 0x01


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """The trace's id, the caller's span ("" when the trace begins here),
    our own span and that of the call to the provider, in hexadecimal. `is_sampled`: whether it is
    exported, which the provider is told."""

    trace_id: str
    parent_span_id: str
    span_id: str
    upstream_span_id: str
    is_sampled: bool

    @property
    def traceparent(self) -> str:
        """The `traceparent` that the provider is sent."""
        return f"00-{self.trace_id}-{self.upstream_span_id}-{int(self.is_sampled):02x}"


def parse_traceparent(header: str) -> tuple[str, str, bool] | None:
    """Trace id, span id and whether it is sampled, of a `traceparent`; None when it is none.

    Later versions are read as the first (section 3.2.4 there), which may not hold more than it
    does.
    """
    found = _TRACEPARENT.fullmatch(header)
    if found is None or (header.startswith("00") and len(header) != 55):
        return None
    return found[1], found[2], bool(int(found[3], 16) & _SAMPLED_FLAG)


def new_trace_id() -> str:
    """128 random bits. All zeroes would be no id, at odds nobody will see."""
    return os.urandom(16).hex()


def new_span_id() -> str:
    """64 random bits."""
    return os.urandom(8).hex()
