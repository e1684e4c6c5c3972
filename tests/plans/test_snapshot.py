"""The configuration snapshot: what raises its number, what it holds, what it leaves out."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from pytest_django import DjangoAssertNumQueries, Settings

from plans import selectors, services
from plans.models import ModelPrice, Plan, Revision, Tenant
from plans.pricing import Price
from proxy.models import Route, Upstream
from proxy.runtime import config_source
from proxy.runtime.config_loader import load_config_snapshot
from proxy.runtime.worker_loops import build_config_poll_task
from proxy.upstreams import encryption
from proxy.upstreams.services import put_route, put_upstream
from stats.database import build_conninfo

pytestmark = pytest.mark.django_db
LISTENERS = f"datname = current_database() AND query = 'LISTEN {config_source.NOTIFY_CHANNEL}'"


@pytest.fixture
def acme(db: None) -> Tenant:
    return Tenant.objects.create(slug="acme")


@pytest.fixture
def route(db: None) -> Route:
    upstream = put_upstream(
        name="openai", base_url="https://api.openai.com/v1", provider_key="sk-secret"
    )
    return put_route(name="smart/balanced", upstream=upstream, model="gpt-4o-mini")


def raised(change: Callable[[], Any]) -> bool:
    before = selectors.get_revision()
    change()
    return selectors.get_revision() > before


def sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


# The revision


def test_every_change_of_the_configuration_raises_the_revision(acme: Tenant, route: Route) -> None:
    assert raised(lambda: Tenant.objects.create(slug="other"))
    assert raised(lambda: Tenant.objects.filter(slug="other").delete())
    assert raised(lambda: Plan.objects.create(tenant=acme, name="p"))
    assert raised(lambda: Plan.objects.update(ttl=60))
    key, _ = services.issue_virtual_key(tenant=acme, name="k")
    assert raised(lambda: services.revoke_key(key=key))
    assert not raised(lambda: services.revoke_key(key=key))
    assert raised(lambda: ModelPrice.objects.create(provider="x", model="y", input=1, output=1))
    assert raised(lambda: Upstream.objects.update(name="renamed"))
    assert raised(lambda: Route.objects.update(enabled=False))


@pytest.mark.parametrize(
    "table",
    [
        "plans_tenant",
        "plans_virtualkey",
        "plans_plan",
        "plans_invalidation",
        "plans_modelprice",
        "proxy_upstream",
        "proxy_route",
    ],
)
def test_raw_sql_raises_the_revision(acme: Tenant, table: str) -> None:
    assert raised(lambda: sql(f"DELETE FROM {table}"))
    sql("SET CONSTRAINTS ALL IMMEDIATE")  # a table with deferred checks cannot be truncated
    assert raised(lambda: sql(f"TRUNCATE {table} CASCADE"))


def test_reading_does_not_raise_the_revision(acme: Tenant, route: Route) -> None:
    assert not raised(load_config_snapshot)


def test_a_change_that_is_rolled_back_does_not_raise_the_revision(acme: Tenant) -> None:
    def change() -> None:
        with transaction.atomic():
            Plan.objects.create(tenant=acme, name="p")
            transaction.set_rollback(True)

    assert not raised(change)


def test_a_flushed_database_starts_from_a_number_not_seen_before(acme: Tenant) -> None:
    seen = selectors.get_revision()
    Revision.objects.all().delete()
    assert selectors.get_revision() == 0
    Tenant.objects.create(slug="other")
    assert selectors.get_revision() > seen


@pytest.mark.django_db(transaction=True)
def test_the_revision_is_seen_when_the_change_is_committed_and_not_before(
    database_url: str,
) -> None:
    before = selectors.get_revision()
    with psycopg.connect(database_url) as other:
        other.execute("INSERT INTO plans_tenant (slug, name, created_at) VALUES ('raw', '', now())")
        assert selectors.get_revision() == before
    assert selectors.get_revision() != before


@pytest.mark.django_db(transaction=True)
def test_concurrent_writers_queue_and_never_deadlock(database_url: str) -> None:
    for name in ("a", "b"):
        Plan.objects.create(name=name)
    errors: list[BaseException] = []

    def write(first: str, second: str) -> None:
        try:
            with psycopg.connect(database_url) as own:
                for _ in range(20):
                    with own.transaction():
                        own.execute("UPDATE plans_plan SET ttl = ttl + 1 WHERE name = %s", (first,))
                        own.execute(
                            "UPDATE plans_plan SET ttl = ttl + 1 WHERE name = %s", (second,)
                        )
        except psycopg.Error as error:
            errors.append(error)

    writers = [
        threading.Thread(target=write, args=names)
        for names in (("a", "b"), ("b", "a"), ("a", "b"), ("b", "a"))
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert not errors
    assert set(Plan.objects.values_list("ttl", "version")) == {(3600 + 80, 1 + 80)}


# Versions


def test_a_plans_version_grows_by_whatever_road_it_changes(acme: Tenant) -> None:
    plan = Plan.objects.create(tenant=acme, name="p")
    plan.save()
    plan.refresh_from_db()
    assert plan.version == 1
    plan.ttl = 60
    plan.save()
    Plan.objects.update(scope="key")
    sql("UPDATE plans_plan SET exact = false, version = 1")
    plan.refresh_from_db()
    assert plan.version == 4


def test_a_routes_version_grows_when_its_target_changes_and_only_then(route: Route) -> None:
    def version() -> int:
        route.refresh_from_db()
        return route.version

    assert version() == 1
    Route.objects.update(enabled=False)
    Upstream.objects.update(name="renamed", read_timeout=5)
    assert version() == 1
    Route.objects.update(model="gpt-4o")
    assert version() == 2
    Upstream.objects.update(base_url="https://eu.openai.com/v1")
    assert version() == 3
    Route.objects.update(upstream=put_upstream(name="other", base_url="https://other.example/v1"))
    assert version() == 4
    route.version = 1
    route.save()
    assert version() == 4


# The directory


def test_the_directory_holds_keys_plans_and_priced_routes(acme: Tenant, route: Route) -> None:
    services.seed_prices()
    _, secret = services.issue_virtual_key(tenant=acme, name="sdk", routes=["smart/balanced"])
    services.create_plan(owner=None, body={"plan_name": "everyones"})
    services.create_plan(owner=acme, body={"plan_name": "ours", "cache": {"ttl": 60}})
    directory = load_config_snapshot()
    [key] = directory.keys.values()
    assert (key.name, key.tenant_id, key.tenant, key.routes) == (
        "sdk",
        acme.pk,
        "acme",
        frozenset({"smart/balanced"}),
    )
    assert secret not in repr(directory)
    assert "sk-secret" not in repr(directory)
    ours, everyones = directory.find_plan(key, "ours"), directory.find_plan(key, "everyones")
    assert ours
    assert ours.cache
    assert (ours.tenant_id, ours.cache.ttl, ours.compression) == (acme.pk, 60, None)
    assert everyones
    assert everyones.tenant_id is None
    loaded = directory.routes["smart/balanced"]
    assert loaded.upstream.api_key == "sk-secret"
    assert loaded.price is not None
    assert replace(loaded.price, terms=()) == Price(
        input=Decimal("0.15"), output=Decimal("0.6"), cached_input=Decimal("0.075")
    )
    assert directory.revision == selectors.get_revision()


def test_revoked_and_expired_keys_are_left_out(acme: Tenant) -> None:
    now = datetime.now(UTC)
    services.revoke_key(key=services.issue_virtual_key(tenant=acme, name="revoked")[0])
    services.issue_virtual_key(tenant=acme, name="expired", expires_at=now - timedelta(seconds=1))
    services.issue_virtual_key(tenant=acme, name="live", expires_at=now + timedelta(hours=1))
    [key] = selectors.load_live_keys().values()
    assert key.name == "live"
    assert key.expires_at == pytest.approx(now.timestamp() + 3600)


def test_the_number_of_queries_does_not_grow_with_the_number_of_rows(
    acme: Tenant, route: Route, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        services.issue_virtual_key(tenant=acme, name=f"k{number}")
        Plan.objects.create(tenant=acme, name=f"p{number}")
        put_route(name=f"r{number}", upstream=route.upstream, model=f"gpt-4o-2024-08-{number:02}")
    with django_assert_max_num_queries(10):
        assert len(load_config_snapshot().routes) == 21


def test_disabled_routes_are_left_out(route: Route) -> None:
    Route.objects.update(enabled=False)
    assert load_config_snapshot().routes == {}


# Provider keys at rest


def test_a_provider_key_is_not_readable_in_the_database(route: Route) -> None:
    assert b"sk-secret" not in bytes(Upstream.objects.get().encrypted_key)


def test_an_upstream_whose_key_does_not_open_is_left_out_with_a_log_line(
    route: Route, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    free = put_upstream(name="free", base_url="https://free.example/v1")
    put_route(name="free", upstream=free, model="x")
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert list(load_config_snapshot().routes) == ["free"]
    assert "upstream openai is out of service" in caplog.text
    assert "sk-secret" not in caplog.text


def test_an_upstream_with_a_forbidden_address_is_left_out(
    route: Route, caplog: pytest.LogCaptureFixture
) -> None:
    Upstream.objects.update(base_url="http://169.254.169.254/latest")
    assert load_config_snapshot().routes == {}
    assert "private" in caplog.text


def test_keys_are_rotated_all_or_none(
    route: Route, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = settings.ENCRYPTION_KEYS[0], Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [new, old]
    call_command("rotate_encryption_keys")
    assert "1 provider keys" in capsys.readouterr().out
    settings.ENCRYPTION_KEYS = [new]
    assert encryption.decrypt(Upstream.objects.get().encrypted_key) == "sk-secret"
    Upstream.objects.create(
        name="lost", base_url="https://x.example", encrypted_key=Fernet(old).encrypt(b"gone")
    )
    before = dict(Upstream.objects.values_list("name", "encrypted_key"))
    with pytest.raises(
        CommandError,
        match=(
            "Nothing was changed: no key in TOKENTHRIFT_ENCRYPTION_KEYS opens the "
            "provider key of: lost"
        ),
    ):
        call_command("rotate_encryption_keys")
    assert {
        name: bytes(key) for name, key in Upstream.objects.values_list("name", "encrypted_key")
    } == {name: bytes(key) for name, key in before.items()}


# The notice


@pytest.mark.django_db(transaction=True)
async def test_a_change_is_told_and_taken_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The poll is put off, so that only the notice can bring the change in time;
    no notice comes of a change that is rolled back."""
    monkeypatch.setattr(config_source, "POLL_SECONDS", 3600)
    made = config_source.DatabaseConfigSource()
    tasks = [
        asyncio.create_task(build_config_poll_task(made).run()),
        asyncio.create_task(made.listen_for_changes()),
    ]
    try:
        await _until(lambda: len(_listeners()) == 1 and made.config.revision >= 0)
        before = made.config
        await _in_a_thread(_rolled_back)
        await asyncio.sleep(0.2)
        assert made.config is before
        await _in_a_thread(lambda: Tenant.objects.create(slug="told"))
        await _until(lambda: made.config is not before)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        made.close()


