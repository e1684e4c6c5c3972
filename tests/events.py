"""Finished requests for tests."""

import time
import uuid
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
from django.db import connection

from stats.intake import INSERT_EVENTS
from stats.measures import Event
from stats.rolling import FOLD


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


def store(*events: Event) -> None:
    """Record them as the flusher does, within the test's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(INSERT_EVENTS.decode(), (orjson.dumps(events, default=str),))
        cursor.execute(FOLD)
