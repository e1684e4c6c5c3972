"""Stored answers are found and deleted over HTTP:
in both tiers, from the memory of two workers, by whose and what they are."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
import redis

from tests.support.gateways import PROMISED, ROUTE, Gateway, running_gateway
from tests.support.upstream import MockUpstream

BACKENDS = ["pgvector_semantic", "redis_semantic"]
OTHER = "other/model"
ASKED, REWORDED = "How do I return a parcel?", "How can I return a parcel?"
SETUP = f"""
from proxy.models import Route
from plans.models import Tenant
first = Route.objects.get()
Route.objects.create(name="{OTHER}", upstream=first.upstream, model=first.model)
Tenant.objects.create(slug="rival")
"""


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(upstream, tmp_path_factory.mktemp("entries"), workers=2) as running:
        running.manage("shell", "-c", SETUP)
        for backend in BACKENDS:
            body = {"plan_name": backend, "cache": {"backend": backend}}
            assert running.api("POST", "/token-saving/plans", json=body).status_code == 201
        assert (
            running.api(
                "POST",
                "/token-saving/plans",
                json={"plan_name": "private", "cache": {"scope": "user"}},
            ).status_code
            == 201
        )
        running.wait_plan("private")
        yield running


@pytest.fixture(params=BACKENDS)
def plan(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


class Client:
    """Asks under one namespace that no other test uses."""

    def __init__(
        self, gateway: Gateway, plan: str, *, key: str | None = None, **fields: Any
    ) -> None:
        self.gateway, self.plan, self.key = gateway, plan, key
        self.fields = {"cache": {"namespace": uuid.uuid4().hex}} | fields

    @property
    def namespace(self) -> str:
        return str(self.fields["cache"]["namespace"])

    def store(self, question: str = ASKED) -> None:
        """Have the answer kept, and in the memory of both workers."""
        assert self.tier(question) == "miss"
        time.sleep(0.6)  # the row comes by way of the ledger
        assert self.tiers(question) == {"exact"}

    def tier(self, question: str) -> str:
        answer = self.gateway.chat(
            question, key=self.key, token_saving_plan_id=self.plan, **self.fields
        )
        assert answer.status_code == 200, answer.text
        return answer.headers["x-tokenthrift-cache"]

    def tiers(self, question: str) -> set[str]:
        """What several connections get of the caches alone."""
        cache = self.fields["cache"] | {"only-if-cached": True}
        found = set()
        for _ in range(8):
            answer = self.gateway.chat(
                question,
                key=self.key,
                token_saving_plan_id=self.plan,
                **self.fields | {"cache": cache},
            )
            found.add(
                answer.headers.get("x-tokenthrift-cache", "")
                if answer.status_code == 200
                else "none"
            )
        return found

    def gone(self) -> bool:
        return self.tiers(ASKED) == self.tiers(REWORDED) == {"none"}

    def kept(self) -> bool:
        return self.tiers(ASKED) == {"exact"} and self.tiers(REWORDED) == {"semantic"}


def entries(
    gateway: Gateway, plan: str, method: str = "GET", *, key: str | None = None, **query: Any
) -> httpx.Response:
    headers = {"authorization": f"Bearer {key or gateway.admin_key}"}
    return httpx.request(
        method,
        f"{gateway.url}/token-saving/plans/{plan}/entries",
        params=query,
        headers=headers,
        timeout=30,
    )


def delete(gateway: Gateway, plan: str, **query: Any) -> Any:
    reply = entries(gateway, plan, "DELETE", **query)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_a_bad_answer_is_cleared_by_its_entry(gateway: Gateway, plan: str) -> None:
    """Portkey#199: no way to clear a bad entry."""
    bad, good = Client(gateway, plan), Client(gateway, plan)
    bad.store()
    good.store()
    (row,) = entries(gateway, plan, namespace=bad.namespace).json()["data"]
    assert row["tenant"] == "demo"
    assert row["model"] == ROUTE
    assert (row["exact"], row["backend"]) == (True, plan)
    assert row["bytes"] > 500
    assert delete(gateway, plan, entry_id=row["entry_id"]) == {"deleted": 1, "pending": 0}
    assert bad.gone()
    assert good.kept()
    assert entries(gateway, plan, namespace=bad.namespace).json() == {
        "object": "list",
        "total": 0,
        "data": [],
    }
    bad.store()  # and may be answered anew
    time.sleep(6)  # past the second time that the deleted one is taken out
    assert bad.kept()


def test_by_namespace(gateway: Gateway, plan: str) -> None:
    one, other = Client(gateway, plan), Client(gateway, plan)
    one.store()
    other.store()
    assert delete(gateway, plan, namespace=one.namespace) == {"deleted": 1, "pending": 0}
    assert one.gone()
    assert other.kept()


def test_by_model_and_namespace_together(gateway: Gateway, plan: str) -> None:
    first, second = Client(gateway, plan), Client(gateway, plan, model=OTHER)
    first.store()
    second.store()
    assert delete(gateway, plan, model=OTHER, namespace=first.namespace) == {
        "deleted": 0,
        "pending": 0,
    }
    assert delete(gateway, plan, model=OTHER) == {"deleted": 1, "pending": 0}
    assert second.gone()
    assert first.kept()


