"""URL parameters of reports: what is read, and what is refused with what would be accepted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.http import QueryDict

from plans.api_errors import ApiError
from plans.models import Plan, Tenant, VirtualKey
from stats.reports import filters as asked_file
from stats.reports.filters import (
    GRANULARITIES,
    GROUP_NAMES,
    PARAMETER_NAMES,
    ReportFilter,
    check_point_count,
    parse_filter,
)
from stats.reports.periods import RANGE_NAMES
from stats.time_grains import floor_to_grain
from tests.support.events import make_event
from tests.support.recorded import store

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
YESTERDAY = (NOW - timedelta(days=1)).replace(hour=13, minute=37, second=0, microsecond=0)


def read(own: Tenant | None = None, /, **params: str) -> ReportFilter:
    return parse_filter({name.rstrip("_"): value for name, value in params.items()}, tenant=own)


def refusal(own: Tenant | None = None, /, **params: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read(own, **params)
    return caught.value


def test_dates_are_utc_midnights_and_the_last_one_is_whole() -> None:
    found = read(from_="2026-03-04", to="2026-03-05")
    assert (found.start, found.end) == (
        datetime(2026, 3, 4, tzinfo=UTC),
        datetime(2026, 3, 6, tzinfo=UTC),
    )
    assert found.granularity == "hour"


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-04T15:00:00+02:00",
        "2026-03-04t13:00:00z",
        "2026-03-04 13:00",
        "2026-03-04T13:00:59.999Z",
    ],
)
def test_times_are_rfc_3339_and_begin_their_minute(text: str) -> None:
    if "59" in text:
        text = text.replace("2026-03-04", f"{YESTERDAY:%Y-%m-%d}")
    found = read(from_=text)
    assert (found.start.hour, found.start.minute, found.start.second, found.start.microsecond) == (
        13,
        0,
        0,
        0,
    )
    assert found.start.tzinfo == UTC


@pytest.mark.parametrize("name", RANGE_NAMES)
def test_a_range_ends_now_and_the_period_before_it_is_as_long(name: str) -> None:
    found = read(range=name)
    assert timedelta(0) <= found.end - datetime.now(UTC) <= timedelta(hours=1)
    assert found.previous_period.end == found.start
    length = found.end - found.start
    assert found.previous_period.end - found.previous_period.start - length == timedelta(0), name
    check_point_count(found)


def test_without_a_period_it_is_the_last_thirty_days_or_since() -> None:
    assert read().start == read(range="30d").start
    since = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    assert parse_filter({}, tenant=None, since=since).start == floor_to_grain(since, "day")


def test_empty_parameters_are_left_out() -> None:
    assert parse_filter(dict.fromkeys(PARAMETER_NAMES, ""), tenant=None) == read()


@pytest.mark.parametrize(
    ("params", "param", "says"),
    [
        ({"from_": "2026-03-05", "to": "2026-03-04"}, "to", "upside down"),
        (
            {"from_": "2026-03-05T10:00:00Z", "to": "2026-03-05T10:00:59Z"},
            "to",
            "at least a minute",
        ),
        ({"from_": "2099-01-01"}, "from", "upside down"),
        ({"to": "2026-03-04"}, "from", "needs a `from`"),
        ({"range": "7d", "from_": "2026-03-04"}, "range", "either"),
        ({"range": "7 days"}, "range", ", ".join(RANGE_NAMES)),
        ({"granularity": "week"}, "granularity", ", ".join(GRANULARITIES)),
        ({"group_by": "user"}, "group_by", ", ".join(GROUP_NAMES)),
        ({"form": "2026-03-04"}, "form", ", ".join(sorted(PARAMETER_NAMES))),
        ({"plan": "12; DROP"}, "plan", "number of a plan"),
        ({"plan": "9" * 40}, "plan", "number of a plan"),
        ({"key": "-1"}, "key", "number of a key"),
        ({"key": "\u0661"}, "key", "number of a key"),
        ({"model": "a\0b"}, "model", "printable"),
        ({"route": "x" * 129}, "route", "128"),
    ],
)
def test_what_is_not_understood_is_refused_with_what_is(
    params: dict[str, str], param: str, says: str
) -> None:
    found = refusal(**params)
    assert (found.status, found.param) == (400, param)
    assert says in found.message


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2026-02-30",
        "2026-3-4",
        "0001-01-01",
        "9999-12-31",
        "2026-03-04T25:00:00Z",
        "2026-03-04T13:00:00 02:00",
        "\0",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    assert "RFC 3339" in refusal(from_=text).message


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(ApiError, match="once"):
        parse_filter(QueryDict("plan=1&plan=2"), tenant=None)


def test_minutes_are_refused_where_they_may_be_gone() -> None:
    old = f"{NOW - timedelta(days=40):%Y-%m-%d}"
    assert "kept for 7 days" in refusal(from_=old, granularity="minute").message
    found = refusal(from_=f"{old}T13:37:00Z")
    assert found.param == "from"
    assert f"{old}T13:00Z or {old}T14:00Z" in found.message
    assert read(from_=f"{YESTERDAY:%Y-%m-%dT%H:%M}").start == YESTERDAY


def test_too_many_points_are_refused_with_a_coarser_granularity() -> None:
    with pytest.raises(ApiError, match="granularity=hour"):
        check_point_count(read(from_=f"{NOW - timedelta(days=3):%Y-%m-%d}", granularity="minute"))
    with pytest.raises(ApiError, match="granularity=day"):
        check_point_count(read(range="90d", granularity="hour"))
    with pytest.raises(ApiError, match="shorter period"):
        check_point_count(read(from_="2001-01-01"))


def test_a_tenant_s_person_is_bound_to_their_tenant() -> None:
    acme, rival = Tenant.objects.create(slug="acme"), Tenant.objects.create(slug="rival")
    plans = {owner: Plan.objects.create(name="desk", tenant=owner) for owner in (acme, rival, None)}
    key = VirtualKey.objects.create(name="app", prefix="ttk", digest="d", tenant=rival)
    assert (
        read(acme).tenant_id
        == read(acme, tenant="acme").tenant_id
        == read(tenant="acme").tenant_id
        == acme.pk
    )
    assert read().tenant_id is None
    for owner in (acme, None):
        assert read(acme, plan=str(plans[owner].pk)).plan_id == plans[owner].pk
    refusals: list[tuple[dict[str, Any], str]] = [
        ({"tenant": "rival"}, "tenant_not_found"),
        ({"plan": str(plans[rival].pk)}, "plan_not_found"),
        ({"key": str(key.pk)}, "key_not_found"),
    ]
    for params, code in refusals:
        found = refusal(acme, **params)
        assert (found.status, found.code) == (404, code)
        assert read(rival, **params)
    absent = refusal(acme, plan=str(plans[rival].pk + 1_000))
    assert (absent.message, absent.code) == (
        refusal(acme, plan=str(plans[rival].pk)).message,
        "plan_not_found",
    )


def test_what_was_deleted_is_found_by_what_it_left() -> None:
    store(make_event(tenant_id=71, tenant="gone", plan_id=72, key_id=73))
    assert (read(tenant="gone").tenant_id, read(plan="72").plan_id, read(key="73").key_id) == (
        71,
        72,
        73,
    )
    acme = Tenant.objects.create(slug="acme")
    assert {
        refusal(acme, tenant="gone").status,
        refusal(acme, plan="72").status,
        refusal(acme, key="73").status,
    } == {404}
    assert {
        refusal(tenant="never").status,
        refusal(plan="74").status,
        refusal(key="74").status,
        refusal(tenant="\0").status,
    } == {404}


def test_the_caller_may_read_names_of_its_own() -> None:
    assert parse_filter({"format": "csv"}, tenant=None, also=("format",)) == read()
    assert asked_file.MAX_SERIES_POINTS == 2_000
