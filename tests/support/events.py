"""Finished requests for tests."""

import os
import time
import uuid
from dataclasses import replace
from decimal import Decimal
from typing import Any

from stats.events import Event


def make_event(**changes: Any) -> Event:
    """A request that missed the caches, finished well and cost something."""
    at = changes.pop("at", None) or time.time()
    event = Event(
        event_id=id_at(at),
        at=at,
        tenant_id=1,
        tenant="acme",
        plan_id=1,
        plan="desk",
        route="smart/balanced",
        upstream="openai",
        model="gpt-4o-mini",
        tier="miss",
        attempts=1,
        asked_tokens=120,
        prompt_tokens=100,
        completion_tokens=20,
        served_tokens=20,
        tokens_saved=20,
        would_cost=Decimal("0.000030"),
        billed_cost=Decimal("0.000027"),
        duration_ms=310.0,
        upstream_ms=300.0,
        overhead_ms=10.0,
    )
    return replace(event, **changes)


def id_at(at: float) -> str:
    """A UUIDv7 of that time in epoch seconds."""
    bits = bytearray(int(at * 1000).to_bytes(6, "big") + os.urandom(10))
    bits[6], bits[8] = 0x70 | bits[6] & 0xF, 0x80 | bits[8] & 0x3F
    return str(uuid.UUID(bytes=bytes(bits)))
