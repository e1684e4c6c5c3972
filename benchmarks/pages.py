"""`make bench-ledger`: pages over a large ledger, its size,
and how fast requests are written into it.

The ledger is made once by `manage.py generate_events` and kept under var/bench-ledger; `--fresh`
makes it anew. Pages are asked one after another by one client, logged in as the platform's
administrator, from a gateway with two workers that nobody else uses.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import psycopg

from benchmarks import ledger
from demo import stage
from demo.processes import plain_environment, reach_loopback_directly
from demo.workspace import MODELS, ROOT
from gateway_project.embedded import configuration

VAR = ROOT / "var" / "bench-ledger"
TIMES = 30
LIMIT_MS = 300.0
RANGES = {"24 hours": "24h", "7 days": "7d", "30 days": "30d", "90 days": "90d"}


@dataclass(frozen=True, slots=True)
class Timed:
    """One page, in milliseconds until its last byte, and its bytes."""

    name: str
    p50: float
    slowest: float
    size: int


@dataclass(frozen=True, slots=True)
class Size:
    """What the database holds, in bytes."""

    database: int
    requests: int
    rollups: int
    rows: int
    rollup_rows: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument(
        "--inserts",
        type=int,
        default=200_000,
        help="requests to write into the large ledger at the end",
    )
    parser.add_argument("--fresh", action="store_true", help="make the ledger anew")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    arguments = parser.parse_args()
    reach_loopback_directly()
    if arguments.fresh:
        shutil.rmtree(VAR, ignore_errors=True)
    VAR.mkdir(parents=True, exist_ok=True)
    MODELS.mkdir(parents=True, exist_ok=True)
    if not (VAR / "models").exists():
        (VAR / "models").symlink_to(MODELS)
    environment = plain_environment(
        TOKENTHRIFT_VAR_DIR=str(VAR),
        TOKENTHRIFT_ENV_FILE=os.devnull,
        TOKENTHRIFT_KEEP_EVENTS_DAYS="3650",
    )
    with stage.gateway(VAR, environment, workers=2) as (url, _):
        database = configuration.resolve_urls(VAR).database
        secrets = accounts(environment)
        made = make(environment, database, arguments.requests, arguments.days)
        pages = list(measured(url, secrets, database))
        size = sized(database)
        written = inserted(environment, arguments.inserts)
    found = {
        "generated": made,
        "pages": [asdict(page) for page in pages],
        "size": asdict(size),
        "inserts": written,
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    print(told(pages, size, written, made))


def accounts(environment: Mapping[str, str]) -> dict[str, str]:
    """Those of the kept ledger."""
    kept = VAR / "accounts.json"
    if not kept.exists():
        kept.write_text(
            json.dumps(
                stage.accounts(environment, provider="http://127.0.0.1:9/v1", model="gpt-4o-mini")
            )
        )
        kept.chmod(0o600)
    found: dict[str, str] = json.loads(kept.read_text())
    return found


def make(environment: Mapping[str, str], database: str, number: int, days: int) -> float | None:
    """Seconds that it took to make the ledger; None where it was there."""
    if ledger.row(database, "SELECT count(*) FROM stats_requestevent")[0] >= number:
        return None
    begun = time.monotonic()
    _manage(environment, "generate_events", str(number), "--days", str(days))
    seconds = time.monotonic() - begun
    with psycopg.connect(database, autocommit=True) as connection:
        # As after any bulk load; autovacuum does the same in time.
        connection.execute("VACUUM (ANALYZE)")
    return seconds


def measured(url: str, secrets: Mapping[str, str], database: str) -> Iterator[Timed]:
    """Pages of the dashboard, then of the API."""
    plan = ledger.row(
        database, "SELECT plan_id FROM stats_rollup GROUP BY 1 ORDER BY sum(requests) DESC LIMIT 1"
    )[0]
    name = ledger.row(database, "SELECT name FROM plans_plan WHERE id = %s", plan)[0]
    key, tenant = ledger.row(
        database, "SELECT key_id, tenant FROM stats_requestevent ORDER BY at DESC LIMIT 1"
    )
    event = ledger.row(
        database,
        "SELECT event_id FROM stats_requestevent ORDER BY event_id DESC OFFSET 1000 LIMIT 1",
    )[0]
    paths = {f"dashboard, {words}": f"/dashboard/?range={value}" for words, value in RANGES.items()}
    paths |= {
        "dashboard, 90 days, one tenant": f"/dashboard/?range=90d&tenant={tenant}",
        "dashboard, 90 days, one plan": f"/dashboard/?range=90d&plan={plan}",
        "dashboard, 90 days, one key": f"/dashboard/?range=90d&plan={plan}&key={key}",
        "dashboard, 90 days, one model": "/dashboard/?range=90d&model=gpt-4o",
        "requests, 90 days": "/dashboard/requests/?range=90d",
        "requests, 90 days, upstream errors": "/dashboard/requests/?range=90d&outcome=upstream_error",  # noqa: E501 -- a row of a table
        "one request": f"/dashboard/requests/{event}/",
        "admin, list of plans": "/admin/plans/plan/",
        "admin, a plan's form with its curve": f"/admin/plans/plan/{plan}/change/",
        "admin, list of requests": "/admin/stats/requestevent/",
    }
    with httpx.Client(base_url=url, timeout=120) as client:
        _log_in(client, secrets["password"])
        for words, path in paths.items():
            yield _time(client, words, path)
    headers = {"authorization": f"Bearer {secrets['admin_key']}"}
    with httpx.Client(base_url=url, timeout=120, headers=headers) as client:
        yield _time(client, "API, a plan's five fields", f"/token-saving/plans/{name}/stats")
        yield _time(client, "API, all plans by day", "/token-saving/stats?granularity=day")
        for group in ("plan", "key", "model"):
            yield _time(
                client, f"API, all time by {group}", f"/token-saving/stats?group_by={group}"
            )
        yield _time(
            client,
            "API, CSV by key and day",
            "/token-saving/stats?group_by=key&granularity=day&format=csv",
        )


def _log_in(client: httpx.Client, password: str) -> None:
    page = client.get("/admin/login/").raise_for_status()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token
    fields = {
        "username": "admin",
        "password": password,
        "csrfmiddlewaretoken": token[1],
        "next": "/dashboard/",
    }
    reply = client.post(
        "/admin/login/", data=fields, headers={"referer": f"{client.base_url}/admin/login/"}
    )
    assert reply.status_code == 302, reply.status_code


def _time(client: httpx.Client, name: str, path: str) -> Timed:
    taken, size = [], 0
    for number in range(TIMES + 2):  # the first two fill caches, as the first look of a day does
        begun = time.perf_counter()
        reply = client.get(path).raise_for_status()
        if number > 1:
            taken.append((time.perf_counter() - begun) * 1000)
        size = len(reply.content)
    return Timed(name, statistics.median(taken), max(taken), size)


def sized(database: str) -> Size:
    parts = (
        "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits "
        "WHERE inhparent = 'stats_requestevent'::regclass"
    )
    return Size(
        database=int(ledger.row(database, "SELECT pg_database_size(current_database())")[0]),
        requests=int(ledger.row(database, parts)[0]),
        rollups=int(ledger.row(database, "SELECT pg_total_relation_size('stats_rollup')")[0]),
        rows=int(ledger.row(database, "SELECT count(*) FROM stats_requestevent")[0]),
        rollup_rows=int(ledger.row(database, "SELECT count(*) FROM stats_rollup")[0]),
    )


def inserted(environment: Mapping[str, str], number: int) -> dict[str, float]:
    """See `benchmarks.inserts`."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.inserts",
        "--number",
        str(number),
        "--folder",
        str(VAR / "inserts"),
    ]
    done = subprocess.run(
        command, env=dict(environment), cwd=ROOT, capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _manage(environment: Mapping[str, str], *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "manage.py", *arguments], env=dict(environment), cwd=ROOT, check=True
    )


