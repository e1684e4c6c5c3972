"""Series and groups against the requests they are made of."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from plans.models import Plan, Tenant
from stats.reports.filters import GROUP_NAMES, ReportFilter, parse_filter
from stats.reports.series import list_group_points, list_groups, list_points
from stats.reports.totals import TOTAL_EXPRESSIONS, Totals, compute_totals
from tests.stats.ledger.test_rollup import NOON, some
from tests.support.events import make_event
from tests.support.recorded import store

pytestmark = pytest.mark.django_db
LONG = 3 * 24 * 60


def added(parts: list[Totals]) -> dict[str, Decimal]:
    """Every sum of the parts; money that no part has is 0."""
    names = [name for name in TOTAL_EXPRESSIONS if name not in {"first", "last"}]
    return {
        name: sum((Decimal(getattr(part, name) or 0) for part in parts), Decimal(0))
        for name in names
    }


@pytest.fixture
def traffic() -> None:
    store(*some(400, seed=11))


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    ends=st.tuples(st.integers(0, LONG), st.integers(0, LONG)).filter(
        lambda ends: ends[0] != ends[1]
    ),
    granularity=st.sampled_from(["minute", "hour", "day"]),
    group_by=st.sampled_from(GROUP_NAMES),
    filters=st.fixed_dictionaries(
        {},
        optional={
            "tenant_id": st.just(1),
            "plan_id": st.just(2),
            "key_id": st.just(1),
            "model": st.just("gpt-4o"),
        },
    ),
)
def test_the_parts_of_a_period_are_its_totals(
    traffic: None, ends: tuple[int, int], granularity: str, group_by: str, filters: dict[str, int]
) -> None:
    start, end = (NOON + timedelta(minutes=minutes) for minutes in sorted(ends))
    if granularity == "minute":
        end = min(end, start + timedelta(minutes=2_000))
    question = ReportFilter(
        start=start,
        end=end,
        granularity=granularity,
        group_by=group_by,
        **filters,  # type: ignore[arg-type]
    )
    whole = added([compute_totals(question.rollup_query)])
    assert added([point.totals for point in list_points(question)]) == whole
    assert added([group.totals for group in list_groups(question)]) == whole
    assert added([cell.totals for cell in list_group_points(question)]) == whole
    assert question.previous_period.end == start


def test_quiet_points_are_there_and_the_first_holds_what_lies_within() -> None:
    store(
        *(
            make_event(at=(NOON + timedelta(minutes=minutes)).timestamp())
            for minutes in (10, 40, 200)
        )
    )
    question = ReportFilter(
        start=NOON + timedelta(minutes=30), end=NOON + timedelta(hours=5), granularity="hour"
    )
    assert [(point.at.hour, point.totals.requests) for point in list_points(question)] == [
        (12, 1),
        (13, 0),
        (14, 0),
        (15, 1),
        (16, 0),
    ]


def test_groups_carry_what_the_filter_takes_and_the_present_name() -> None:
    acme = Tenant.objects.create(slug="acme")
    desk = Plan.objects.create(name="new-name", tenant=acme)
    store(
        make_event(tenant_id=acme.pk, tenant="old", plan_id=desk.pk, plan="old-name", key_id=None),
        make_event(
            tenant_id=acme.pk + 1,
            tenant="gone",
            plan_id=desk.pk + 1,
            plan="gone-plan",
            key_id=7,
            key="app",
            would_cost=Decimal(1),
        ),
    )

    def found(group_by: str) -> list[tuple[str, str]]:
        return [
            (group.id, group.name)
            for group in list_groups(parse_filter({"group_by": group_by}, tenant=None))
        ]

    assert found("tenant") == [("gone", "gone"), ("acme", "acme")]
    assert found("plan") == [(str(desk.pk + 1), "gone-plan"), (str(desk.pk), "new-name")]
    assert found("key") == [("7", "app"), ("", "")]
    assert found("model") == [("gpt-4o-mini", "gpt-4o-mini")]
    for group_by in ("tenant", "plan", "key", "route", "model"):
        for group in list_groups(parse_filter({"group_by": group_by}, tenant=None)):
            if group.id:
                again = list_groups(
                    parse_filter({"group_by": group_by, group_by: group.id}, tenant=None)
                )
                assert again == [group]


def test_a_tenant_s_groups_are_of_its_requests_alone() -> None:
    acme = Tenant.objects.create(slug="acme")
    store(
        make_event(tenant_id=acme.pk),
        make_event(tenant_id=acme.pk + 1, tenant="rival", model="secret"),
    )
    for group_by in GROUP_NAMES:
        (group,) = list_groups(parse_filter({"group_by": group_by}, tenant=acme))
        assert group.totals.requests == 1
        assert "secret" not in group.name
    assert sum(point.totals.requests for point in list_points(parse_filter({}, tenant=acme))) == 1


def test_points_are_whole_days_by_default() -> None:
    found = list_points(parse_filter({"range": "30d"}, tenant=None))
    assert len(found) == 30
    assert found[-1].at == datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
