"""The metrics that Prometheus scrapes.

Label values come from the configuration or from our own code, never from a client's text. With
several workers, set PROMETHEUS_MULTIPROC_DIR to an empty folder before this module is imported
(prometheus.github.io/client_python/multiprocess). The `litellm_*` names are aliases kept for
dashboards built on the guide's names.
"""

import os
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from stats.events import JUDGE_REASON, UNKNOWN_PLAN_REASON, Event
from stats.monitoring import upstream_metrics
from stats.monitoring.buffered_histogram import BUCKETS, BufferedHistogram
from stats.process_ids import is_alive

__all__ = [
    "BUCKETS",
    "forget_worker",
    "observe_event",
    "observe_stages",
    "publish_metrics",
    "render_exposition",
]

disable_created_metrics()  # type: ignore[no-untyped-call]  # a creation time is one more series per counter; with several workers there is none anyway
OWNER_LABELS = ("tenant", "plan", "route")

REQUESTS = Counter("tokenthrift_requests", "Finished requests.", (*OWNER_LABELS, "tier", "outcome"))
TOKENS = Counter(
    "tokenthrift_tokens",
    (
        "Tokens. asked: what would have been billed without a plan; sent: what the provider "
        "billed; served: what clients were given."
    ),
    (*OWNER_LABELS, "stage", "type"),
)
COST = Counter(
    "tokenthrift_cost_usd",
    "US dollars. would: without a plan; billed: by the provider; spent: on saving.",
    (*OWNER_LABELS, "kind"),
)
DURATION = Histogram(
    "tokenthrift_request_duration_seconds",
    "From first byte in to last byte out.",
    ("tier",),
    buckets=BUCKETS,
)
OVERHEAD = Histogram(
    "tokenthrift_overhead_seconds",
    "Duration without the wait for the upstream.",
    ("tier",),
    buckets=BUCKETS,
)
LOOKUPS = Counter(
    "tokenthrift_cache_lookups",
    "Requests by the tier that answered: exact, semantic, miss, bypass.",
    ("tier",),
)
FAILURES = Counter(
    "tokenthrift_tool_failures",
    (
        "Times a request went on without a cache or another tool, or was given an expired answer "
        "for want of the provider (upstream)."
    ),
    ("tool",),
)
SAMPLES = Counter(
    "tokenthrift_samples",
    "Stored answers compared with the provider's. verdict: right, wrong, unclear, none.",
    ("tenant", "plan", "verdict"),
)
JUDGE_VERDICTS = Counter(
    "tokenthrift_judged",
    (
        "Samples that the plan's judge model was asked about. verdict: right, wrong, unclear; "
        "none: it failed, and the rules stood."
    ),
    ("tenant", "plan", "verdict"),
)
SEMANTIC_OFF = Gauge(
    "tokenthrift_semantic_tier_off",
    "1 while the plan's semantic tier is off for its error budget, for one tenant or more.",
    ("plan",),
    multiprocess_mode="livemax",
)
SEMANTIC_OFF_TENANTS = Gauge(
    "tokenthrift_semantic_tier_off_tenants",
    "For how many tenants the plan's semantic tier is off for its error budget.",
    ("plan",),
    multiprocess_mode="livemax",
)
RECALIBRATIONS = Counter(
    "tokenthrift_recalibrations",
    (
        "Daily measurements of a plan's labelled pairs. state: none (no threshold is proposed), "
        "shadow (one is), held (it may be applied)."
    ),
    ("plan", "state"),
)
UNPRICED_REQUESTS = Counter(
    "tokenthrift_unpriced_requests", "Requests of a model that has no price.", ("route",)
)
UNKNOWN_PLAN_REQUESTS = Counter(
    "tokenthrift_unknown_plan_requests",
    "Requests that named a plan which does not exist: nothing was saved on them.",
    ("tenant",),
)
BILL_UNKNOWN_REQUESTS = Counter(
    "tokenthrift_bill_unknown_requests",
    "Calls of providers given up: what they cost is not known.",
    ("route",),
)
SPOOL_BYTES = Gauge(
    "tokenthrift_spool_bytes", "Spooled and not yet in the database.", multiprocess_mode="livesum"
)
SPOOL_LAG = Gauge(
    "tokenthrift_spool_lag_seconds",
    "Time since the spool was last seen empty.",
    multiprocess_mode="livemax",
)
SPOOL_ERRORS = Counter("tokenthrift_spool_errors", "Writes to the spool that failed.")
DEAD_LETTERS = Counter("tokenthrift_dead_letters", "Spooled lines that the database refused.")
CACHE_ENTRIES = Gauge(
    "tokenthrift_cache_entries",
    "Cached answers, as counted last.",
    ("tenant",),
    multiprocess_mode="livemostrecent",
)
CACHE_BYTES = Gauge(
    "tokenthrift_cache_bytes",
    "What they take in all stores.",
    ("tenant",),
    multiprocess_mode="livemostrecent",
)

