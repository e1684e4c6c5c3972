"""Two who write at the same moment: one is first, the other is shown what the first saved."""

import threading
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client

from plans import services
from plans.api_errors import VersionConflict
from plans.models import ModelPrice, Plan, Tenant
from proxy.upstreams.services import put_route, put_upstream
from tests.plans.admin.test_edit_conflicts import opened, shown, token
from tests.plans.admin.test_plans import PLAN

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(transactional_db: None) -> tuple[Client, Client]:
    clients = (Client(), Client())
    for client, name in zip(clients, ("ann", "bob"), strict=True):
        client.force_login(User.objects.create_superuser(name))
    return clients


@pytest.fixture
def plan(transactional_db: None) -> Plan:
    return services.create_plan(
        owner=None,
        body={
            "plan_name": "faq",
            "compression": {"engine": "text_rank"},
            "cache": {"ttl": 3600},
        },
    )


def run_together(*work: Callable[[], Any]) -> list[Any]:
    """What each gave, all begun at one moment."""
    begin = threading.Barrier(len(work))
    found: list[Any] = [None] * len(work)

    def run(place: int) -> None:
        begin.wait()
        try:
            found[place] = work[place]()
        except Exception as error:
            found[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


def rows() -> list[tuple[str, Any, dict[str, str], str, tuple[str, str]]]:
    """Of each kind: its page, its row, what the page sends, and a field with two new values."""
    tenant = Tenant.objects.create(slug="acme")
    upstream = put_upstream(name="one", base_url="https://api.example.com/v1", provider_key="sk-1")
    route = put_route(name="smart", upstream=upstream, model="m")
    price = ModelPrice.objects.create(provider="acme", model="m", input=1, output=2)
    return [
        ("plans/plan", Plan.objects.get(), PLAN, "ttl", ("60", "120")),
        ("plans/tenant", tenant, {"slug": "acme", "routes": "*"}, "max_entries", ("5", "6")),
        (
            "proxy/upstream",
            upstream,
            {
                "name": "one",
                "provider": "openai",
                "base_url": "https://api.example.com/v1",
                "connect_timeout": "5.0",
                "read_timeout": str(upstream.read_timeout),
                "stream_usage": "on",
            },
            "read_timeout",
            ("60.0", "90.0"),
        ),
        (
            "proxy/route",
            route,
            {"name": "smart", "upstream": str(upstream.pk), "model": "m", "enabled": "on"},
            "model",
            ("n", "o"),
        ),
        (
            "plans/modelprice",
            price,
            {"provider": "acme", "model": "m", "input": "1.000000", "output": "2.000000"},
            "output",
            ("3.000000", "4.000000"),
        ),
    ]


def test_one_of_two_saves_at_once_wins_and_the_other_sees_the_difference(
    people: tuple[Client, Client], plan: Plan
) -> None:
    for kind, row, values, field, choices in rows():
        address = f"/admin/{kind}/{row.pk}/change/"
        ready = [
            (client, opened(client, address, values) | {field: choice})
            for client, choice in zip(people, choices, strict=True)
        ]
        replies = run_together(*(partial(client.post, address, sent) for client, sent in ready))
        codes = [reply.status_code for reply in replies]
        assert sorted(codes) == [200, 302], (kind, codes)
        winner = codes.index(302)
        row.refresh_from_db()
        assert str(getattr(row, field)) == choices[winner], kind
        assert f"became {choices[winner]}. You changed it too" in shown(replies[1 - winner]), kind
        assert token(replies[1 - winner]) != ready[1 - winner][1]["opened_with"]


def test_a_form_and_the_api_at_once_lose_nothing(people: tuple[Client, Client], plan: Plan) -> None:
    ann, _ = people
    address = f"/admin/plans/plan/{plan.pk}/change/"
    sent = opened(ann, address, PLAN) | {"ttl": "60"}
    reply, changed = run_together(
        lambda: ann.post(address, sent),
        lambda: services.change_plan(
            owner=None, name="faq", body={"cache": {"similarity_threshold": 0.9}, "version": 1}
        ),
    )
    plan.refresh_from_db()
    if isinstance(changed, VersionConflict):
        assert (reply.status_code, plan.ttl, plan.similarity_threshold) == (302, 60, 0.85)
    else:
        assert "Similarity threshold: 0.85 became 0.9; it is in the form now." in shown(reply)
        assert (changed.version, plan.ttl, plan.similarity_threshold) == (2, 3600, 0.9)


def test_a_form_waits_for_a_writer_without_holding_what_that_one_needs(
    people: tuple[Client, Client], plan: Plan, database_url: str
) -> None:
    """A writer holds the configuration's lock and asks for the row: who held the row and asked
    for that lock would have one of the two thrown out by the database."""
    ann, _ = people
    address = f"/admin/plans/plan/{plan.pk}/change/"
    sent = opened(ann, address, PLAN) | {"ttl": "60"}
    replies: list[Any] = []
    with psycopg.connect(database_url) as writer:
        writer.execute("SELECT value FROM plans_revision FOR UPDATE")
        form = start_thread(lambda: replies.append(ann.post(address, sent)))
        wait_for_a_lock()
        writer.execute("UPDATE plans_plan SET similarity_threshold = 0.9 WHERE id = %s", [plan.pk])
    form.join(30)
    assert "Similarity threshold: 0.85 became 0.9; it is in the form now." in shown(replies[0])


def start_thread(work: Callable[[], Any]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_for_a_lock() -> None:
    """Until somebody waits for one."""
    for _ in range(600):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
            cursor.execute("SELECT pg_sleep(0.05)")
    raise AssertionError("nobody waits")


def test_the_list_of_prices_does_not_overwrite_what_a_person_saves_at_that_moment(
    people: tuple[Client, Client], plan: Plan, database_url: str
) -> None:
    services.seed_prices()
    price = ModelPrice.objects.filter(provider="openai").first()
    assert price is not None
    ModelPrice.objects.filter(pk=price.pk).update(input=77)  # the list would mend it
    with psycopg.connect(database_url) as writer:
        writer.execute("SELECT value FROM plans_revision FOR UPDATE")
        seeding = start_thread(services.seed_prices)
        wait_for_a_lock()
        writer.execute(
            "UPDATE plans_modelprice SET input = 88, edited = true WHERE id = %s", [price.pk]
        )
    seeding.join(30)
    price.refresh_from_db()
    assert (price.edited, price.input) == (True, Decimal(88))
