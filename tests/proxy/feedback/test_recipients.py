"""Who else got an answer that was reported as wrong, by the ledger's rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from plans.models import Tenant
from proxy.feedback.service import find_other_recipients
from proxy.models import WrongAnswer
from stats.models.requests import RequestEvent
from tests.support.events import id_at

MADE = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
ENTRY = "e" * 64


def add_request(tenant: Tenant, seconds: float, **fields: Any) -> str:
    """A request that came so many seconds after the one the answer was made for; its id."""
    at = MADE + timedelta(seconds=seconds)
    row = RequestEvent(
        event_id=id_at(at.timestamp()),
        at=at,
        tenant_id=tenant.pk,
        entry_id=ENTRY,
        status=200,
        outcome="ok",
        **{"duration_ms": 5.0} | fields,
    )
    RequestEvent.objects.bulk_create([row])
    return str(row.event_id)


@pytest.mark.django_db
def test_a_follower_that_came_before_the_call_it_shared_got_it_too(acme: Tenant) -> None:
    origin = add_request(acme, 0, tier="miss", duration_ms=1500.0)
    shared = {"tier": "exact", "collapsed": True}
    before = add_request(acme, -0.2, duration_ms=1700.0, **shared)
    after = add_request(acme, 0.1, duration_ms=1400.0, **shared)
    add_request(acme, -9, duration_ms=1500.0, **shared)  # it shared an earlier call
    add_request(acme, -5, tier="exact")  # a hit of the entry before
    hit = add_request(acme, 5, tier="exact")
    said = WrongAnswer.objects.create(
        event_id=hit,
        tenant_id=acme.pk,
        entry_id=ENTRY,
        answered_at=MADE + timedelta(seconds=1.5),
        until=MADE + timedelta(days=1),
    )
    found = find_other_recipients(said)
    roles = {str(row.pk): found.get_role(row) for row in found.newest_events}
    assert roles == {before: "follower", after: "follower", origin: "origin"}
    assert found.counts_by_role == {"follower": 2, "origin": 1}
