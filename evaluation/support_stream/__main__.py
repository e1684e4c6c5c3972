"""`make eval-stream`: a steady stream of support questions through two workers,
under a plan with both caches at its defaults, and the same stream without a plan.

Questions are rows of the FAQ stream that taught nothing, drawn by a fixed seed and typed by another
customer each time (`evaluation.support_stream.wordings`). Each is sent at its tick of a steady
rate, whether or not the earlier ones were answered, and latencies count from the tick. Both runs
have a fresh gateway with empty caches, and a mock provider that takes a fixed time, says the same
for one intent and labels it: an answer that was made for another intent is a wrong hit. At the end
of each, clients, ledger, provider and API must have counted the same.
"""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks import ledger, machine, reconcile
from benchmarks.bench import Bench
from benchmarks.ledger import Unsettled
from benchmarks.place import Place, place
from benchmarks.reconcile import Disagreement
from benchmarks.tally import Tally
from demo.management_api import PLAN_SECONDS, ApiError, create_plan, read_bill
from demo.processes import StartError, reach_loopback_directly
from demo.workspace import ROOT, WorkspaceBusy, fresh
from evaluation.cache.sets import Query
from evaluation.support_stream.figures import summarize_replies
from evaluation.support_stream.questions import describe_questions, draw_questions, read_untaught
from evaluation.support_stream.resources import read_memory, read_processor_time
from evaluation.support_stream.table import render_edits, render_table
from evaluation.support_stream.traffic import send_questions

VAR = ROOT / "var" / "eval-stream"
PLAN = "support"
RUNS: dict[str, str | None] = {"with the plan": PLAN, "without a plan": None}


def main() -> int:
    """0 when all who counted agree, 1 when not, or with a line on stderr when it broke off."""
    arguments = _read_arguments()
    # What was started is stopped, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    reach_loopback_directly()
    try:
        found = run_both(arguments)
    except (ApiError, OSError, StartError, WorkspaceBusy, httpx.HTTPError) as error:
        print(f"eval-stream: {error}", file=sys.stderr)
        return 1
    print(f"{render_table(found['runs'])}\n\nLatencies: p50 / p95 / p99 / max, from the tick on\n")
    print(render_edits(found["runs"]["with the plan"]))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))
    return int(any(each["disagreement"] for each in found["runs"].values()))


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.support_stream", description=__doc__
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="a folder with faq_stream.jsonl.gz"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=40.0, help="requests a second")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--latency-ms", type=float, default=300.0, help="that the provider takes for an answer"
    )
    return parser.parse_args()


def run_both(arguments: argparse.Namespace) -> dict[str, Any]:
    """Send the stream twice, return the figures."""
    asked = draw_questions(read_untaught(arguments.data), arguments.requests)
    described = describe_questions(asked)
    print(
        f"{len(asked):,} questions, {arguments.rate:g} a second, {arguments.workers} workers; "
        f"{described['new_texts']:.1%} of the texts never asked before, "
        f"{described['answerable']:.1%} of the intents asked before",
        flush=True,
    )
    others = machine.Others()
    return {
        "rate": arguments.rate,
        "workers": arguments.workers,
        "provider_ms": arguments.latency_ms,
        "questions": described,
        "runs": {name: run_once(asked, plan, arguments) for name, plan in RUNS.items()},
        "other_programs_cores": round(others.cores(), 3),
    }


def run_once(asked: list[Query], plan: str | None, arguments: argparse.Namespace) -> dict[str, Any]:
    """The stream through a fresh gateway; its figures."""
    provider = ("demo.upstream", "--latency-ms", str(arguments.latency_ms))
    cores = os.sched_getaffinity(0)
    with (
        fresh(VAR) as var,
        place(var, *provider) as here,
        here.gateway(workers=arguments.workers, cores=cores) as (url, pid),
    ):
        bench = Bench(place=here, url=url, pid=pid, keys=here.accounts(), tally=Tally())
        create_plan(url, bench.keys["admin_key"], json.dumps({"plan_name": PLAN, "cache": {}}))
        time.sleep(PLAN_SECONDS)
        return measure_stream(bench, asked, plan, arguments)


def measure_stream(
    bench: Bench, asked: list[Query], plan: str | None, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Send the stream; what clients, machine, ledger and provider have to say."""
    begun, before = time.time(), read_processor_time(bench)
    replies = send_questions(
        bench.url,
        asked,
        key=bench.keys["virtual_key"],
        plan=plan,
        rate=arguments.rate,
        tally=bench.tally,
    )
    used = read_processor_time(bench) - before
    found = summarize_replies(asked, replies, provider_seconds=arguments.latency_ms / 1000)
    return (
        found
        | {
            "seconds": round(used.clock, 1),
            "cpu_seconds_per_1000": used.per_thousand(len(asked)),
            "share_of_a_core": used.shares_of_a_core(),
            "worker_mb": read_memory(bench.pid),
        }
        | read_books(bench, plan, since=begun)
    )


def read_books(bench: Bench, plan: str | None, *, since: float) -> dict[str, Any]:
    """What ledger, API and provider say, and on what they differ."""
    disagreement = ""
    try:
        reconcile.check(bench, PLAN)
    except (Disagreement, Unsettled) as error:
        disagreement = str(error)
    database, tiers = bench.place.services.database, bench.tally.tiers
    (billed,) = ledger.row(database, "SELECT sum(billed_cost) FROM stats_requestevent")
    stats = read_stats(bench)
    shown = read_bill(stats)
    return {
        "disagreement": disagreement,
        "provider": read_provider(bench.place),
        "billed_usd": float(billed),
        "would_usd": float(shown.cost_before) if plan and shown.cost_before else None,
        "tokens_saved": shown.tokens_saved,
        "miss_reasons": stats["detail"]["miss_reasons"],
        "whole_misses": ledger.whole_misses(database, since) if tiers["miss"] else None,
    }


def read_stats(bench: Bench) -> dict[str, Any]:
    """The plan's figures by the API."""
    reply = httpx.get(
        f"{bench.url}/token-saving/plans/{PLAN}/stats",
        headers={"authorization": f"Bearer {bench.keys['admin_key']}"},
        timeout=10,
    )
    found: dict[str, Any] = reply.raise_for_status().json()
    return found


def read_provider(here: Place) -> dict[str, int]:
    """The provider's own count of calls and tokens."""
    found: dict[str, int] = httpx.get(f"{here.upstream}/ledger", timeout=10).json()
    return found


if __name__ == "__main__":
    raise SystemExit(main())