LITELLM_TOKENS = Counter(
    "litellm_tokens", "Alias of tokenthrift_tokens_total.", (*OWNER_LABELS, "stage", "type")
)
LITELLM_REQUEST = Counter("litellm_request", "Requests by HTTP status.", (*OWNER_LABELS, "status"))
LITELLM_DURATION = Histogram(
    "litellm_request_duration_seconds",
    "Alias of tokenthrift_request_duration_seconds.",
    ("route",),
    buckets=BUCKETS,
)
LITELLM_COST = Counter(
    "litellm_cost", 'Alias of tokenthrift_cost_usd_total{kind="billed"}.', OWNER_LABELS
)

_EventGroup = tuple[str, str, str, str, str, int]


@dataclass(slots=True)
class _GroupSums:
    """Sums of the events of one group (tenant, plan, route, tier, outcome, status)."""

    requests: int = 0
    asked_tokens: int = 0
    asked_output_tokens: int = 0
    sent_tokens: int = 0
    completion_tokens: int = 0
    served_tokens: int = 0
    unpriced_requests: int = 0
    unknown_plan_requests: int = 0
    bill_unknown_requests: int = 0
    # Floats: counters hold no more.
    baseline_cost: float = 0.0
    billed_cost: float = 0.0
    spent_cost: float = 0.0
    durations: BufferedHistogram = field(default_factory=BufferedHistogram)
    overheads: BufferedHistogram = field(default_factory=BufferedHistogram)


_group_sums: defaultdict[_EventGroup, _GroupSums] = defaultdict(_GroupSums)
_sums_lock = threading.Lock()  # a scrape publishes from a Django thread


def observe_event(event: Event) -> None:
    """Add a finished request to the sums; `publish_metrics` moves the counters."""
    # Moving counters per request would cost some 30 microseconds if several workers share them
    # through files.
    with _sums_lock:
        _add_event(_group_sums[_classify_event(event)], event)
        if event.attempts:
            upstream_metrics.count_upstream_call(event)
    if event.note:
        upstream_metrics.count_degradation(event.note)
    if event.tier == "sample":
        counter = JUDGE_VERDICTS if event.reason == JUDGE_REASON else SAMPLES
        counter.labels(event.tenant, event.plan, event.sample or "none").inc()
    for tool in event.failures:
        FAILURES.labels(tool).inc()


def observe_stages(times: list[tuple[str, float]]) -> None:
    """Count the stages of a finished request, by name and seconds."""
    with _sums_lock:
        upstream_metrics.count_stage_times(times)


def publish_metrics() -> None:
    """Move the counters by everything observed since the last time.

    Called once per flush and before each scrape.
    """
    with _sums_lock:
        upstream_metrics.publish_upstream_metrics()
        groups = dict(_group_sums)
        _group_sums.clear()
    for group, sums in groups.items():
        _move_counters(group, sums)


