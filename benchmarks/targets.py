"""The figures: what each is, in which order they are shown, and what it should reach.

A target is judged by the figures of one run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.stages import STAGES

Found = Mapping[str, float]
Judge = Callable[[Found], bool]


@dataclass(frozen=True, slots=True)
class Figure:
    """`target`: as people read it; `met`: as code does,
    None for what is only there to compare with; `peer`: the same of a rival."""

    name: str
    title: str
    unit: str = ""
    target: str = ""
    met: Judge | None = None
    peer: str = ""


def at_least(bound: float, name: str, title: str, unit: str = "", peer: str = "") -> Figure:
    return Figure(
        name, title, unit, f">= {bound:,g} {unit}".strip(), lambda found: found[name] >= bound, peer
    )


def at_most(bound: float, name: str, title: str, unit: str = "", peer: str = "") -> Figure:
    return Figure(
        name, title, unit, f"<= {bound:,g} {unit}".strip(), lambda found: found[name] <= bound, peer
    )


def _half_of_bare(found: Found) -> bool:
    return found["exact_hit_rps"] >= 0.5 * found["bare_asgi_rps"]


def _within_a_tenth(found: Found) -> bool:
    return abs(found["two_worker_cpu_ratio"] - 1) <= 0.1


FIGURES: Sequence[Figure] = (
    Figure("mock_upstream_rps", "limit: the mock upstream alone", "/s"),
    Figure("bare_redis_rps", "limit: Redis GETs without HTTP, 16 at a time", "/s"),
    Figure("bare_asgi_rps", "limit: bare ASGI with one Redis GET", "/s"),
    Figure("django_view_rps", "limit: empty Django async view", "/s"),
    Figure(
        "exact_hit_rps",
        "exact hit, 16 connections",
        "/s",
        ">= 0.5 x bare ASGI with Redis",
        _half_of_bare,
        "cached_rps",
    ),
    at_least(35, "exact_hit_vs_litellm", "exact hit, times LiteLLM's", "x"),
    Figure("exact_hit_p50_ms", "exact hit, p50", "ms", peer="cached_p50_ms"),
    at_most(6, "exact_hit_p99_ms", "exact hit, p99", "ms", "cached_p99_ms"),
    Figure(
        "exact_hit_rest_busy",
        "meanwhile busy on the other core (client, Redis, PostgreSQL)",
        "cores",
    ),
    at_least(3000, "exact_hit_stream_rps", "exact hit, streamed", "/s"),
    at_least(2200, "passthrough_rps", "pass-through without plan", "/s", "passthrough_rps"),
    at_least(14, "passthrough_vs_litellm", "pass-through, times LiteLLM's", "x"),
    at_least(2.5, "passthrough_vs_portkey", "pass-through, times Portkey's", "x"),
    Figure("passthrough_added_p50_ms", "pass-through adds at 300/s, p50", "ms"),
    at_most(4, "passthrough_added_p99_ms", "pass-through adds at 300/s, p99", "ms"),
    at_least(350, "miss_rps", "miss with full plan (embed, look up, store), 4 connections", "/s"),
    at_most(6, "miss_added_p50_ms", "miss with full plan adds at 50/s, p50", "ms"),
    at_most(15, "miss_added_p99_ms", "miss with full plan adds at 50/s, p99", "ms"),
    *(
        Figure(f"miss_{name}_ms", f"of these, on average: {title}", "ms")
        for name, title in STAGES.items()
    ),
    Figure("miss_whole", "share of those that were embedded, looked up and stored"),
    Figure("miss_overload_rps", "miss with full plan, 16 connections, whole or not", "/s"),
    Figure("miss_overload_whole", "share of those that were embedded, looked up and stored"),
    at_most(5, "semantic_hit_p50_ms", "semantic hit, 100,000 entries, 1 connection, p50", "ms"),
    at_most(12, "semantic_hit_p99_ms", "semantic hit, 100,000 entries, 1 connection, p99", "ms"),
    at_most(2, "semantic_growth", "semantic look-up, 100,000 entries against 1,000", "x"),
    at_most(50, "stream_late_ms", "300 streams, 10 chunks/s each: the latest chunk", "ms"),
    Figure("stream_alone_late_ms", "the same, from the upstream alone", "ms"),
    Figure(
        "stream_cores",
        "the gateway's CPU with 300 streams",
        "cores",
        "< 1 core",
        lambda found: found["stream_cores"] < 1,
    ),
    at_most(120, "compress_cold_ms", "compress 60,000 tokens to 4,096, p50", "ms"),
    Figure("compress_cold_p99_ms", "compress 60,000 tokens to 4,096, p99", "ms"),
    at_most(20, "compress_next_ms", "the same chat's next turn, p50", "ms"),
    at_least(100, "compress_vs_sumy", "compression, times sumy's speed", "x"),
    at_most(1.3, "compress_growth_exponent", "compression against length: n to the power of"),
    at_most(10, "loop_lag_p99_ms", "lag of small requests beside long chats, p99", "ms"),
    Figure("loop_lag_p50_ms", "lag of small requests beside long chats, p50", "ms"),
    Figure("loop_lag_chats", "long chats compressed meanwhile, in 11 s"),
    Figure("stall_nothing_ms", "longest wait of a small hit, beside nothing", "ms"),
    at_most(200, "stall_head_ms", "the same beside endless heads", "ms"),
    at_most(200, "stall_body_ms", "the same beside hostile bodies", "ms"),
    at_most(200, "stall_question_ms", "the same beside hostile questions", "ms"),
    at_most(200, "stall_stream_ms", "the same beside hostile streams of a provider", "ms"),
    at_least(1.4, "two_worker_factor", "two workers against one, two cores", "x"),
    Figure(
        "two_worker_cpu_ratio",
        "CPU seconds a request, two workers against one",
        "x",
        "within 10 %",
        _within_a_tenth,
    ),
    at_most(300, "worker_rss_mb", "idle worker with the embedder loaded, RSS", "MB"),
    at_most(6, "ready_s", "from start to ready", "s"),
)
