"""The table of requests in months, in the real database:
where rows go, what a query reads, what the migration does."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib import import_module
from uuid import UUID

import pytest
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.request_ids import new_request_id
from stats.ledger import partitions
from stats.models.requests import RequestEvent
from stats.models.rollups import Rollup, Unfolded
from stats.reports.rollup_query import RollupQuery
from stats.reports.totals import compute_totals
from stats.request_id_times import build_time_conditions, first_id
from tests.support.events import id_at, make_event
from tests.support.recorded import store

MAY, JUNE = datetime(2025, 5, 1, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC)
migration = import_module("stats.migrations.0010_partitions")


def rows_in(name: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {name}")
        return int(cursor.fetchone()[0])


def parts_read(start: datetime, end: datetime) -> set[str]:
    """The parts that PostgreSQL plans to look into."""
    plan = json.dumps(
        json.loads(RollupQuery(start=start, end=end).query_events().explain(format="json"))
    )
    return {part.name for part in partitions.list_partitions() if f'"{part.name}"' in plan} | (
        {partitions.REST_TABLE} if partitions.REST_TABLE in plan else set()
    )


@given(st.integers(10**9, 10**13))
def test_an_id_lies_in_the_bounds_of_its_time(milliseconds: int) -> None:
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    own = UUID(id_at(at.timestamp()))
    assert (
        first_id(at - timedelta(milliseconds=1)) <= own < first_id(at + timedelta(milliseconds=2))
    )
    bounds = build_time_conditions(at, at + timedelta(milliseconds=2))
    assert bounds["event_id__gte"] <= own < bounds["event_id__lt"]


def test_ids_of_the_gateway_are_made_at_their_time() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    ids = [UUID(new_request_id()) for _ in range(100)]
    assert all(
        first_id(before) <= each < first_id(datetime.now(UTC) + timedelta(milliseconds=1))
        for each in ids
    )
    assert {each.version for each in ids} == {7}


@pytest.mark.parametrize(
    ("at", "later", "expected"),
    [
        ("2025-01-31", 1, "2025-02-01"),
        ("2025-12-31", 1, "2026-01-01"),
        ("2025-11-05", 14, "2027-01-01"),
    ],
)
def test_months_follow_each_other(at: str, later: int, expected: str) -> None:
    start = partitions.find_month_start(datetime.fromisoformat(at).replace(tzinfo=UTC), later=later)
    assert f"{start:%Y-%m-%d}" == expected


@pytest.mark.django_db
def test_this_month_and_those_to_come_have_parts() -> None:
    now = datetime.now(UTC)
    store(make_event(at=now.timestamp()))
    assert rows_in(f"{partitions.PARENT_TABLE}_{now:y%Ym%m}") == 1
    assert all(
        any(
            part.contains_time(partitions.find_month_start(now, later=later))
            for part in partitions.list_partitions()
        )
        for later in range(partitions.MONTHS_AHEAD + 1)
    )
    assert partitions.make_partitions(now) == []


@pytest.mark.django_db
def test_a_month_without_a_part_is_recorded_and_moves_when_it_has_one() -> None:
    events = [
        make_event(at=at.timestamp())
        for at in (
            MAY - timedelta(hours=1),
            MAY + timedelta(days=3),
            JUNE - timedelta(seconds=1),
            JUNE,
        )
    ]
    store(*events, *events)
    assert rows_in(partitions.REST_TABLE) == 4
    assert partitions.make_partitions(MAY, months=1) == [f"{partitions.PARENT_TABLE}_y2025m05"]
    assert (rows_in(partitions.REST_TABLE), rows_in(f"{partitions.PARENT_TABLE}_y2025m05")) == (
        2,
        2,
    )
    store(*events)  # again: they are there already, wherever that is
    assert RequestEvent.objects.count() == 4
    assert compute_totals(RollupQuery()).requests == 4


@pytest.mark.django_db
def test_a_query_that_names_a_time_looks_into_its_months_alone() -> None:
    partitions.make_partitions(MAY, months=3)
    assert parts_read(MAY + timedelta(days=2), JUNE - timedelta(days=2)) == {
        f"{partitions.PARENT_TABLE}_y2025m05"
    }
    both = {f"{partitions.PARENT_TABLE}_y2025m05", f"{partitions.PARENT_TABLE}_y2025m06"}
    assert parts_read(JUNE - timedelta(days=1), JUNE + timedelta(days=1)) == both


@pytest.mark.django_db
def test_a_month_goes_in_one_piece_and_totals_stay() -> None:
    (name,) = partitions.make_partitions(MAY, months=1)
    (part,) = [each for each in partitions.list_partitions() if each.name == name]
    store(
        *(make_event(at=(MAY + timedelta(days=day)).timestamp()) for day in range(30)),
        make_event(at=JUNE.timestamp()),
    )
    before = compute_totals(RollupQuery())
    assert partitions.drop_partition(part)
    assert RequestEvent.objects.count() == 1
    assert compute_totals(RollupQuery()) == before
    assert name not in {each.name for each in partitions.list_partitions()}


@pytest.mark.django_db
def test_a_month_with_a_request_in_no_rollup_stays() -> None:
    (name,) = partitions.make_partitions(MAY, months=1)
    (part,) = [each for each in partitions.list_partitions() if each.name == name]
    event = make_event(at=MAY.timestamp() + 5)
    store(event)
    Rollup.objects.all().delete()
    Unfolded.objects.create(events=[event.event_id])
    assert not partitions.drop_partition(part)
    assert rows_in(name) == 1
    assert part in partitions.list_partitions()


@pytest.mark.django_db(transaction=True)
def test_a_month_dropped_by_another_process_during_the_listing_is_left_out() -> None:
    (name,) = partitions.make_partitions(MAY, months=1)
    (part,) = [each for each in partitions.list_partitions() if each.name == name]

    def drop_elsewhere() -> bool:
        dropped = partitions.drop_partition(part)
        connection.close()
        return dropped

    with transaction.atomic(), connection.cursor() as cursor, ThreadPoolExecutor(1) as elsewhere:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT 1")  # from here on this transaction sees the month
        assert elsewhere.submit(drop_elsewhere).result()
        assert name not in {each.name for each in partitions.list_partitions()}


def definitions() -> set[tuple[str, str]]:
    """Names of the table's indexes, and over which columns they go."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s",
            [partitions.PARENT_TABLE],
        )
        return {(name, text.partition(" USING ")[2]) for name, text in cursor.fetchall()}


@pytest.mark.django_db(transaction=True)
def test_the_migration_keeps_rows_and_names_both_ways() -> None:
    cut, now = definitions(), datetime.now(UTC)
    with transaction.atomic():
        with connection.schema_editor() as editor:
            migration.join(None, editor)
        assert partitions.list_partitions() == []
        assert definitions() == cut
        long_ago, lately, ahead = (
            make_event(at=(now + timedelta(days=days)).timestamp()) for days in (-800, 0, 40)
        )
        store(long_ago, lately, ahead)
        with connection.schema_editor() as editor:
            migration.cut(None, editor)
        assert definitions() == cut
        (first,) = [part for part in partitions.list_partitions() if part.name.endswith("_first")]
        assert rows_in(first.name) == 2
        assert first.contains_time(now)
        assert rows_in(partitions.REST_TABLE) == 0
        store(long_ago, lately, ahead)  # they are there already
        assert RequestEvent.objects.count() == 3
        transaction.set_rollback(True)
    assert definitions() == cut
