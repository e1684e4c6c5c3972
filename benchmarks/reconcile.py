"""Do all who counted agree?

Clients, gateway and upstream, each for itself, after all the load (I1 to I5 of the invariants).

I1  the clients' answers are the gateway's events, one for one, and nothing is left of unknown
    outcome
I2  the upstream attempts of events and samples are the requests that the upstream saw
I3  tokens and dollars of the events are those of the upstream's ledger, at list price
I4  no hit has an upstream attempt, unless it served an expired answer (a sample of it is a row of
    its own, and no event of a client's)
I5  what the management API adds up is what the events add up to
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import httpx
import psycopg

from benchmarks import ledger
from benchmarks.bench import PLAN, Bench
from benchmarks.place import MODEL
from benchmarks.tally import Tally
from demo.agreement import unequal
from demo.management_api import bill

EVENTS = """
SELECT count(*) FILTER (WHERE tier <> 'sample') AS requests, coalesce(sum(attempts), 0) AS attempts,
  coalesce(sum(prompt_tokens), 0) AS prompt, coalesce(sum(completion_tokens), 0) AS completion,
  coalesce(sum(billed_cost + spent_cost), 0) AS billed,
  coalesce(sum(tokens_saved) FILTER (WHERE tier <> 'sample'), 0) AS saved,
  count(*) FILTER (WHERE tier = 'exact') AS exact, count(*) FILTER (WHERE tier = 'semantic') AS semantic,
  count(*) FILTER (WHERE tier = 'miss') AS miss, count(*) FILTER (WHERE tier = 'bypass') AS bypass,
  count(*) FILTER (WHERE tier IN ('exact', 'semantic') AND attempts > 0 AND NOT stale) AS paid_hits,
  (SELECT count(*) FROM stats_upstreamattempt) AS unknown, (SELECT count(*) FROM stats_deadletter) AS dead
FROM stats_requestevent
"""
OF_PLAN = """
SELECT count(*) FILTER (WHERE tier <> 'sample'), count(*) FILTER (WHERE tier = 'exact'), count(*) FILTER (WHERE tier = 'semantic'),
  coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0), coalesce(sum(tokens_saved), 0)
FROM stats_requestevent WHERE plan = %s
"""


class Disagreement(Exception):
    """Two that counted the same thing differ. The message holds one line each."""


def check(bench: Bench, plan: str = PLAN) -> int:
    """How many requests all agree on, and those of the plan with the API.

    Raises Disagreement or Unsettled.
    """
    database, tally = bench.place.services.database, bench.tally
    ledger.settle(database, len(tally.ids))
    events, ids = _events(database)
    faults = [*_clients(tally, events, ids), *_upstream(bench, events), *_api(bench, plan)]
    if faults:
        raise Disagreement("The figures do not agree:\n  " + "\n  ".join(faults))
    return len(ids)


def _events(database: str) -> tuple[dict[str, Any], set[bytes]]:
    with psycopg.connect(database) as connection:
        cursor = connection.execute(EVENTS)
        names = [column.name for column in cursor.description or ()]
        totals = dict(zip(names, cursor.fetchall()[0], strict=True))
        ids = {
            str(found[0]).encode()
            for found in connection.execute(
                "SELECT event_id FROM stats_requestevent WHERE tier <> 'sample'"
            )
        }
    return totals, ids


def _clients(tally: Tally, events: Mapping[str, Any], ids: set[bytes]) -> Iterator[str]:
    """I1 and I4."""
    yield from unequal(
        "answers at the clients", len(tally.ids), "different ids among them", len(set(tally.ids))
    )
    yield from unequal("answers whose id is no event's", len(set(tally.ids) - ids), "should be", 0)
    yield from unequal("events", events["requests"], "answers at the clients", len(tally.ids))
    for tier in ("exact", "semantic", "miss", "bypass"):
        yield from unequal(
            f"{tier} in the headers", tally.tiers[tier], "among the events", events[tier]
        )
    yield from unequal("tokens saved in the headers", tally.saved, "by the events", events["saved"])
    yield from unequal("outcome unknown", events["unknown"], "should be", 0)
    yield from unequal("dead letters", events["dead"], "should be", 0)
    yield from unequal("hits with an upstream attempt", events["paid_hits"], "should be", 0)


def _upstream(bench: Bench, events: Mapping[str, Any]) -> Iterator[str]:
    """I2 and I3."""
    seen = httpx.get(f"{bench.place.upstream}/ledger", timeout=10).json()
    price = "SELECT input, output FROM plans_modelprice WHERE provider = 'openai' AND model = %s"
    given, made = ledger.row(bench.place.services.database, price, MODEL)
    dollars = (given * seen["prompt_tokens"] + made * seen["completion_tokens"]) / 1_000_000
    yield from unequal(
        "upstream attempts", events["attempts"], "requests that the upstream saw", seen["requests"]
    )
    yield from unequal("prompt tokens", events["prompt"], "by the upstream", seen["prompt_tokens"])
    yield from unequal(
        "completion tokens", events["completion"], "by the upstream", seen["completion_tokens"]
    )
    yield from unequal(
        "dollars billed", events["billed"], "by the upstream at list price", Decimal(dollars)
    )


def _api(bench: Bench, plan: str) -> Iterator[str]:
    """I5."""
    counted = ledger.row(bench.place.services.database, OF_PLAN, plan)
    told = bill(bench.url, bench.keys["admin_key"], plan, requests=counted[0])
    shown = (
        told.requests,
        told.exact_hits,
        told.semantic_hits,
        told.tokens_after,
        told.completion_tokens,
        told.tokens_saved,
    )
    for name, events, api in zip(
        (
            "requests",
            "exact hits",
            "semantic hits",
            "prompt tokens",
            "completion tokens",
            "tokens saved",
        ),
        counted,
        shown,
        strict=True,
    ):
        yield from unequal(f"{name} of the plan by its events", events, "by the API", api)
