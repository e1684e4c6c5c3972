"""Metrics of upstream calls and of stage durations, summed until they are published."""

from collections import defaultdict
from typing import Final

from prometheus_client import Counter, Histogram

from stats.events import Event
from stats.monitoring.buffered_histogram import BUCKETS, BufferedHistogram

UPSTREAM_ATTEMPTS = Counter(
    "tokenthrift_upstream_attempts",
    (
        "Calls to providers. result: ok; refused (4xx), rate_limited (429), failed (5xx); "
        "unreachable, timeout, invalid (no completion), key_refused (it does not accept the key "
        "it is sent), cut (broke off); abandoned (the client left), internal (a fault of ours)."
    ),
    ("upstream", "result"),
)
UPSTREAM_DURATION = Histogram(
    "tokenthrift_upstream_duration_seconds",
    "Waiting for the provider, to the end of its answer.",
    ("upstream",),
    buckets=BUCKETS,
)
STAGE_DURATION = Histogram(
    "tokenthrift_stage_duration_seconds",
    "Of the stages that had something to do. call_upstream ends where a stream begins.",
    ("stage",),
    buckets=BUCKETS,
)
COMPRESSION_DEGRADED = Counter(
    "tokenthrift_compression_degraded",
    "Chats that `trim` cut in place of the plan's engine.",
    ("reason",),
)
_RESULT_BY_ERROR_CODE: Final = {
    "upstream_unreachable": "unreachable",
    "upstream_timeout": "timeout",
    "upstream_invalid_response": "invalid",
    "upstream_auth_failed": "key_refused",
}
_RESULT_BY_OUTCOME: Final = {"client_closed": "abandoned", "cut": "cut", "failed": "internal"}
UPSTREAM_RESULTS: Final = frozenset(
    {
        "ok",
        "refused",
        "rate_limited",
        "failed",
        *_RESULT_BY_ERROR_CODE.values(),
        *_RESULT_BY_OUTCOME.values(),
    }
)
DEGRADATION_REASONS: Final = ("deadline", "pool-broken", "busy", "engine-failed")

_results: defaultdict[tuple[str, str], int] = defaultdict(int)
_waits: defaultdict[str, BufferedHistogram] = defaultdict(BufferedHistogram)
_stages: defaultdict[str, BufferedHistogram] = defaultdict(BufferedHistogram)


def classify_result(event: Event) -> str:
    """Classify the result of the request's upstream call."""
    if event.outcome == "ok":
        # An expired answer was served in place of the provider's.
        return "failed" if "upstream" in event.failures else "ok"
    if event.outcome in _RESULT_BY_OUTCOME:
        return _RESULT_BY_OUTCOME[event.outcome]
    if event.error_code in _RESULT_BY_ERROR_CODE:
        return _RESULT_BY_ERROR_CODE[event.error_code]
    if event.status == 429:
        return "rate_limited"
    return "refused" if 400 <= event.status < 500 else "failed"


def count_upstream_call(event: Event) -> None:
    """Count the call that the event made."""
    _results[event.upstream, classify_result(event)] += 1
    _waits[event.upstream].add_observation(event.upstream_ms / 1000)


def count_stage_times(times: list[tuple[str, float]]) -> None:
    """Count stages by name and seconds."""
    for stage, seconds in times:
        _stages[stage].add_observation(seconds)


def count_degradation(note: str) -> None:
    """Count a compression whose note contains one of our reasons."""
    for reason in DEGRADATION_REASONS:
        if reason in note:
            COMPRESSION_DEGRADED.labels(reason).inc()


def publish_upstream_metrics() -> None:
    """Move the counters; the caller holds the lock of the sums."""
    for (upstream, result), number in _results.items():
        UPSTREAM_ATTEMPTS.labels(upstream, result).inc(number)
    for upstream, spread in _waits.items():
        spread.flush_into(UPSTREAM_DURATION.labels(upstream))
    for stage, spread in _stages.items():
        spread.flush_into(STAGE_DURATION.labels(stage))
    for sums in (_results, _waits, _stages):
        sums.clear()
