"""Requests a second through one worker on one core, 16 connections:
hits, hits as streams, requests without a plan, misses."""

import time

from benchmarks import ledger, machine, openloop
from benchmarks.bench import PLAN, Bench
from benchmarks.questions import fresh
from benchmarks.stages import read_stage_times

PASS_RATE = 300.0  # a second
MISS_RATE = 50.0
MISS_CONNECTIONS = 4


def hits(bench: Bench) -> dict[str, float]:
    """Beside them how busy the other core was, with client, Redis and PostgreSQL:
    near 1, it would be what is measured."""
    requests, (rest,) = bench.hot(), machine.REST_CORE
    worked, begun = machine.busy_seconds(rest), time.perf_counter()
    found = bench.closed(requests, seconds=6)
    busy = (machine.busy_seconds(rest) - worked) / (time.perf_counter() - begun)
    return {
        "exact_hit_rps": found.rps,
        "exact_hit_p50_ms": found.p50,
        "exact_hit_p99_ms": found.p99,
        "exact_hit_rest_busy": busy,
    }


def streamed_hits(bench: Bench) -> dict[str, float]:
    return {"exact_hit_stream_rps": bench.closed(bench.hot(stream=True), seconds=5).rps}


def passes(bench: Bench) -> dict[str, float]:
    """Pass-through, and what it adds at a steady rate to the upstream alone:
    the difference of the percentiles."""
    rps = bench.closed(bench.fresh(), seconds=5).rps
    alone = openloop.run(bench.direct, fresh(bench.direct), rate=PASS_RATE, seconds=8)
    through = openloop.run(bench.chat, bench.fresh(), rate=PASS_RATE, seconds=8, tally=bench.tally)
    return {
        "passthrough_rps": rps,
        "passthrough_added_p50_ms": through.p50 - alone.p50,
        "passthrough_added_p99_ms": through.p99 - alone.p99,
    }


def misses(bench: Bench) -> dict[str, float]:
    """A full plan's miss: embed, look up, ask, store;
    and what it adds at a steady rate to the upstream alone.

    A miss that went on without the embedder or a cache, because they took longer than their budget,
    is none of these: `miss_rps` counts whole ones only, with as many connections as keep the core
    busy without asking more of it than the budget allows. `miss_overload_rps` is what 16
    connections get done, whole or not, and `miss_overload_whole` the share of whole ones among
    them.
    """
    begun = time.time()
    rps = bench.closed(
        bench.fresh(plan=PLAN), connections=MISS_CONNECTIONS, seconds=5
    ).rps * _whole(bench, begun)
    alone = openloop.run(bench.direct, fresh(bench.direct), rate=MISS_RATE, seconds=4)
    begun, before = time.time(), read_stage_times(bench)
    through = openloop.run(
        bench.chat, bench.fresh(plan=PLAN), rate=MISS_RATE, seconds=8, tally=bench.tally
    )
    stages = read_stage_times(bench).mean_milliseconds_since(before)
    whole, begun = _whole(bench, begun), time.time()
    overload = bench.closed(bench.fresh(plan=PLAN), seconds=4).rps
    return {
        "miss_rps": rps,
        "miss_added_p50_ms": through.p50 - alone.p50,
        "miss_added_p99_ms": through.p99 - alone.p99,
        **{f"miss_{name}_ms": mean for name, mean in stages.items()},
        "miss_whole": whole,
        "miss_overload_rps": overload,
        "miss_overload_whole": _whole(bench, begun),
    }


def _whole(bench: Bench, begun: float) -> float:
    ledger.settle(bench.place.services.database, len(bench.tally.ids))
    return ledger.whole_misses(bench.place.services.database, begun)
