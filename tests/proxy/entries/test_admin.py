"""Cached answers in the admin of two workers: browsed and deleted by staff,
read with one permission more, and never without a trace."""

import re
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.gateways import Gateway, running_gateway
from tests.support.upstream import MockUpstream, completion

ASKED, REWORDED, SAID = (
    "How do I return a parcel?",
    "How can I return a parcel?",
    "Bring it to any <b>shop</b> of ours.",
)
LIST = "/admin/proxy/entry/"
USERS = """
from django.contrib.auth.models import Permission, User
for name, words in (("reader", ("view_entry", "view_entry_text")), ("browser", ("view_entry", "delete_entry")), ("stranger", ())):
    user = User.objects.create_user(name, password="correct horse", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=words))
"""  # noqa: E501 -- laid out as it is read


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    upstream.says = completion(SAID)
    with running_gateway(upstream, tmp_path_factory.mktemp("admin"), workers=2) as running:
        running.manage("shell", "-c", USERS)
        for name, cache in (
            ("pgvector", {}),
            ("redis", {"backend": "redis_semantic"}),
            ("plain", {"backend": None}),
        ):
            assert (
                running.api(
                    "POST", "/token-saving/plans", json={"plan_name": name, "cache": cache}
                ).status_code
                == 201
            )
        running.wait_plan("plain")
        yield running


def staff(gateway: Gateway, name: str) -> httpx.Client:
    client = httpx.Client(base_url=gateway.url, follow_redirects=True, timeout=30)
    client.get("/admin/login/")
    done = post(client, "/admin/login/", username=name, password="correct horse", next="/admin/")
    assert "logout" in done.text
    return client


def post(client: httpx.Client, path: str, **fields: Any) -> httpx.Response:
    return client.post(
        path, data=fields | {"csrfmiddlewaretoken": client.cookies["tokenthrift_csrf"]}
    )


def ask(
    gateway: Gateway, plan: str, namespace: str, question: str = ASKED, **fields: Any
) -> httpx.Response:
    return gateway.chat(
        question,
        token_saving_plan_id=plan,
        cache={"namespace": namespace} | fields.pop("cache", {}),
        **fields,
    )


def store(gateway: Gateway, plan: str, **fields: Any) -> tuple[str, str]:
    """Keep an answer; its namespace and its id."""
    namespace = uuid.uuid4().hex
    assert ask(gateway, plan, namespace, **fields).headers["x-tokenthrift-cache"] == "miss"
    time.sleep(1)
    row = gateway.api(
        "GET", f"/token-saving/plans/{plan}/entries", params={"namespace": namespace}
    ).json()["data"][0]
    for _ in range(6):
        assert ask(gateway, plan, namespace, **fields).headers["x-tokenthrift-cache"] == "exact"
    return namespace, row["entry_id"]


def looks(gateway: Gateway, entry_id: str) -> list[Any]:
    with psycopg.connect(gateway.environment["DATABASE_URL"]) as connection:
        found = connection.execute(
            'SELECT "user", tenant, plan FROM proxy_entrylook WHERE entry_id = %s', (entry_id,)
        )
        return found.fetchall()


def test_staff_without_the_permission_browse_and_see_no_text(gateway: Gateway) -> None:
    namespace, entry_id = store(gateway, "pgvector")
    client = staff(gateway, "browser")
    page = client.get(LIST).text
    assert namespace in page
    assert entry_id[:12] in page
    page += client.get(f"{LIST}{entry_id}/change/").text
    assert "Hidden" in page
    assert "Show the text" not in page
    refused = post(client, f"{LIST}{entry_id}/text/")
    assert refused.status_code == 403
    for said in ("parcel", "any shop", "shop"):
        assert said not in page + refused.text
    assert looks(gateway, entry_id) == []


def test_a_stranger_sees_nothing(gateway: Gateway) -> None:
    _, entry_id = store(gateway, "plain")
    client = staff(gateway, "stranger")
    assert client.get(LIST).status_code == 403
    assert client.get(f"{LIST}{entry_id}/change/").status_code == 403
    assert post(client, f"{LIST}{entry_id}/text/").status_code == 403


