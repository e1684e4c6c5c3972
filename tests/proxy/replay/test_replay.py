"""A draft tried on the last week: at a real gateway, over the API and on the page;
what is kept for it, and for how long."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import psycopg
import pytest
from django.db import connection

from plans import services
from plans.models import Plan, Tenant
from proxy.replay import service
from proxy.replay.service import MAX_INLINE_REQUESTS, ReplayUnavailable, replay_plan
from stats.ledger import deletions, retention
from stats.ledger.deletions import EntryFilter
from stats.ledger.fingerprint_sql import INSERT_FINGERPRINTS_SQL
from stats.ledger.retention import RetentionPolicy
from stats.models.fingerprints import StoredImprint
from tests.support.events import make_event
from tests.support.gateways import Gateway, running_gateway
from tests.support.recorded import store
from tests.support.upstream import MockUpstream, completion, running_upstream

ASKED = (
    "How do I change my delivery address?",
    "Where can I see my invoices?",
    "Which cards do you accept?",
)
REWORDED = "How can I change my delivery address?"
SECRET = "mauve aardvark"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with (
        running_upstream() as upstream,
        running_gateway(upstream, tmp_path_factory.mktemp("replay")) as gateway,
    ):
        furnish(gateway, upstream)
        yield gateway


def furnish(gateway: Gateway, upstream: MockUpstream) -> None:
    """A plan with three questions asked twice, one in other words, one by an end user;
    another in shadow; a third without requests."""
    upstream.says = completion("On your account page.")
    for name, mode in (("desk", "active"), ("watched", "shadow"), ("idle", "active")):
        body = {"plan_name": name, "mode": mode, "cache": {"ttl": 3600, "ttl_jitter": 0}}
        assert gateway.api("POST", "/token-saving/plans", json=body).status_code == 201
        gateway.wait_plan(name)
    for plan in ("desk", "watched"):
        for question in (*ASKED, *ASKED, REWORDED, f"What is a {SECRET}?"):
            assert (
                gateway.chat(question, token_saving_plan_id=plan, user="maria").status_code == 200
            )
    gateway.stats("desk", requests=8)
    deadline = time.monotonic() + 15
    while _count(gateway) < 16 and time.monotonic() < deadline:
        time.sleep(0.1)


def _count(gateway: Gateway) -> int:
    with psycopg.connect(gateway.environment["DATABASE_URL"]) as connected:
        found = connected.execute("SELECT count(*) FROM stats_imprint").fetchone()
    assert found
    return int(found[0])


def tried(gateway: Gateway, plan: str, **draft: Any) -> dict[str, Any]:
    reply = gateway.api("POST", f"/token-saving/plans/{plan}/replay", json=draft)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def test_the_plan_in_force_replays_to_the_ledger_s_own_figures(gateway: Gateway) -> None:
    found, stats = tried(gateway, "desk"), gateway.stats("desk", requests=8)
    assert found["requests"] == 8
    assert found["now"] == found["then"]
    assert found["now"]["exact_hits"] + found["now"]["semantic_hits"] == stats["cache_hits"] >= 4
    assert float(found["now"]["saved_usd"]) == pytest.approx(stats["cost_saved_usd"], abs=1e-9)
    assert (
        found["hits_gained"],
        found["hits_lost"],
        found["keys_touched"],
        found["not_replayed"],
    ) == (0, 0, 0, [])


def test_a_plan_in_shadow_is_tried_by_what_it_would_have_answered(gateway: Gateway) -> None:
    found = tried(gateway, "watched")
    assert found["now"] == found["then"]
    assert found["now"]["exact_hits"] == 3
    assert float(found["now"]["saved_usd"]) > 0


def test_a_life_of_no_seconds_to_speak_of_loses_every_hit(gateway: Gateway) -> None:
    found = tried(gateway, "desk", cache={"ttl": 1, "ttl_jitter": 0.0})
    hits = found["now"]["exact_hits"] + found["now"]["semantic_hits"]
    assert found["hits_lost"] + found["then"]["exact_hits"] + found["then"]["semantic_hits"] == hits
    assert found["now"]["exact_hits"] == 3


def test_a_threshold_that_nothing_reaches_loses_the_near_hits_alone(gateway: Gateway) -> None:
    found = tried(gateway, "desk", cache={"similarity_threshold": 1.0})
    assert found["then"]["exact_hits"] == 3
    assert found["then"]["semantic_hits"] == 0
    assert found["hits_lost"] == found["now"]["semantic_hits"] == 1
    assert float(found["then"]["paid_usd"]) > float(found["now"]["paid_usd"])


def test_a_threshold_by_name_is_replayed_and_hides_no_change(gateway: Gateway) -> None:
    found = tried(gateway, "desk", cache={"strictness": "strict", "similarity_threshold": 1.0})
    assert found["now"] == found["then"]
    assert found["not_replayed"] == []


def test_no_cache_at_all_pays_for_everything(gateway: Gateway) -> None:
    found = tried(gateway, "desk", cache=None)
    assert (found["then"]["exact_hits"], found["then"]["semantic_hits"], found["keys_touched"]) == (
        0,
        0,
        1,
    )


def test_what_cannot_be_replayed_is_named(gateway: Gateway) -> None:
    found = tried(gateway, "desk", holdout=0.1, cache={"context": "strict"})
    assert found["not_replayed"] == [
        "how many requests are held out",
        "what of a chat's earlier turns must agree",
    ]


def test_a_plan_without_requests_has_nothing_to_show(gateway: Gateway) -> None:
    found = tried(gateway, "idle", cache={"ttl": 60})
    assert (found["requests"], found["since"], found["now"]["saved_usd"]) == (0, None, "0")


@pytest.mark.parametrize(
    ("draft", "param"), [({"cache": {"ttl": -1}}, "cache.ttl"), ({"surprise": 1}, "surprise")]
)
def test_a_draft_that_could_not_be_saved_is_refused_as_saving_it_would_be(
    gateway: Gateway, draft: dict[str, Any], param: str
) -> None:
    reply = gateway.api("POST", "/token-saving/plans/desk/replay", json=draft)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


def test_nothing_is_saved_by_it(gateway: Gateway) -> None:
    before = gateway.api("GET", "/token-saving/plans/desk").json()
    tried(gateway, "desk", cache={"ttl": 5})
    assert gateway.api("GET", "/token-saving/plans/desk").json() == before


def test_another_tenant_s_plan_is_not_found(gateway: Gateway) -> None:
    assert gateway.api("POST", "/token-saving/plans/nobody-s/replay", json={}).status_code == 404


def test_no_word_of_a_question_is_kept(gateway: Gateway) -> None:
    with psycopg.connect(gateway.environment["DATABASE_URL"]) as connected:
        rows = connected.execute("SELECT *, stats_imprint::text FROM stats_imprint").fetchall()
    assert len(rows) == 16
    assert not any(SECRET.encode() in repr(row).encode() or "maria" in repr(row) for row in rows)


def test_the_form_s_draft_is_tried_on_the_page_and_can_be_saved_from_there(
    gateway: Gateway,
) -> None:
    with httpx.Client(base_url=gateway.url, timeout=30) as browser:
        login = browser.get("/admin/login/")
        fields = {
            "username": "admin",
            "password": gateway.password,
            "csrfmiddlewaretoken": _token(login.text),
            "next": "/admin/",
        }
        assert browser.post("/admin/login/", data=fields).status_code == 302
        number = re.search(r"/plan/(\d+)/change/", browser.get("/admin/plans/plan/?q=desk").text)
        assert number
        path = f"/admin/plans/plan/{number[1]}"
        assert "to try a change" in browser.get(f"{path}/replay/").text.lower()
        form = browser.get(f"{path}/change/").text
        sent = dict(re.findall(r'<input[^>]*name="([a-z_]+)"[^>]*value="([^"]*)"', form))
        selected = r'<select name="([a-z_]+)".*?<option value="([^"]*)" selected'
        sent |= dict(re.findall(selected, form, re.DOTALL)) | {
            "cache_enabled": "on",
            "exact": "on",
            "similarity_threshold": "1.0",
        }
        sent = {
            name: value
            for name, value in sent.items()
            if not name.startswith("_") and name not in ("force", "time_sensitive", "personal")
        }
        page = browser.post(
            f"{path}/replay/", data=sent | {"csrfmiddlewaretoken": _token(form), "_draft": "replay"}
        )
        assert page.status_code == 200, page.text
        assert "would have been answered otherwise" in page.text
        assert re.search(r"Near questions answered</th><td>1</td><td>0", page.text)
        assert "Save this change" in page.text
        refused = browser.post(
            f"{path}/replay/", data=sent | {"csrfmiddlewaretoken": _token(form), "ttl": "-1"}
        )
        assert refused.status_code == 400
        assert "Time to live" in refused.text


def _token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found
    return found[1]


def imprint(*, at: datetime, **fields: Any) -> dict[str, Any]:
    given = {
        "event_id": str(uuid4()),
        "at": at.timestamp(),
        "tenant_id": 1,
        "plan_id": 1,
        "key_id": 1,
        "asked": uuid4().hex,
        "bucket": "",
    }
    return given | {"end_user": "", "vector": ""} | fields


def insert(*rows: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(INSERT_FINGERPRINTS_SQL.decode(), [orjson.dumps(rows)])


@pytest.mark.django_db
def test_imprints_go_after_their_days_and_come_once() -> None:
    now = datetime.now(UTC)
    old, new = imprint(at=now - timedelta(days=9)), imprint(at=now - timedelta(days=2))
    insert(old, new)
    insert(new)
    assert (
        dict(retention.prune_ledger(RetentionPolicy(fingerprint_days=7)))["imprint of a request"]
        == 1
    )
    assert [str(row.pk) for row in StoredImprint.objects.all()] == [new["event_id"]]


@pytest.mark.django_db
def test_what_is_erased_is_erased_here_too_also_when_it_comes_in_late() -> None:
    now = datetime.now(UTC)
    hers, his = imprint(at=now, end_user="a" * 64), imprint(at=now, end_user="b" * 64)
    insert(hers, his)
    deletions.erase_entries(EntryFilter(tenant_id=1, end_user="a" * 64), by="somebody")
    late = imprint(at=now - timedelta(seconds=5), end_user="a" * 64)
    insert(late)
    assert [str(row.pk) for row in StoredImprint.objects.all()] == [his["event_id"]]
    deletions.erase_entries(EntryFilter(entry_id=his["asked"] + "0" * 32), by="somebody")
    assert not StoredImprint.objects.exists()


def test_without_days_nothing_is_kept(tmp_path: Path) -> None:
    with (
        running_upstream() as upstream,
        running_gateway(upstream, tmp_path, TOKENTHRIFT_IMPRINT_DAYS="0") as gateway,
    ):
        upstream.says = completion("Yes.")
        assert (
            gateway.api("POST", "/token-saving/plans", json={"plan_name": "desk"}).status_code
            == 201
        )
        gateway.wait_plan("desk")
        gateway.chat(token_saving_plan_id="desk")
        gateway.stats("desk", requests=1)
        assert _count(gateway) == 0
        assert tried(gateway, "desk")["days"] == 0


def recorded(number: int) -> Plan:
    """A plan with so many requests of the last hour, every second one answered from the cache."""
    plan = Plan.objects.create(name="busy", cache_enabled=True)
    now = time.time()
    kinds: tuple[dict[str, Any], ...] = (
        {
            "tier": "miss",
            "attempts": 1,
            "would_cost": Decimal("0.01"),
            "billed_cost": Decimal("0.01"),
        },
        {"tier": "exact", "attempts": 0, "would_cost": Decimal("0.01"), "billed_cost": Decimal(0)},
    )
    events = [
        make_event(at=now - number + place, plan_id=plan.pk, plan="busy", **kinds[place % 2])
        for place in range(number)
    ]
    store(*events)
    same = [uuid4().hex for _ in range(number)]
    insert(
        *(
            imprint(
                at=datetime.fromtimestamp(event.at, UTC),
                event_id=event.event_id,
                plan_id=plan.pk,
                asked=same[place // 2],
            )
            for place, event in enumerate(events)
        )
    )
    return plan


@pytest.mark.django_db
def test_many_requests_are_replayed_by_a_process_of_their_own() -> None:
    plan = recorded(MAX_INLINE_REQUESTS + 100)
    draft = services.build_draft(plan)
    assert draft.cache is not None
    found = replay_plan(plan, draft, None).result
    assert found.now == found.then
    assert (found.requests, found.now.exact, found.now.saved) == (
        MAX_INLINE_REQUESTS + 100,
        MAX_INLINE_REQUESTS / 2 + 50,
        Decimal("0.01") * (MAX_INLINE_REQUESTS // 2 + 50),
    )
    none = replay_plan(plan, replace(draft, cache=None), None).result
    assert (none.then.exact, none.lost, none.then.paid) == (
        0,
        MAX_INLINE_REQUESTS / 2 + 50,
        Decimal("0.01") * (MAX_INLINE_REQUESTS + 100),
    )


@pytest.mark.django_db
def test_what_takes_too_long_is_ended_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = recorded(MAX_INLINE_REQUESTS + 1)
    monkeypatch.setattr(service, "REPLAY_TIMEOUT_SECONDS", 0.001)
    with pytest.raises(ReplayUnavailable, match="could not be replayed"):
        replay_plan(plan, services.build_draft(plan), None)


@pytest.mark.django_db
def test_a_tenant_sees_its_own_requests_under_a_plan_of_the_platform_s() -> None:
    ours, theirs = (Tenant.objects.create(slug=slug) for slug in ("ours", "theirs"))
    plan, now = Plan.objects.create(name="common", cache_enabled=True), time.time()
    for number, tenant in enumerate((ours, theirs, theirs)):
        event = make_event(
            at=now - number, plan_id=plan.pk, tenant_id=tenant.pk, tier="miss", attempts=1
        )
        store(event)
        insert(
            imprint(
                at=datetime.fromtimestamp(event.at, UTC),
                event_id=event.event_id,
                plan_id=plan.pk,
                tenant_id=tenant.pk,
            )
        )
    draft = services.build_draft(plan)
    assert [replay_plan(plan, draft, owner).result.requests for owner in (ours, theirs, None)] == [
        1,
        2,
        3,
    ]