@pytest.mark.parametrize("plan", ["pgvector_semantic", "private"])
def test_what_an_end_user_s_requests_stored_goes_in_every_scope(
    gateway: Gateway, plan: str
) -> None:
    name = f"anna-{uuid.uuid4().hex}@example.org"
    anna, ben = Client(gateway, plan, user=name), Client(gateway, plan, user="ben")
    anna.store()
    ben.store()
    # whose anna?
    assert entries(gateway, plan, "DELETE", end_user=name).json()["error"]["param"] == "tenant"
    assert delete(gateway, plan, end_user=name, tenant="demo") == {"deleted": 1, "pending": 0}
    assert anna.gone()
    assert ben.kept()
    with psycopg.connect(gateway.environment["DATABASE_URL"]) as connection:
        dump = connection.execute(
            "SELECT string_agg(e::text, ' ') FROM stats_cacheentry e"
        ).fetchone()
        erased = connection.execute(
            "SELECT string_agg(e::text, ' ') FROM stats_erasure e"
        ).fetchone()
    assert dump is not None
    assert erased is not None
    assert name not in dump[0] + erased[0]


def test_all_of_a_plan_and_only_when_said(gateway: Gateway) -> None:
    mine = Client(gateway, "private", user="carl")
    mine.store()
    reply = entries(gateway, "private", "DELETE")
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "all")
    assert mine.kept()
    assert delete(gateway, "private", all="true")["deleted"] >= 1
    assert mine.gone()


@pytest.mark.parametrize(
    "query",
    [
        {"question": "x"},
        {"namespace": ""},
        {"limit": "0"},
        {"entry_id": "x" * 600},
        {"model": "\x00"},
    ],
)
def test_a_filter_that_is_not_understood_is_refused(
    gateway: Gateway, query: dict[str, str]
) -> None:
    reply = entries(gateway, "private", **query)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, *query)


def test_another_tenant_sees_and_deletes_nothing(gateway: Gateway, plan: str) -> None:
    ours = Client(gateway, plan, user="dora")
    ours.store()
    body = {"plan_name": f"own-{plan}", "cache": {"backend": plan}}
    assert gateway.api("POST", "/token-saving/plans?tenant=demo", json=body).status_code == 201
    rival = gateway.manage("create_admin_key", "--tenant", "rival")
    # The platform's plan, which rival may use too.
    assert entries(gateway, plan, key=rival).json()["data"] == []
    for query in (
        {"namespace": ours.namespace},
        {"all": "true"},
        {"end_user": "dora"},
        {"model": ROUTE},
    ):
        assert entries(gateway, plan, "DELETE", key=rival, **query).json() == {
            "deleted": 0,
            "pending": 0,
        }
    for method in ("GET", "DELETE"):
        assert entries(gateway, f"own-{plan}", method, key=rival, all="true").status_code in (
            400,
            404,
        )
        assert entries(gateway, f"own-{plan}", method, key=rival).status_code in (400, 404)
        assert (
            entries(
                gateway, plan, method, key=rival, tenant="demo", namespace=ours.namespace
            ).status_code
            == 404
        )
    assert (
        entries(gateway, f"own-{plan}", "DELETE", key=rival, namespace=ours.namespace).json()[
            "error"
        ]["code"]
        == "plan_not_found"
    )
    assert ours.kept()
    assert entries(gateway, plan, key=gateway.virtual_key).status_code == 401


def test_after_redis_was_flushed_the_rest_can_still_be_deleted(gateway: Gateway) -> None:
    mine = Client(gateway, "pgvector_semantic")
    mine.store()
    store = redis.Redis.from_url(gateway.environment["REDIS_URL"].removesuffix("/1") + "/1")
    store.flushdb()
    time.sleep(0.3)
    assert mine.tiers(ASKED) == {"semantic"}
    assert delete(gateway, "pgvector_semantic", namespace=mine.namespace) == {
        "deleted": 1,
        "pending": 0,
    }
    assert mine.gone()


def test_hits_and_last_use_come_from_the_ledger(gateway: Gateway, plan: str) -> None:
    mine = Client(gateway, plan)
    mine.store()
    assert mine.tiers(REWORDED) == {"semantic"}
    time.sleep(1)
    (row,) = entries(gateway, plan, namespace=mine.namespace).json()["data"]
    assert 8 <= row["hits"] <= 16


def test_a_quota_takes_what_was_used_longest_ago_of_that_tenant_alone(
    gateway: Gateway, plan: str
) -> None:
    slug = f"small-{plan.partition('_')[0]}"
    key = gateway.manage("create_key", "--tenant", slug, "--create-tenant")
    time.sleep(PROMISED)
    mine, other = [Client(gateway, plan, key=key) for _ in range(4)], Client(gateway, plan)
    for client in (*mine, other):
        client.store()
    with psycopg.connect(gateway.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("UPDATE stats_cacheentry SET used_at = used_at - interval '1 hour'")
        assert mine[0].tier(ASKED) == "exact"  # the oldest, used again
        assert mine[2].tier(REWORDED) == "semantic"
        time.sleep(1)
        connection.execute("UPDATE plans_tenant SET max_entries = 2 WHERE slug = %s", (slug,))
        until = time.monotonic() + 10
        left = "SELECT count(*) FROM stats_cacheentry WHERE tenant = %s AND doomed_at IS NULL"
        while time.monotonic() < until and connection.execute(left, (slug,)).fetchone() != (2,):
            time.sleep(0.2)  # to ask for an entry would be to use it
        time.sleep(1)
        assert mine[1].gone()
        assert mine[3].gone()
        assert mine[0].kept()
        assert mine[2].kept()
        assert other.kept()
        time.sleep(3)
        query = (
            "SELECT entries FROM plans_tenantusage u JOIN plans_tenant t "
            "ON t.id = tenant_id WHERE slug = %s"
        )
        assert connection.execute(query, (slug,)).fetchone() == (2,)
    page = httpx.get(f"{gateway.url}/metrics").text
    assert f'tokenthrift_cache_entries{{tenant="{slug}"}} 2.0' in page
    assert "parcel" not in gateway.log.read_text()
