"""Workers of a real gateway forget what is old and prepare months to come, without being asked."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import psycopg
import pytest

from stats.ledger import partitions
from stats.ledger.fingerprint_sql import FINGERPRINTS_TABLE
from stats.ledger.inserts import EVENTS_TABLE, INSERT_EVENTS_SQL
from stats.ledger.rollup import ROLL_UP_SQL
from stats.models.cache_entries import Erasure
from stats.models.requests import DeadLetter, SpoolCursor, UpstreamAttempt
from stats.models.rollups import Rollup, Tally
from tests.support.events import id_at, make_event
from tests.support.gateways import Gateway, running_gateway
from tests.support.upstream import MockUpstream

KEEP = {
    "TOKENTHRIFT_KEEP_EVENTS_DAYS": "20",
    "TOKENTHRIFT_KEEP_MINUTES_DAYS": "3",
    "TOKENTHRIFT_KEEP_HOURS_DAYS": "10",
    "TOKENTHRIFT_IMPRINT_DAYS": "5",
    "TOKENTHRIFT_UPKEEP_SECONDS": "1",
}
AGES = (1, 4, 8, 15, 40, 200)  # days
# Each is one row for each age, dated by a column of its own.
DATED = {
    UpstreamAttempt._meta.db_table: "at",
    DeadLetter._meta.db_table: "at",
    Erasure._meta.db_table: "at",
    SpoolCursor._meta.db_table: "seen_at",
}
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
TO_COME = [
    f"{partitions.PARENT_TABLE}_{partitions.find_month_start(NOON, later=later):y%Ym%m}"
    for later in range(1, partitions.MONTHS_AHEAD + 1)
]
SECONDS = 20.0


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Two workers on a ledger that is older than what they are to keep, without coming months."""
    folder = tmp_path_factory.mktemp("gateway")
    with running_gateway(upstream, folder, workers=2, **KEEP) as made:
        with psycopg.connect(made.environment["DATABASE_URL"]) as connection:
            for name in TO_COME:
                connection.execute(f"DROP TABLE {name}")
            fill(connection)
        yield made


def fill(connection: "psycopg.Connection[Any]") -> None:
    """A row of each age in every table that a setting bounds."""
    times = [NOON - timedelta(days=age) for age in AGES]
    events = [make_event(at=at.timestamp()) for at in times]
    connection.execute(INSERT_EVENTS_SQL, (orjson.dumps(events, default=str),))
    connection.execute(ROLL_UP_SQL)
    for at in times:
        name, key = id_at(at.timestamp()), uuid4()
        connection.execute(
            (
                f"INSERT INTO {FINGERPRINTS_TABLE} (event_id, at, tenant_id, plan_id, key_id, "
                "asked, "
                "end_user) VALUES (%s, %s, 1, 1, 1, %s, '')"
            ),
            (name, at, key),
        )
        for table, values in (
            (
                UpstreamAttempt,
                {"event_id": name, "at": at, "upstream": "", "model": "", "worker": ""},
            ),
            (DeadLetter, {"at": at, "line": b"x", "reason": "y"}),
            (
                Erasure,
                {
                    "at": at,
                    "by": "a test",
                    "entry_id": name,
                    "route": "",
                    "namespace": "",
                    "end_user": "",
                    "entries": 0,
                },
            ),
            (SpoolCursor, {"file": name, "worker": "gone", "offset": 0, "seen_at": at}),
        ):
            insert(connection, table._meta.db_table, values)


def insert(connection: "psycopg.Connection[Any]", table: str, values: dict[str, Any]) -> None:
    columns = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join(["%s"] * len(values))
    connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(values.values()))


def ages(gateway: Gateway, table: str, column: str = "at", where: str = "true") -> list[int]:
    """How old the rows are, in days; those of the gateway's own start are left out."""
    with psycopg.connect(gateway.environment["DATABASE_URL"]) as connection:
        rows = connection.execute(f"SELECT DISTINCT {column} FROM {table} WHERE {where}").fetchall()
    return sorted({(NOON - at).days for (at,) in rows} & set(AGES))


def grain_ages(gateway: Gateway, table: str, grain: str) -> list[int]:
    """How old the sums by that grain are, in days; a day's begin at midnight."""
    with psycopg.connect(gateway.environment["DATABASE_URL"]) as connection:
        rows = connection.execute(f"SELECT DISTINCT at FROM {table} WHERE grain = %s", (grain,))
        return sorted({(NOON.date() - at.date()).days for (at,) in rows.fetchall()} & set(AGES))


def wait_until_forgotten(gateway: Gateway) -> None:
    """Return once the first and the last thing that a turn does are done."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if months(gateway) >= set(TO_COME) and ages(gateway, EVENTS_TABLE) == [1, 4, 8, 15]:
            return
        time.sleep(0.2)
    raise AssertionError(f"no upkeep within {SECONDS} s:\n{gateway.log.read_text()[-3000:]}")


def months(gateway: Gateway) -> set[str]:
    with psycopg.connect(gateway.environment["DATABASE_URL"]) as connection:
        found = connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass",
            (partitions.PARENT_TABLE,),
        )
        return {name for (name,) in found.fetchall()}


def test_months_to_come_have_partitions_made_by_one_of_two_workers(gateway: Gateway) -> None:
    wait_until_forgotten(gateway)
    assert months(gateway) >= set(TO_COME)
    log = gateway.log.read_text()
    assert [log.count(f"made {name}") for name in TO_COME] == [1] * len(TO_COME)
    assert "upkeep waits" not in log  # nothing failed on the way


def test_requests_and_what_goes_with_them_are_gone_after_their_days(gateway: Gateway) -> None:
    wait_until_forgotten(gateway)
    dated = DATED | {EVENTS_TABLE: "at"}
    found = {table: ages(gateway, table, column) for table, column in dated.items()}
    assert found == {table: [1, 4, 8, 15] for table in dated}


def test_imprints_are_gone_after_their_days(gateway: Gateway) -> None:
    wait_until_forgotten(gateway)
    assert ages(gateway, FINGERPRINTS_TABLE) == [1, 4]


@pytest.mark.parametrize(
    ("grain", "left"), [("minute", [1]), ("hour", [1, 4, 8]), ("day", list(AGES))]
)
def test_sums_are_gone_after_the_days_of_their_grain(
    gateway: Gateway, grain: str, left: list[int]
) -> None:
    wait_until_forgotten(gateway)
    assert grain_ages(gateway, Rollup._meta.db_table, grain) == left
    assert grain_ages(gateway, Tally._meta.db_table, grain) == (left if grain != "minute" else [])
