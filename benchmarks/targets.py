"""The figures: what each is, in which order they are shown, and what it should reach. A target is judged by the figures of one run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Found = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Figure:
    """`target`: as people read it; `met`: as code does, None for a limit that is only there to compare with."""

    name: str
    title: str
    unit: str
    target: str = ""
    met: Callable[[Found], bool] | None = None


def _least(name: str, bound: float) -> Callable[[Found], bool]:
    return lambda found: found[name] >= bound


def _most(name: str, bound: float) -> Callable[[Found], bool]:
    return lambda found: found[name] <= bound


def at_least(name: str, title: str, unit: str, bound: float) -> Figure:
    return Figure(name, title, unit, f">= {bound:,g}", _least(name, bound))


def at_most(name: str, title: str, unit: str, bound: float) -> Figure:
    return Figure(name, title, unit, f"<= {bound:,g}", _most(name, bound))


HALF = Figure(
    "exact_hit_rps",
    "exact hit, 16 connections",
    "/s",
    ">= 0.5 x bare ASGI + Redis",
    lambda found: found["exact_hit_rps"] >= 0.5 * found["bare_asgi_rps"],
)

FIGURES: Sequence[Figure] = (
    Figure("mock_upstream_rps", "the mock upstream alone", "/s"),
    Figure("bare_redis_rps", "Redis GETs without HTTP, 16 at a time", "/s"),
    Figure("bare_asgi_rps", "bare ASGI with one Redis GET", "/s"),
    Figure("django_view_rps", "empty Django async view", "/s"),
    HALF,
    Figure("exact_hit_p50_ms", "exact hit, p50", "ms"),
    at_most("exact_hit_p99_ms", "exact hit, p99", "ms", 6),
    at_least("exact_hit_stream_rps", "exact hit, streamed", "/s", 3000),
    at_least("passthrough_rps", "pass-through without plan", "/s", 2200),
    Figure("passthrough_added_p50_ms", "pass-through adds at 300/s, p50", "ms"),
    at_most("passthrough_added_p99_ms", "pass-through adds at 300/s, p99", "ms", 4),
    at_least("miss_rps", "miss with full plan", "/s", 350),
    at_most("miss_added_p50_ms", "miss with full plan adds at 100/s, p50", "ms", 6),
    Figure("miss_added_p99_ms", "miss with full plan adds at 100/s, p99", "ms"),
    Figure("miss_whole", "misses at 100/s that were embedded, looked up and stored", ""),
    at_most("stream_late_ms", "300 streams, 10 chunks/s each: the latest chunk", "ms", 50),
    Figure("stream_alone_late_ms", "the same from the upstream alone", "ms"),
    Figure("stream_cores", "the gateway's CPU meanwhile", "cores", "< 1", lambda found: found["stream_cores"] < 1),
    at_most("loop_lag_p99_ms", "lag of small requests beside long chats, p99", "ms", 10),
    Figure("loop_lag_p50_ms", "the same, p50", "ms"),
    Figure("loop_lag_chats", "long chats compressed meanwhile, in 11 s", ""),
    at_least("two_worker_factor", "two workers against one, two cores", "x", 1.4),
    Figure(
        "two_worker_cpu_ratio",
        "CPU seconds a request, two workers against one",
        "x",
        "within 10 %",
        lambda found: abs(found["two_worker_cpu_ratio"] - 1) <= 0.1,
    ),
    at_most("worker_rss_mb", "idle worker with the embedder loaded, RSS", "MB", 300),
    at_most("ready_s", "from the start to ready", "s", 6),
)