def told(pages: list[Timed], size: Size, written: Mapping[str, float], made: float | None) -> str:
    """Tables in Markdown."""
    lines = ["| page | p50 ms | slowest of 30 ms | KB |", "| --- | ---: | ---: | ---: |"]
    lines += [
        (
            f"| {page.name} | {page.p50:.0f} | "
            f"{page.slowest:.0f}{'' if page.slowest < LIMIT_MS else ' (over 300)'} | "
            f"{page.size / 1000:.0f} |"
        )
        for page in pages
    ]
    lines.append(
        f"\n{size.rows:,} requests: {size.requests / 1e9:.2f} GB ({size.requests / size.rows:.0f} "
        f"bytes each with indexes); {size.rollup_rows:,} roll-ups: {size.rollups / 1e6:.0f} MB; "
        f"the database {size.database / 1e9:.2f} GB."
    )
    if made is not None:
        lines.append(f"Generated in {made:,.0f} s.")
    rates = (
        f"{written['spooled']:,.0f}/s spooled, {written['inserted']:,.0f}/s inserted, "
        f"{written['folded']:,.0f}/s with roll-ups"
    )
    lines.append(
        f"Written into it: {written['number']:,.0f} requests, {rates}; load "
        f"{os.getloadavg()[0]:.1f}."
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
