"""The measured saving out of the recorded requests:
by API, on the dashboard, and in step with the other roll-ups."""

import random
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from plans.models import Plan, Tenant
from stats.events import Event
from stats.models.holdout_sums import Held
from stats.models.rollups import COUNTED_KIND, PLAN_CUT, Rollup
from stats.reports.holdout_report import measure_holdout
from stats.reports.rollup_query import RollupQuery
from stats.time_grains import DAY
from tests.support.events import make_event
from tests.support.management import ONE, Manager
from tests.support.recorded import store

pytestmark = pytest.mark.django_db


def drawn(number: int, *, seed: int = 5, share: float = 0.5, **fields: Any) -> list[Event]:
    """Requests of equal price, half of them held out; of the others every second one is a hit."""
    dice = random.Random(seed)
    found = []
    for index in range(number):
        held = dice.random() < share
        hit = not held and index % 2 == 0
        dollar = Decimal(1)
        paid = Decimal(0) if hit else dollar
        tier, reason = ("bypass", "holdout") if held else ("exact" if hit else "miss", "")
        told = {
            "tier": tier,
            "reason": reason,
            "would_cost": dollar,
            "billed_cost": paid,
            "holdout": share,
        }
        found.append(make_event(**(told | {"replicate": dice.randrange(64)} | fields)))
    return found


def test_the_sides_add_up_to_the_requests_that_count() -> None:
    events = drawn(300)
    events += [
        make_event(),
        make_event(holdout=0.5, status=502, outcome="upstream_error"),
        make_event(holdout=0.5, shadow=True),
    ]
    # The last ones again: they are there already.
    for batch in (events[:200], events[200:], events[:50]):
        store(*batch)
    rows = list(Held.objects.all())
    held = [event for event in events if event.reason == "holdout"]
    assert sum(row.requests for row in rows) == 300
    assert sum(row.requests for row in rows if row.held) == len(held)
    assert sum(row.cost for row in rows) == sum(event.billed_cost or 0 for event in events[:300])
    counted = Rollup.objects.filter(grain=DAY, cut=PLAN_CUT, kind=COUNTED_KIND)
    assert sum(row.requests for row in counted) == sum(row.requests for row in rows) + 1
    assert sum(row.billed_cost for row in counted) == sum(row.cost for row in rows) + (
        events[300].billed_cost or 0
    )


def test_samples_are_costs_of_the_plan_and_no_requests() -> None:
    store(
        make_event(
            tier="sample",
            holdout=0.1,
            replicate=3,
            would_cost=Decimal(0),
            billed_cost=Decimal(0),
            spent_cost=Decimal(2),
        )
    )
    [row] = Held.objects.all()
    assert (row.requests, row.priced, row.cost, row.held, row.replicate) == (
        0,
        0,
        Decimal(2),
        False,
        3,
    )


def test_half_the_money_is_measured() -> None:
    store(*drawn(800))
    found = measure_holdout(RollupQuery())
    assert found is not None
    assert found.share is not None
    assert found.share.value == pytest.approx(0.5, abs=0.08)
    assert found.share.low < 0.5 < found.share.high
    # All prices are alike here.
    assert found.modelled_share == pytest.approx(found.share.value, abs=1e-6)
    assert not found.is_model_ruled_out


def test_a_tenant_a_plan_and_a_period_have_their_own() -> None:
    store(
        *drawn(60, tenant_id=1, plan_id=1),
        *drawn(70, tenant_id=2, plan_id=1),
        *drawn(80, tenant_id=2, plan_id=2),
    )
    store(*drawn(40, at=time.time() - 3 * 86_400))

    def number(**fields: Any) -> int:
        found = measure_holdout(RollupQuery(**fields))
        assert found is not None
        return found.held + found.treated

    assert (number(tenant_id=2), number(plan_id=2), number(tenant_id=2, plan_id=1), number()) == (
        150,
        80,
        70,
        250,
    )
    assert number(start=datetime.now(UTC) - timedelta(days=1)) == 210
    assert measure_holdout(RollupQuery(model="gpt-4o")) is None


def test_where_nothing_is_held_out_there_is_nothing() -> None:
    store(make_event())
    assert measure_holdout(RollupQuery()) is None
    tenant = Tenant.objects.create(slug="acme")
    plan = Plan.objects.create(tenant=tenant, name="desk", holdout=0.1)
    assert measure_holdout(RollupQuery(tenant_id=tenant.pk + 1)) is None
    for wanted in (RollupQuery(), RollupQuery(plan_id=plan.pk), RollupQuery(tenant_id=tenant.pk)):
        found = measure_holdout(wanted)
        assert found is not None
        assert (found.share, found.held, found.needed) == (None, 0, 39)
    Plan.objects.update(mode="shadow")
    assert measure_holdout(RollupQuery()) is None


def test_the_api_tells_it(platform: Manager) -> None:
    assert platform.create(holdout=0)["holdout"] == 0
    assert platform.call("GET", f"{ONE}/stats").json()["detail"]["holdout"] is None
    store(*drawn(800, plan_id=Plan.objects.get().pk))
    told = platform.call("GET", f"{ONE}/stats").json()["detail"]["holdout"]
    assert told["share"]["low"] < 0.5 < told["share"]["high"]
    assert told["dollars"]["value"] == pytest.approx(told["treated"] * told["share"]["value"])
    assert (
        told["held"] + told["treated"],
        told["needed"],
        told["unpriced"],
        told["disagrees"],
    ) == (800, 0, 0, False)


@pytest.fixture
def page() -> Any:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return lambda: " ".join(
        client.get("/dashboard/")
        .content.decode()
        .replace("\xa0", " ")
        .replace("&nbsp;", " ")
        .split()
    )


def test_the_page_puts_both_side_by_side(page: Any) -> None:
    store(*drawn(800))
    found = measure_holdout(RollupQuery())
    assert found is not None
    assert found.share is not None
    assert found.modelled_share is not None
    value, low, high, modelled = (
        f"{100 * each:.0f} %"
        for each in (found.share.value, found.share.low, found.share.high, found.modelled_share)
    )
    text = page()
    assert (
        f"Measured on {found.held} held-out requests: you saved {value} (95 % interval {low} "
        f"to {high}). Modelled: {modelled}."
    ) in text
    assert "lies outside the interval" not in text


def test_the_page_says_when_the_model_is_wrong(page: Any) -> None:
    store(*drawn(800, would_cost=Decimal(9)))
    assert "The modelled saving lies outside the interval: believe the measured one." in page()


def test_the_page_says_what_is_missing(page: Any) -> None:
    store(make_event())
    assert "No holdout: set one on the plan to have the saving measured." in page()
    store(*drawn(20))
    text = page()
    assert "Too little to measure by:" in text
    assert "more needed" in text
    assert "you saved" not in text.partition("Is it true?")[2].partition("</section>")[0]


def test_unpriced_requests_are_told(page: Any) -> None:
    store(*drawn(800), *drawn(6, would_cost=None, billed_cost=None))
    found = measure_holdout(RollupQuery())
    assert found is not None
    assert found.unpriced == 6
    assert "6 more have no price and are in neither." in page()


def test_sizes_are_of_requests_that_count() -> None:
    store(
        *drawn(3, size=0.5),
        make_event(tier="sample", holdout=0.5, size=0.5),
        make_event(holdout=0.5, size=0.5, billed_cost=None),
    )
    assert sum(row.size for row in Held.objects.all()) == 1.5