@pytest.mark.parametrize("plan", ["pgvector", "redis", "plain"])
def test_each_look_at_the_text_is_written_down(gateway: Gateway, plan: str) -> None:
    _, entry_id = store(gateway, plan)
    client = staff(gateway, "reader")
    page = client.get(f"{LIST}{entry_id}/change/").text
    assert "Show the text" in page
    assert "parcel" not in page
    assert looks(gateway, entry_id) == []
    assert client.get(f"{LIST}{entry_id}/text/").status_code == 405  # following a link is no look
    for number in (1, 2):
        shown = post(client, f"{LIST}{entry_id}/text/").text
        assert "Bring it to any &lt;b&gt;shop&lt;/b&gt; of ours." in shown
        assert (ASKED in shown) == (plan != "plain")
        assert looks(gateway, entry_id) == [("reader", "demo", plan)] * number
    assert "Delete" not in page  # which is another permission
    assert post(client, f"{LIST}{entry_id}/delete/", post="yes").status_code == 403
    assert "parcel" not in gateway.log.read_text()


def test_the_list_is_searched_by_id_namespace_and_end_user(gateway: Gateway) -> None:
    namespace, entry_id = store(gateway, "plain", user="emma@example.org")
    store(gateway, "plain")
    client = staff(gateway, "browser")
    for term in (entry_id, namespace, "emma@example.org"):
        assert re.findall(
            r"/admin/proxy/entry/(\w+)/change/", client.get(LIST, params={"q": term}).text
        ) == [entry_id]
    assert "0 cached answers" in client.get(LIST, params={"q": "nobody"}).text
    for query in (
        {"tenant": "1"},
        {"plan": "1"},
        {"store": "exact"},
        {"store": "semantic"},
        {"created_at__gte": "2026-01-01"},
    ):
        assert client.get(LIST, params=query).status_code == 200


@pytest.mark.parametrize("plan", ["pgvector", "redis"])
@pytest.mark.parametrize("way", ["page", "action"])
def test_what_staff_delete_is_gone_from_both_tiers_and_both_workers(
    gateway: Gateway, plan: str, way: str
) -> None:
    namespace, entry_id = store(gateway, plan)
    other, _ = store(gateway, plan)
    client = staff(gateway, "browser")
    client.get(LIST)
    began = time.monotonic()
    if way == "page":
        done = post(client, f"{LIST}{entry_id}/delete/", post="yes")
    else:
        done = post(client, LIST, action="delete_selected", _selected_action=entry_id, post="yes")
    assert done.status_code == 200, done.text
    assert "uccessfully" in done.text
    time.sleep(max(0.0, 2 - (time.monotonic() - began)))
    only = {"only-if-cached": True}
    assert {
        ask(gateway, plan, namespace, question, cache=only).status_code
        for question in (ASKED, REWORDED) * 4
    } == {504}
    assert {
        ask(gateway, plan, other, question, cache=only).status_code
        for question in (ASKED, REWORDED) * 4
    } == {200}
    assert entry_id[:12] not in client.get(LIST, params={"q": namespace}).text


def test_tenants_show_what_they_keep(gateway: Gateway) -> None:
    store(gateway, "plain")
    gateway.manage(
        "shell",
        "-c",
        (
            "from django.contrib.auth.models import User; User.objects.create_superuser('root', "
            "password='correct horse')"
        ),
    )
    client = staff(gateway, "root")
    time.sleep(3)
    assert re.search(
        r'field-cached_usage">[1-9]\d* \([\d.]+\s\w+\)<', client.get("/admin/plans/tenant/").text
    )
    page = client.get("/admin/plans/tenant/1/change/").text
    assert "Most cached answers" in page
    assert "Most cached bytes" in page
    assert client.get("/admin/plans/tenant/add/").status_code == 200
    for path in ("/admin/stats/erasure/", "/admin/proxy/entrylook/"):
        assert client.get(path).status_code == 200