def _classify_event(event: Event) -> _EventGroup:
    """Return the event's group."""
    # Names only if they were found in the configuration: a name that was merely requested is
    # "other" or "none".
    tenant = event.tenant if event.tenant_id is not None else "none"
    plan = event.plan if event.plan_id is not None else "none"
    return (
        tenant,
        plan,
        event.route if event.upstream else "other",
        event.tier,
        event.outcome,
        event.status,
    )


def _add_event(sums: _GroupSums, event: Event) -> None:
    """Add the event to the sums of its group."""
    if event.reason == UNKNOWN_PLAN_REASON:
        sums.unknown_plan_requests += 1
    # Asked less sent is `tokens_saved`: a request that reached neither cache nor provider asked for
    # nothing that counts, and no client asks for a sample.
    sample = event.tier == "sample"
    # An expired answer may cost an attempt too.
    hit = event.tier in {"exact", "semantic"} and not event.attempts
    if not sample:
        sums.requests += 1
        sums.durations.add_observation(event.duration_ms / 1000)
        sums.overheads.add_observation(event.overhead_ms / 1000)
    if hit or event.prompt_tokens:
        sums.asked_tokens += event.asked_tokens
    sums.asked_output_tokens += event.served_tokens if hit or sample else event.completion_tokens
    sums.sent_tokens += event.prompt_tokens
    sums.completion_tokens += event.completion_tokens
    sums.served_tokens += event.served_tokens
    if event.bill == "unknown":
        sums.bill_unknown_requests += 1
        return
    if event.would_cost is None or event.billed_cost is None:
        sums.unpriced_requests += 1
        return
    sums.baseline_cost += float(event.would_cost)
    sums.billed_cost += float(event.billed_cost)
    sums.spent_cost += float(event.spent_cost)


def _move_counters(group: _EventGroup, sums: _GroupSums) -> None:
    *who, tier, outcome, status = group
    REQUESTS.labels(*who, tier, outcome).inc(sums.requests)
    LITELLM_REQUEST.labels(*who, str(status)).inc(sums.requests)
    LOOKUPS.labels(tier).inc(sums.requests)
    UNPRICED_REQUESTS.labels(who[2]).inc(sums.unpriced_requests)
    UNKNOWN_PLAN_REQUESTS.labels(who[0]).inc(sums.unknown_plan_requests)
    BILL_UNKNOWN_REQUESTS.labels(who[2]).inc(sums.bill_unknown_requests)
    for kind, dollars in (
        ("would", sums.baseline_cost),
        ("billed", sums.billed_cost),
        ("spent", sums.spent_cost),
    ):
        COST.labels(*who, kind).inc(dollars)
    LITELLM_COST.labels(*who).inc(sums.billed_cost)
    served_input = sums.asked_tokens if status < 400 else 0
    for stage, given, made in (
        ("asked", sums.asked_tokens, sums.asked_output_tokens),
        ("sent", sums.sent_tokens, sums.completion_tokens),
        ("served", served_input, sums.served_tokens),
    ):
        for counter in (TOKENS, LITELLM_TOKENS):
            counter.labels(*who, stage, "input").inc(given)
            counter.labels(*who, stage, "output").inc(made)
    sums.durations.flush_into(DURATION.labels(tier))
    sums.durations.flush_into(LITELLM_DURATION.labels(who[2]))
    sums.overheads.flush_into(OVERHEAD.labels(tier))


def render_exposition(accept: str = "") -> tuple[bytes, str]:
    """Render the metrics of all workers; return the page and its content type.

    OpenMetrics if the `Accept` header asks for it, else Prometheus' text format.
    """
    publish_metrics()
    encode, content_type = choose_encoder(accept)
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return encode(REGISTRY), content_type
    _forget_dead_workers(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return encode(registry), content_type


def forget_worker(pid: int) -> None:
    """Drop the gauges of a killed worker. Its counters stay."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ and not is_alive(pid):
        mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _forget_dead_workers(folder: Path) -> None:
    """Drop the gauges of dead workers."""
    # The flusher does so only while the database answers.
    for file in folder.glob("gauge_live*_*.db"):
        forget_worker(int(file.stem.rpartition("_")[2]))
