"""/dashboard/, the admin's lists of what happened, and pruning."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from plans.models import Plan, Tenant
from proxy.models import Route, Upstream
from stats.dashboard.charts import build_rate_intervals, build_share_bar
from stats.formatting import ago, count, percent, usd
from stats.models.requests import DeadLetter, RequestEvent, SpoolCursor, UpstreamAttempt
from tests.stats.api.test_stats import hit
from tests.support.events import make_event
from tests.support.recorded import store

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Client:
    client = Client()
    # No password: hashing one takes a second.
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def desk() -> Plan:
    return Plan.objects.create(name="desk")


def page(client: Client, query: str = "", status: int = 200) -> str:
    response = client.get(f"/dashboard/{query}")
    assert response.status_code == status
    return re.sub(r"\s+", " ", response.content.decode().replace("\N{NO-BREAK SPACE}", " "))


def days_ago(days: float) -> float:
    return (datetime.now(UTC) - timedelta(days=days)).timestamp()


def test_the_root_leads_to_the_dashboard(client: Client) -> None:
    assert client.get("/").headers["location"] == "/dashboard/"


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/"])
def test_strangers_are_sent_to_the_log_in(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 302
    assert response.headers["location"] == f"/admin/login/?next={path}"


def test_a_user_who_is_not_staff_sees_nothing(client: Client) -> None:
    client.force_login(User.objects.create(username="visitor"))
    assert client.get("/dashboard/").status_code == 302


def test_an_admin_key_does_not_open_the_dashboard(client: Client, settings: Any) -> None:
    settings.ADMIN_KEY = "tta-platform"
    assert (
        client.get("/dashboard/", headers={"authorization": "Bearer tta-platform"}).status_code
        == 302
    )


def test_an_empty_gateway_says_what_to_do_next(staff: Client) -> None:
    text = page(staff)
    assert "Nothing saved yet this month." in text
    assert 'href="/start"' in staff.get("/dashboard/").content.decode()
    upstream = Upstream.objects.create(name="openai", base_url="https://api.openai.com/v1")
    Route.objects.create(name="smart", upstream=upstream, model="gpt-4o-mini")
    text = page(staff)
    assert "curl -X POST http://testserver/token-saving/plans" in text
    assert "token_saving_plan_id" in text


def test_a_quiet_week_says_when_to_look(staff: Client, desk: Plan) -> None:
    store(make_event(plan_id=desk.pk, at=days_ago(20)))
    text = page(staff, "?range=7d")
    assert "No request named a plan in the last 7 days" in text
    assert ">20 days ago</time>" in text


def test_the_first_sentence_is_the_money(staff: Client, desk: Plan) -> None:
    store(
        hit("exact", plan_id=desk.pk, would_cost=Decimal(30)),
        hit("semantic", plan_id=desk.pk, would_cost=Decimal(10)),
        make_event(plan_id=desk.pk, would_cost=Decimal(60), billed_cost=Decimal(50)),
    )
    text = re.sub(r"<[^>]+>", "", page(staff)).replace("&nbsp;", " ")
    assert (
        "You saved $50.00 (50 %) this month: exact 60 %, semantic 20 %, compression 20 %." in text
    )


def test_the_parts_of_the_sentence_add_up_though_each_is_rounded(staff: Client, desk: Plan) -> None:
    thirds = {"plan_id": desk.pk, "would_cost": Decimal(1), "billed_cost": Decimal(0)}
    store(
        hit("exact", **thirds),
        hit("semantic", **thirds),
        make_event(**thirds),
        make_event(**(thirds | {"billed_cost": Decimal(1)})),
    )
    store(make_event(plan_id=desk.pk, would_cost=Decimal(2), billed_cost=Decimal(2)))
    shares = staff.get("/dashboard/").context["shares"]
    assert shares["all"] == "50"
    assert sorted(shares[name] for name in ("exact", "semantic", "compression")) == [
        "33",
        "33",
        "34",
    ]


def test_without_prices_the_sentence_is_about_tokens(staff: Client, desk: Plan) -> None:
    store(hit("exact", plan_id=desk.pk, would_cost=None, billed_cost=None))
    text = page(staff)
    assert "You saved <strong>140 tokens</strong>" in text
    assert "a model without a price" in text


def test_a_loss_is_called_one(staff: Client, desk: Plan) -> None:
    store(
        make_event(
            plan_id=desk.pk,
            would_cost=Decimal(1),
            billed_cost=Decimal(1),
            spent_cost=Decimal("0.5"),
        )
    )
    text = page(staff)
    assert (
        'You lost <strong class="loss">\N{MINUS SIGN}$0.50</strong> this month: saving cost more than it saved.'  # noqa: E501 -- no blank to break it at
        in text
    )
    assert '<a href="#top-plan">plans below</a> that lost most stand first' in text
    assert '<td class="loss">\N{MINUS SIGN}$0.50</td>' in text


def test_those_that_lost_money_stand_before_those_that_saved_however_many(staff: Client) -> None:
    def of(number: int, saved: str) -> Any:
        plan = Plan.objects.create(name=f"plan-{number:02}")
        return make_event(
            plan_id=plan.pk,
            plan=plan.name,
            would_cost=Decimal(10),
            billed_cost=Decimal(10) - Decimal(saved),
        )

    store(*(of(number, str(number)) for number in range(1, 10)), of(10, "-0.01"), of(11, "-4"))
    top = next(top for top in staff.get("/dashboard/").context["tops"] if top["by"] == "plan")
    names = [row.name for row, _ in top["rows"]]
    assert names == [
        "plan-11",
        "plan-10",
        "plan-09",
        "plan-08",
        "plan-07",
        "plan-06",
        "plan-05",
        "plan-04",
    ]
    export: Any = staff.get("/token-saving/stats?group_by=plan&format=csv")
    assert "plan-11" in b"".join(export.streaming_content).decode().splitlines()[1]


def test_dashboard_api_and_events_agree(staff: Client, desk: Plan, settings: Any) -> None:
    acme = Tenant.objects.create(slug="acme")
    other = Plan.objects.create(name="other", tenant=acme)
    events = [
        make_event(
            plan_id=plan.pk,
            tenant_id=acme.pk,
            at=days_ago(n % 6 + 0.01),
            tier=("exact", "semantic", "miss", "bypass")[n % 4],
            tokens_saved=n,
            would_cost=Decimal(n) / 100,
            billed_cost=Decimal(n) / 300,
            spent_cost=Decimal("0.0001"),
            status=500 if n % 9 == 0 else 200,
        )
        for n, plan in ((n, (desk, other)[n % 3 == 0]) for n in range(1, 120))
    ]
    store(*events)
    counted = [row for row in RequestEvent.objects.all() if row.status == 200]
    settings.ADMIN_KEY = "tta-platform"
    for plan, query in ((desk, ""), (other, "?tenant=acme")):
        mine = [row for row in counted if row.plan_id == plan.pk]
        saved = sum(
            ((row.would_cost or 0) - (row.billed_cost or 0) - row.spent_cost for row in mine),
            Decimal(0),
        )
        api = staff.get(
            f"/token-saving/plans/{plan.name}/stats{query}",
            headers={"authorization": "Bearer tta-platform"},
        ).json()
        shown = staff.get(f"/dashboard/?range=7d&plan={plan.pk}").context["totals"]
        assert len(mine) == api["total_requests"] == shown.requests
        assert sum(row.tokens_saved for row in mine) == api["tokens_saved"] == shown.tokens_saved
        assert saved == shown.saved
        assert float(saved) == api["cost_saved_usd"]
        assert Decimal(api["detail"]["cost_usd"]["saved_compression"]) == shown.saved_compression
    context = staff.get("/dashboard/?range=7d").context
    assert context["totals"].requests == len(counted) == sum(map(sum, context["series"]["tiers"]))
    for top in context["tops"]:
        sums = [row.totals for row, _ in top["rows"]]
        assert context["totals"].saved == sum(each.saved for each in sums if each.saved is not None)
        assert context["totals"].tokens_saved == sum(each.tokens_saved for each in sums)


@pytest.mark.parametrize(
    ("query", "status", "accepted"),
    [
        ("?range=8d", 400, "today, 24h, 7d, 30d, 90d, month"),
        ("?days=7", 400, "Accepted: "),
        ("?from=2026-11-02&to=2026-11-01", 400, "upside down"),
        ("?granularity=week", 400, "minute, hour, day"),
        ("?plan=x", 400, "must be the number of a plan"),
        ("?plan=%00", 400, "must be the number of a plan"),
        ("?plan=1&plan=2", 400, "once"),
        ("?plan=99", 404, "No such plan."),
        ("?tenant=nobody", 404, "No such tenant."),
    ],
)
def test_a_bad_choice_is_answered_with_the_accepted_ones(
    staff: Client, query: str, status: int, accepted: str
) -> None:
    for path in ("", "requests"):
        response = staff.get(f"/dashboard/{path}{query}")
        assert response.status_code == status
        assert accepted in response.content.decode()


@pytest.mark.parametrize(("name", "days"), [("today", 1), ("7d", 7), ("30d", 30), ("90d", 90)])
def test_every_range_counts_its_own_days(staff: Client, desk: Plan, name: str, days: int) -> None:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight - timedelta(days=days - 1)
    store(
        make_event(plan_id=desk.pk, at=first.timestamp()),
        make_event(plan_id=desk.pk, at=first.timestamp() - 1),
    )
    context = staff.get(f"/dashboard/?range={name}&granularity=day").context
    assert context["totals"].requests == 1
    assert len(context["series"]["at"]) == days


def test_notes_say_what_the_numbers_leave_out(staff: Client, desk: Plan) -> None:
    store(
        make_event(plan_id=desk.pk, status=502, outcome="upstream_error"),
        make_event(plan_id=None),
        make_event(failures=("redis",)),
    )
    UpstreamAttempt.objects.create(event_id=uuid.uuid4(), at=datetime.now(UTC), worker="gone")
    DeadLetter.objects.create(line=b"{", reason="torn")
    text = page(staff)
    for words in (
        "outcome unknown",
        "failed or was broken off",
        "named no plan",
        "<code>redis</code>",
        "could not be stored",
    ):
        assert words in text


def test_the_page_keeps_a_strict_policy(staff: Client, desk: Plan) -> None:
    store(hit("exact", plan_id=desk.pk))
    response = staff.get("/dashboard/")
    text = response.content.decode()
    assert "unsafe" not in response.headers["content-security-policy"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
    assert all(
        re.search(r' src="/static/|type="application/json"', tag)
        for tag in re.findall(r"<script[^>]*>", text)
    )
    assert "no-store" in response.headers["cache-control"]


def test_names_are_escaped(staff: Client) -> None:
    store(make_event(plan_id=77, plan="<b>x"))
    assert "<b>x" not in page(staff)


def test_the_queries_do_not_grow_with_the_plans(
    staff: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        plan = Plan.objects.create(name=f"plan-{number}")
        store(make_event(plan_id=plan.pk, plan=plan.name))
    with django_assert_max_num_queries(32):
        page(staff)


@pytest.mark.parametrize("model", ["requestevent", "upstreamattempt", "deadletter"])
def test_the_admin_lists_show_and_cannot_be_edited(staff: Client, desk: Plan, model: str) -> None:
    store(make_event(plan_id=desk.pk), make_event(plan_id=desk.pk, would_cost=None, outcome="cut"))
    UpstreamAttempt.objects.create(event_id=uuid.uuid4(), at=datetime.now(UTC), worker="gone")
    DeadLetter.objects.create(line=b'{"x": "\xff"}', reason="torn")
    listed = staff.get(f"/admin/stats/{model}/")
    assert listed.status_code == 200
    assert listed.context["cl"].result_count > 0
    row = listed.context["cl"].result_list[0]
    assert staff.get(f"/admin/stats/{model}/{row.pk}/change/").status_code == 200
    assert staff.get(f"/admin/stats/{model}/add/").status_code == 403
    assert staff.post(f"/admin/stats/{model}/{row.pk}/change/", {"reason": "x"}).status_code == 403
    assert staff.post(f"/admin/stats/{model}/{row.pk}/delete/", {"post": "yes"}).status_code == (
        302 if model == "deadletter" else 403
    )


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("outcome=cut", 1),
        ("outcome=uncounted", 1),
        ("tier=exact", 1),
        ("plan=%d", 3),
        ("plan=x", 4),
    ],
)
def test_requests_can_be_filtered(staff: Client, desk: Plan, query: str, number: int) -> None:
    store(
        make_event(plan_id=desk.pk),
        hit("exact", plan_id=desk.pk),
        make_event(plan_id=desk.pk, outcome="cut"),
        make_event(plan_id=None),
    )
    query = query.replace("%d", str(desk.pk))
    assert staff.get(f"/admin/stats/requestevent/?{query}").context["cl"].result_count == number


def test_calls_in_flight_are_not_listed_as_unknown(staff: Client) -> None:
    SpoolCursor.objects.create(file="a", worker="alive", seen_at=datetime.now(UTC))
    UpstreamAttempt.objects.create(event_id=uuid.uuid4(), at=datetime.now(UTC), worker="alive")
    assert staff.get("/admin/stats/upstreamattempt/").context["cl"].result_count == 0


def test_pruning_forgets_what_is_older(desk: Plan) -> None:
    store(make_event(plan_id=desk.pk), make_event(plan_id=desk.pk, at=days_ago(40)))
    call_command("prune_events", days=30, verbosity=0)
    assert RequestEvent.objects.count() == 1


@pytest.mark.parametrize("days", ["0", "-3", "x"])
def test_pruning_refuses_to_forget_today(days: str) -> None:
    with pytest.raises(CommandError):
        call_command("prune_events", "--days", days)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (Decimal(0), "$0.00"),
        (Decimal("1234.5"), "$1,234.50"),
        (Decimal("0.5"), "$0.50"),
        (Decimal("0.0123"), "$0.0123"),
        (Decimal("0.00012345"), "$0.000123"),
        (Decimal(-2), "−$2.00"),
    ],
)
def test_money_reads_well(value: Decimal | None, text: str) -> None:
    assert usd(value) == text


def test_figures_read_well() -> None:
    assert [count(1234567), count(-5), count(None)] == ["1,234,567", "−5", "–"]
    assert [percent(0.5), percent(0.0123), percent(1), percent(0), percent(None)] == [
        "50\xa0%",
        "1.2\xa0%",
        "100\xa0%",
        "0\xa0%",
        "–",
    ]
    assert [ago(0.4), ago(1), ago(61), ago(7200), ago(90_000)] == [
        "0 seconds ago",
        "1 second ago",
        "1 minute ago",
        "2 hours ago",
        "1 day ago",
    ]


def test_bars_fill_their_box_and_no_more() -> None:
    assert sum(
        float(piece.width)
        for piece in build_share_bar([("x", "x", 1), ("y", "y", 2), ("z", "z", 0)])
    ) == pytest.approx(100, abs=0.01)
    assert build_share_bar([("x", "x", 0)]) == ()


def test_intervals_share_one_scale_that_holds_every_limit_and_rate() -> None:
    (sure, unsure), end = build_rate_intervals(
        [(0.001, 0.002, 0.004, 0.01), (0.0, None, 1.0, 0.02)]
    )
    assert end == 0.04
    assert [sure.low, sure.width, sure.rate, sure.limit] == ["2.50", "7.50", "5.00", "25.00"]
    assert [unsure.low, unsure.width, unsure.rate, unsure.limit] == ["0.00", "100.00", "", "50.00"]
