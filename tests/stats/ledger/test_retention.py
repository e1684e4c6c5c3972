"""What is old is forgotten, by itself and by command;
totals stay, and nothing goes that is in no total yet."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, connections

from proxy.runtime.worker_loops import build_ledger_upkeep_task
from stats import database
from stats.ledger import partitions, retention
from stats.ledger.inserts import INSERT_EVENTS_SQL
from stats.ledger.retention import RetentionPolicy
from stats.models.fingerprints import StoredImprint
from stats.models.requests import DeadLetter, RequestEvent, UpstreamAttempt
from stats.models.rollups import Pruned, Rollup, Tally
from stats.reports.rollup_query import RollupQuery
from stats.reports.totals import compute_totals
from stats.request_id_times import first_id
from stats.time_grains import DAY, floor_to_grain
from tests.support.events import id_at, make_event
from tests.support.recorded import store

pytestmark = pytest.mark.django_db
MIDNIGHT = floor_to_grain(datetime.now(UTC), DAY)


def ago(days: float) -> datetime:
    return MIDNIGHT - timedelta(days=days)


def over_a_year() -> None:
    """A request every second day, at half past ten."""
    store(
        *(
            make_event(
                at=(ago(day) + timedelta(hours=10.5)).timestamp(), tier="miss", reason="numbers"
            )
            for day in range(2, 401, 2)
        )
    )


def test_months_go_in_one_piece_the_rest_in_portions_and_totals_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "BATCH_ROWS", 3)
    partitions.make_partitions(ago(400), months=6)
    over_a_year()
    before = compute_totals(RollupQuery())
    forgotten = dict(retention.prune_ledger(RetentionPolicy(event_days=100)))
    assert sum(name.startswith(partitions.PARENT_TABLE) for name in forgotten) == 6
    assert forgotten["event"] > 50
    oldest = RequestEvent.objects.order_by("at").first()
    assert oldest is not None
    assert ago(100) <= oldest.at < ago(98)
    assert compute_totals(RollupQuery()) == before
    assert dict(retention.prune_ledger(RetentionPolicy(event_days=100)))["event"] == 0


def test_what_is_in_no_rollup_yet_stays() -> None:
    partitions.make_partitions(ago(70), months=1)
    late, later = make_event(at=ago(50).timestamp()), make_event(at=ago(70).timestamp())
    with connection.cursor() as cursor:
        cursor.execute(INSERT_EVENTS_SQL.decode(), (orjson.dumps([late, later], default=str),))
    list(retention.prune_ledger(RetentionPolicy(event_days=1)))
    assert RequestEvent.objects.count() == 2
    store()  # they are folded in
    list(retention.prune_ledger(RetentionPolicy(event_days=1)))
    assert RequestEvent.objects.count() == 0
    assert compute_totals(RollupQuery()).requests == 2


def test_a_request_of_the_last_moment_of_a_kept_day_is_not_forgotten_with_its_id() -> None:
    start = ago(10)
    store(
        make_event(event_id=str(first_id(start - timedelta(milliseconds=2))), at=start.timestamp())
    )
    list(retention.prune_ledger(RetentionPolicy(event_days=10)))
    assert RequestEvent.objects.count() == 1


def test_minutes_and_hours_go_days_stay() -> None:
    over_a_year()
    days = Rollup.objects.filter(grain="day").count()
    list(retention.prune_ledger(RetentionPolicy(minute_days=7, hour_days=30)))
    assert not Rollup.objects.filter(grain="minute", at__lt=ago(7)).exists()
    assert Rollup.objects.filter(grain="minute").count() == 2 * 3
    assert not Rollup.objects.filter(grain="hour", at__lt=ago(30)).exists()
    assert not Tally.objects.filter(grain="hour", at__lt=ago(30)).exists()
    assert Tally.objects.filter(grain="day", at__lt=ago(30)).exists()
    assert Rollup.objects.filter(grain="day").count() == days
    assert RequestEvent.objects.count() == 200


def test_periods_of_forgotten_minutes_are_rounded_outwards() -> None:
    over_a_year()
    list(retention.prune_ledger(RetentionPolicy(minute_days=7, hour_days=30)))
    half = timedelta(minutes=31)
    for day in (8, 100):  # minutes are gone; hours as well
        ten = ago(day) + timedelta(hours=10)
        assert compute_totals(RollupQuery(start=ten + half, end=ten + 2 * half)).requests == 1
        assert compute_totals(RollupQuery(start=ten - half, end=ten + half)).requests == 1
    noon = ago(4) + timedelta(hours=10)
    assert (
        compute_totals(RollupQuery(start=noon + half, end=noon + 2 * half)).requests == 0
    )  # here they are not


def test_zero_keeps_for_ever() -> None:
    over_a_year()
    assert list(retention.prune_ledger(RetentionPolicy())) == []
    assert RequestEvent.objects.count() == 200
    assert not Pruned.objects.exists()


def test_the_command_goes_by_the_settings(
    settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.KEEP_EVENTS_DAYS, settings.KEEP_MINUTES_DAYS, settings.KEEP_HOURS_DAYS = 20, 0, 0
    over_a_year()
    DeadLetter.objects.create(line=b"x", reason="y")
    DeadLetter.objects.update(at=ago(21))
    UpstreamAttempt.objects.create(event_id=id_at(ago(21).timestamp()), at=ago(21))
    call_command("prune_events")
    assert "event: 190 deleted" in capsys.readouterr().out
    assert not DeadLetter.objects.exists()
    assert not UpstreamAttempt.objects.exists()
    call_command("prune_events", "--days", "4")
    assert RequestEvent.objects.count() == 2


def test_reconcile_agrees_after_pruning(settings: Any, tmp_path: Any) -> None:
    settings.SPOOL_DIR = tmp_path
    partitions.make_partitions(ago(400), months=14)
    over_a_year()
    list(retention.prune_ledger(RetentionPolicy(event_days=33, minute_days=7, hour_days=200)))
    call_command("reconcile")


@pytest.fixture
def kept_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "close_all", lambda: None)  # the test's transaction is on it


@pytest.mark.usefixtures("kept_connection")
def test_one_worker_an_hour_does_it(settings: Any) -> None:
    settings.KEEP_EVENTS_DAYS = 20
    over_a_year()
    build_ledger_upkeep_task().run_turn_in_thread(threading.Event())
    assert RequestEvent.objects.count() == 10
    store(make_event(at=ago(30).timestamp()))
    build_ledger_upkeep_task().run_turn_in_thread(threading.Event())
    assert RequestEvent.objects.count() == 11
    Pruned.objects.filter(what="turn").update(before=ago(1))
    build_ledger_upkeep_task().run_turn_in_thread(threading.Event())
    assert RequestEvent.objects.count() == 10


@pytest.mark.usefixtures("kept_connection")
def test_a_last_turn_in_the_future_holds_nobody_up(settings: Any) -> None:
    settings.KEEP_EVENTS_DAYS = 20
    over_a_year()
    Pruned.objects.create(what="turn", before=ago(-300))
    build_ledger_upkeep_task().run_turn_in_thread(threading.Event())
    assert RequestEvent.objects.count() == 10


@pytest.mark.usefixtures("kept_connection")
def test_nobody_works_beside_the_one_who_leads_and_its_end_is_known_at_once(settings: Any) -> None:
    settings.KEEP_EVENTS_DAYS = 20
    over_a_year()
    with (
        database.try_advisory_lock(retention.RETENTION_LOCK) as first,
        database.try_advisory_lock(retention.RETENTION_LOCK) as second,
    ):
        assert (first, second) == (True, False)
        build_ledger_upkeep_task().run_turn_in_thread(threading.Event())
        assert RequestEvent.objects.count() == 200
    build_ledger_upkeep_task().run_turn_in_thread(threading.Event())
    assert RequestEvent.objects.count() == 10


@pytest.mark.usefixtures("kept_connection")
def test_a_leader_whose_connection_is_cut_leads_no_more(settings: Any) -> None:
    with database.try_advisory_lock(retention.RETENTION_LOCK) as first:
        assert first
        with connection.cursor() as cursor:
            cursor.execute(
                (
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks "
                    "WHERE locktype = 'advisory' AND objid = %s"
                ),
                [retention.RETENTION_LOCK],
            )
            assert cursor.fetchall() == [(True,)]
        with database.try_advisory_lock(retention.RETENTION_LOCK) as second:
            assert second


@pytest.mark.usefixtures("kept_connection")
def test_a_lock_that_is_not_to_be_had_keeps_nothing_else_and_the_next_look_tries_again(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KEEP_EVENTS_DAYS = 20
    over_a_year()

    def locked(*_: Any) -> Any:
        raise OperationalError("canceling statement due to lock timeout")

    with monkeypatch.context() as patched:
        patched.setattr(partitions, "make_partitions", locked)
        with pytest.raises(OperationalError):
            build_ledger_upkeep_task().run_turn_in_thread(threading.Event())
    assert RequestEvent.objects.count() == 10
    assert not Pruned.objects.filter(what="turn").exists()
    build_ledger_upkeep_task().run_turn_in_thread(threading.Event())
    assert Pruned.objects.filter(what="turn").exists()


def test_a_worker_that_stops_ends_after_a_portion_and_the_next_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "BATCH_ROWS", 3)
    over_a_year()
    stopping = threading.Event()
    stopping.set()
    assert (
        sum(
            number for _, number in retention.prune_ledger(RetentionPolicy(event_days=20), stopping)
        )
        == 0
    )
    assert RequestEvent.objects.count() == 200
    list(retention.prune_ledger(RetentionPolicy(event_days=20)))
    assert RequestEvent.objects.count() == 10


@pytest.mark.parametrize(("days", "left"), [(7, [1, 6]), (0, []), (None, [1, 6, 8, 30])])
def test_imprints_are_kept_to_the_hour_and_none_at_zero(days: int | None, left: list[int]) -> None:
    now = datetime.now(UTC)
    for age in (1, 6, 8, 30):
        at = now - timedelta(days=age)
        StoredImprint.objects.create(
            event_id=id_at(at.timestamp()), at=at, tenant_id=1, plan_id=1, key_id=1, asked=uuid4()
        )
        DeadLetter.objects.create(line=b'{"imprint":{"asked":1}}', reason="y")
        DeadLetter.objects.filter(at__gte=now).update(at=at)
    DeadLetter.objects.create(line=b'{"event":\\{}}', reason="y")
    DeadLetter.objects.filter(at__gte=now).update(at=ago(30))
    list(retention.prune_ledger(RetentionPolicy(fingerprint_days=days)))
    ages = [(now - row.at).days for row in StoredImprint.objects.order_by("-at")]
    assert ages == left
    assert DeadLetter.objects.count() == len(left) + 1  # refused ones are kept no longer
