"""Cost against size, for the plots: exact hits against connections
and against the number of plans."""

import itertools
import time

import psycopg

from benchmarks import load
from benchmarks.bench import PLAN, PLAN_SECONDS, Bench
from benchmarks.questions import chat, name
from benchmarks.wire import Requests

CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
PLANS = (10, 30, 100, 300, 1000)
Curve = list[tuple[float, float]]

# Copies of the one plan, exact tier only, so that their first answers are stored in no time.
COPY = """
INSERT INTO plans_plan
SELECT (jsonb_populate_record(plan, jsonb_build_object(
  'id', nextval(pg_get_serial_sequence('plans_plan', 'id')), 'name', %(name)s || number, 'backend', NULL, 'compression_engine', NULL
))).*
FROM plans_plan AS plan, generate_series(%(first)s::int, %(last)s::int) AS number WHERE plan.name = %(name)s
"""  # noqa: E501 -- SQL is laid out as it is read


def by_connections(bench: Bench) -> dict[str, Curve]:
    """Requests a second of hits and of requests without a plan."""
    return {
        "hits_by_connections": _rates(bench, bench.hot()),
        "passes_by_connections": _rates(bench, bench.fresh()),
    }


def _rates(bench: Bench, requests: Requests) -> Curve:
    return [
        (count, bench.closed(requests, connections=count, seconds=1.5, warm=0.5).rps)
        for count in CONNECTIONS
    ]


def by_plans(bench: Bench) -> dict[str, Curve]:
    """Microseconds of a worker's time for a hit, at 16 connections, asked of all plans in turn."""
    made = 0
    curve: Curve = []
    for count in PLANS:
        with psycopg.connect(bench.place.services.database) as connection:
            connection.execute(COPY, {"name": PLAN, "first": made + 1, "last": count})
        made = count
        time.sleep(PLAN_SECONDS)
        asked = [
            chat(
                bench.chat,
                f"How do I return the {name(number)} lamp?",
                key=bench.keys["virtual_key"],
                plan=f"{PLAN}{number}",
            )
            for number in range(1, count + 1)
        ]
        load.send_all(bench.chat, asked, tally=bench.tally)
        time.sleep(0.2)
        curve.append((count, 1e6 / bench.closed(itertools.cycle(asked), seconds=2.5, warm=1.5).rps))
    return {"hit_us_by_plans": curve}
