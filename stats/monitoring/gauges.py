"""Metrics of the running parts beside requests; gauges end with their worker, counters stay."""

from prometheus_client import Counter, Gauge, Histogram

LAG_BUCKETS_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)

BUILD = Gauge(
    "tokenthrift_build_info",
    "Always 1: which version runs, on which Python, with which embedder.",
    ("version", "python", "embedder"),
    multiprocess_mode="livemax",
)
WORKERS = Gauge("tokenthrift_workers", "Worker processes that serve.", multiprocess_mode="livesum")
WORKERS_WANTED = Gauge(
    "tokenthrift_workers_wanted", "Worker processes that should.", multiprocess_mode="livemax"
)
WORKER_STARTS = Counter(
    "tokenthrift_worker_starts",
    "Worker processes started; more than wanted means that some were replaced.",
)
IN_FLIGHT = Gauge(
    "tokenthrift_requests_in_flight",
    "Requests under /v1 that are being answered.",
    multiprocess_mode="livesum",
)
LOOP_LAG = Histogram(
    "tokenthrift_event_loop_lag_seconds",
    "How late a worker's event loop comes to what is due, tried ten times a second.",
    buckets=LAG_BUCKETS_SECONDS,
)
LOOP_STALLS = Counter(
    "tokenthrift_event_loop_stalls",
    (
        "Turns of a worker's event loop that took longer than 200 ms, by the stage of the request "
        "or the module that held it up."
    ),
    ("stage",),
)
CONNECTIONS_ENDED = Counter(
    "tokenthrift_connections_ended",
    (
        "Connections that were refused or ended. reason: head (too large or too slow), body "
        "(late), unread (an answer that nobody read), address (too many of one)."
    ),
    ("reason",),
)
BREAKER_OPEN = Gauge(
    "tokenthrift_breaker_open",
    "Workers that leave a tool alone because it failed.",
    ("tool",),
    multiprocess_mode="livesum",
)
TOOL_TIMEOUTS = Counter(
    "tokenthrift_tool_timeouts",
    "Times a tool had no time left of the cache or store budget, or did not answer in it.",
    ("tool",),
)
ENTRIES_MOVED = Counter(
    "tokenthrift_entries_moved",
    "Semantic entries given the vector of the present embedder, by backend.",
    ("backend",),
)
REFUSED_VALUES = Counter(
    "tokenthrift_refused_values",
    (
        "Values read from a store that failed their seal, or were moved or misshapen: not served. "
        "store: exact, a backend, flights, chats."
    ),
    ("store",),
)
COMPRESSOR_RESTARTS = Counter(
    "tokenthrift_compressor_restarts", "Compression processes that broke and were started again."
)
CONFIGURATION_AGE = Gauge(
    "tokenthrift_configuration_age_seconds",
    "Time since the worker that asked last knew its plans, keys and routes to be the present ones.",
    multiprocess_mode="livemax",
)
ERROR_BUDGET = Gauge(
    "tokenthrift_error_budget_ratio",
    "Wrong hits that a plan allows, of all its semantic hits.",
    ("plan",),
    multiprocess_mode="livemax",
)
FOLD_LAG = Gauge(
    "tokenthrift_fold_lag_seconds",
    "Age of the oldest request that is recorded and in no roll-up yet.",
    multiprocess_mode="livemostrecent",
)
OUTCOME_UNKNOWN = Gauge(
    "tokenthrift_outcome_unknown",
    "Calls of killed workers that the provider may have billed and that never settled.",
    multiprocess_mode="livemostrecent",
)
