"""Request ids: UUIDv7 (RFC 9562 section 5.7), sortable by time."""

import os
import time
from contextvars import ContextVar

# The id of the current task's request, "" for none; inherited by tasks it starts.
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")


RANDOM_BYTES, STOCKED_IDS = 10, 256
# Random bytes for the next ids: asking the kernel for each takes longer than all the rest.
_random_stock: list[bytes] = []
os.register_at_fork(after_in_child=_random_stock.clear)  # or two workers would give the same ids


def new_request_id() -> str:
    """Return a new UUIDv7 as text: 48 bits of Unix milliseconds, version, 74 random bits."""
    # Python 3.11 has no uuid7.
    stamp = time.time_ns() // 1_000_000
    value = (stamp << 80) | int.from_bytes(_take_random_bytes())
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _take_random_bytes() -> bytes:
    try:
        return _random_stock.pop()
    except IndexError:
        drawn = os.urandom(RANDOM_BYTES * STOCKED_IDS)
        _random_stock.extend(
            drawn[start : start + RANDOM_BYTES]
            for start in range(RANDOM_BYTES, len(drawn), RANDOM_BYTES)
        )
        return drawn[:RANDOM_BYTES]
