"""The gateway's own record of its requests, read straight from PostgreSQL."""

import time
from typing import Any

import psycopg

SETTLE_SECONDS = 30.0


class Unsettled(Exception):
    """The gateway has not counted what its clients counted. The message holds both numbers."""


def settle(database: str, requests: int) -> None:
    """Return once that many requests are in the database. Raises Unsettled after half a minute."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while (counted := row(database, "SELECT count(*) FROM stats_requestevent")[0]) != requests:
        if time.monotonic() > deadline:
            raise Unsettled(
                f"The clients have {requests:,} answers, the gateway has counted "
                f"{counted:,} requests."
            )
        time.sleep(0.2)


def whole_misses(database: str, since: float) -> float:
    """Share of the misses since that time (`time.time`) that went all the way:
    no cache, embedder or store left out."""
    whole, share = (
        "FILTER (WHERE failures = '[]')",
        "FROM stats_requestevent WHERE tier = 'miss' AND at >= to_timestamp(%s)",
    )
    found = row(database, f"SELECT count(*) {whole}, count(*) {share}", since)
    return float(found[0] / found[1])


def row(database: str, query: str, *values: Any) -> tuple[Any, ...]:
    """The one row that the query gives."""
    with psycopg.connect(database) as connection:
        found = connection.execute(query.encode(), values or None).fetchone()
    assert found is not None
    return found
