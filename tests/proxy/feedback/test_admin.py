"""Wrong answers in the admin: who said it, taking it back, and marking a request as wrong;
and how often a tenant may say so."""

import re
import time
import uuid
from collections.abc import Iterator
from unittest.mock import patch

import httpx
import psycopg
import pytest
from django.utils import timezone

from proxy.feedback.service import delete_expired_evictions
from proxy.models import EvictedAnswer, WrongAnswer
from tests.support.gateways import PROMISED
from tests.support.tenants import Both, ask, two_tenants
from tests.support.upstream import completion

STORED, NEAR = "How do I return a parcel?", "How can I return a parcel?"
PASSWORD = "a long and winding passphrase"
LIMIT = 5


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with two_tenants(
        tmp_path_factory.mktemp("wrong"), workers=2, TOKENTHRIFT_FEEDBACK_PER_MINUTE=str(LIMIT)
    ) as running:
        running.gateway.environment["DJANGO_SUPERUSER_PASSWORD"] = PASSWORD
        running.gateway.manage(
            "createsuperuser", "--noinput", "--username", "boss", "--email", "boss@example.org"
        )
        yield running


@pytest.fixture
def staff(both: Both) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=both.gateway.url, follow_redirects=True, timeout=30) as client:
        page = client.get("/admin/login/")
        fields = {
            "username": "boss",
            "password": PASSWORD,
            "csrfmiddlewaretoken": token(page.text),
            "next": "/admin/",
        }
        assert client.post("/admin/login/", data=fields).url.path == "/admin/"
        yield client


def token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found
    return found[1]


def act(staff: httpx.Client, path: str, action: str, row: object) -> str:
    """The page after an action on one row."""
    page = staff.get(path)
    fields = {
        "csrfmiddlewaretoken": token(page.text),
        "action": action,
        "_selected_action": str(row),
        "index": "0",
    }
    return staff.post(path, data=fields).text


def hit(both: Both, plan: str) -> str:
    """The id of a request that got the stored answer of another one."""
    both.upstream.says = completion("kept")
    both.chat(plan, ask(STORED))
    time.sleep(0.3)
    reply = both.chat(plan, ask(NEAR))
    assert reply.headers["x-tokenthrift-cache"] == "semantic"
    return reply.headers["x-request-id"]


def everywhere(both: Both, plan: str) -> list[str]:
    """What both workers say to the stored question and to the near one."""
    only = {"only-if-cached": True}
    asked = [ask(STORED, cache=only), ask(NEAR, cache=only)] * 8
    return sorted({both.chat(plan, body).headers["x-tokenthrift-cache"] for body in asked})


@pytest.mark.parametrize("backend", ["pgvector_semantic", "redis_semantic"])
def test_a_word_that_is_taken_back_restores_what_was_evicted(
    both: Both, staff: httpx.Client, backend: str
) -> None:
    plan = both.plan(cache={"backend": backend})
    request_id = hit(both, plan)
    found = both.feedback(request_id)
    assert found.status_code == 200, found.text
    time.sleep(PROMISED)
    assert everywhere(both, plan) == ["miss"]
    ((row,),) = rows(both, f"SELECT id FROM proxy_wronganswer WHERE event_id = '{request_id}'")
    page = staff.get(f"/admin/proxy/wronganswer/{row}/change/").text
    assert found.json()["entry_id"] in page
    assert "acme-app" in page
    assert STORED not in page
    assert "2 stored answers are served again" in act(
        staff, "/admin/proxy/wronganswer/", "take_back", row
    )
    assert "0 stored answers are served again" in act(
        staff, "/admin/proxy/wronganswer/", "take_back", row
    )
    time.sleep(PROMISED)
    assert everywhere(both, plan) == ["exact", "semantic"]
    assert rows(both, f"SELECT wrong FROM stats_requestevent WHERE event_id = '{request_id}'") == [
        (False,)
    ]
    assert both.chat(plan, ask(NEAR)).json() == completion("kept")


def test_what_was_answered_anew_is_not_overwritten(both: Both, staff: httpx.Client) -> None:
    plan = both.plan(cache={})
    request_id = hit(both, plan)
    both.feedback(request_id)
    time.sleep(PROMISED)
    both.upstream.says = completion("anew")
    both.chat(plan, ask(STORED))
    time.sleep(0.3)
    ((row,),) = rows(both, f"SELECT id FROM proxy_wronganswer WHERE event_id = '{request_id}'")
    assert "0 stored answers are served again" in act(
        staff, "/admin/proxy/wronganswer/", "take_back", row
    )
    assert both.chat(plan, ask(STORED)).json() == completion("anew")


def test_staff_mark_a_request_as_wrong(both: Both, staff: httpx.Client) -> None:
    plan = both.plan(cache={})
    request_id = hit(both, plan)
    time.sleep(1.5)
    assert "1 marked as wrong" in act(staff, "/admin/stats/requestevent/", "mark_wrong", request_id)
    time.sleep(PROMISED)
    assert everywhere(both, plan) == ["miss"]
    assert rows(both, f"SELECT said_by FROM proxy_wronganswer WHERE event_id = '{request_id}'") == [
        ("boss",)
    ]
    miss = both.chat(plan, ask("What is new?")).headers["x-request-id"]
    time.sleep(1.5)
    assert "1 were answered by the provider" in act(
        staff, "/admin/stats/requestevent/", "mark_wrong", miss
    )


def test_a_hit_held_back_in_shadow_can_be_marked_too(both: Both, staff: httpx.Client) -> None:
    plan = both.plan(cache={}, mode="shadow")
    both.chat(plan, ask(STORED))
    time.sleep(0.3)
    reply = both.chat(plan, ask(NEAR))
    assert reply.headers["x-tokenthrift-would"] == "semantic"
    time.sleep(1.5)
    assert "1 marked as wrong" in act(
        staff, "/admin/stats/requestevent/", "mark_wrong", reply.headers["x-request-id"]
    )
    time.sleep(PROMISED)
    assert "x-tokenthrift-would" not in both.chat(plan, ask(NEAR)).headers


def test_a_tenant_s_feedback_is_limited_on_all_workers_together(both: Both) -> None:
    old = "0190a000-0000-7000-8000-000000000000"  # a request of long ago is not waited for
    while time.time() % 60 > 50:  # a minute that lasts
        time.sleep(1)
    replies = [both.feedback(old, "rival") for _ in range(LIMIT + 3)]
    assert [reply.status_code for reply in replies] == [404] * LIMIT + [429] * 3
    error = replies[-1].json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limited")
    assert 1 <= int(replies[-1].headers["retry-after"]) <= 60
    assert both.feedback(old, "acme").status_code in (404, 429)  # its own count


def rows(both: Both, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(both.gateway.environment["DATABASE_URL"], autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.mark.django_db
def test_what_could_not_be_put_back_any_more_is_removed() -> None:
    now = timezone.now()
    said = WrongAnswer.objects.create(event_id=uuid.uuid4(), entry_id="e", until=now)
    for name, expires_at in (("gone", time.time() - 1), ("kept", time.time() + 60)):
        EvictedAnswer.objects.create(
            said=said,
            entry_id=name,
            tier="exact",
            similarity=1,
            scope="s",
            plan_id=1,
            value=b"x",
            created_at=0,
            expires_at=expires_at,
        )
    with patch("proxy.feedback.service.connections"):  # the test's own connection stays
        assert delete_expired_evictions() == 1
    assert [row.entry_id for row in said.evicted.all()] == ["kept"]