@pytest.mark.django_db(transaction=True)
async def test_a_listener_that_is_cut_off_listens_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_source, "LISTEN_RETRY_SECONDS", 0.05)
    made = config_source.DatabaseConfigSource()
    task = asyncio.create_task(made.listen_for_changes())
    try:
        await _until(lambda: len(_listeners()) == 1)
        first = _listeners()
        await _in_a_thread(
            lambda: sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {LISTENERS}")
        )
        await _until(lambda: len(_listeners() - first) == 1)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        made.close()


async def _in_a_thread(work: Callable[[], Any]) -> None:
    def closing() -> None:
        with contextlib.closing(connection):
            work()

    await asyncio.to_thread(closing)


def _listeners() -> set[int]:
    """Process ids of the backends that listen."""
    with psycopg.connect(build_conninfo(), autocommit=True) as asking:
        return {
            pid for (pid,) in asking.execute(f"SELECT pid FROM pg_stat_activity WHERE {LISTENERS}")
        }


def _rolled_back() -> None:
    with contextlib.suppress(RuntimeError), transaction.atomic():
        Tenant.objects.create(slug="never")
        raise RuntimeError


async def _until(true: Callable[[], bool], seconds: float = 10) -> None:
    ends = time.monotonic() + seconds
    while not await asyncio.to_thread(true):
        assert time.monotonic() < ends, "it did not come true"
        await asyncio.sleep(0.02)
