"""Finished requests for tests."""

import time
import uuid
from dataclasses import replace
from decimal import Decimal
from typing import Any

from stats.measures import Event


def make_event(**changes: Any) -> Event:
    """A request that missed the caches, finished well and cost something."""
    event = Event(
        event_id=str(uuid.uuid4()),
        at=time.time(),
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
