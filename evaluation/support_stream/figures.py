"""What one stream showed, as the client saw it: latencies, hits, wrong hits."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from demo.figures import percentile
from demo.replay import HIT_TIERS
from evaluation.cache.figures import share
from evaluation.cache.sets import Query
from evaluation.support_stream.traffic import Reply

RANKS = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}


def summarize_replies(
    asked: Sequence[Query], replies: Sequence[Reply], *, provider_seconds: float
) -> dict[str, Any]:
    """Counts of requests, shares, and milliseconds; the replies in the order of the questions."""
    both = list(zip(asked, replies, strict=True))
    wrong = [one for one in both if is_wrong(*one)]
    hits = sum(is_hit(reply) for reply in replies)
    return {
        "requests": len(replies),
        "errors": sum(reply.status != 200 for reply in replies),
        "latency_ms": rank_latencies(replies, provider_seconds),
        "hits": {
            "exact": sum(is_hit(reply) and reply.tier == "exact" for reply in replies),
            "semantic": sum(is_hit(reply) and reply.tier == "semantic" for reply in replies),
            "joined": sum(reply.joined for reply in replies),
        },
        "hit_rate": share(hits, len(replies)),
        "hit_rate_by_quarter": [
            share(sum(map(is_hit, part)), len(part)) for part in split_quarters(replies)
        ],
        "wrong_hits": {tier: sum(reply.tier == tier for _, reply in wrong) for tier in HIT_TIERS},
        "by_edit": count_by_edit(both),
        "wrong_share_of_hits": share(len(wrong), hits),
        "served_wrong": list_wrong(wrong, both),
    }


def count_by_edit(both: Iterable[tuple[Query, Reply]]) -> dict[str, dict[str, int]]:
    """Requests, hits and wrong hits by how the question was typed."""
    found: dict[str, dict[str, int]] = {}
    for query, reply in both:
        counts = found.setdefault(query.group, {"requests": 0, "hits": 0, "wrong": 0})
        counts["requests"] += 1
        counts["hits"] += is_hit(reply)
        counts["wrong"] += is_wrong(query, reply)
    return found


def list_wrong(
    wrong: Iterable[tuple[Query, Reply]], both: Iterable[tuple[Query, Reply]]
) -> list[dict[str, Any]]:
    """What was asked and what had been: a completion has one id, that of the miss that got it."""
    stored = {reply.completion: query for query, reply in both if reply.tier == "miss"}
    return [
        {
            "asked": query.text,
            "intent": query.intent,
            "stored": stored[reply.completion].text if reply.completion in stored else None,
            "made_for": reply.label,
        }
        for query, reply in wrong
    ]


def rank_latencies(replies: Sequence[Reply], provider_seconds: float) -> dict[str, dict[str, Any]]:
    """Of all replies, by tier, and `added`: less the provider's fixed time where it was called.

    What joined a call under way waited for the rest of it: a kind of its own, and in no `added`.
    """
    good = [reply for reply in replies if reply.status == 200]
    alone = [reply for reply in good if not reply.joined]
    tiers = {
        tier: [reply.seconds for reply in alone if reply.tier == tier]
        for tier in (*HIT_TIERS, "miss", "bypass")
    }
    called = [seconds - provider_seconds for seconds in tiers["miss"] + tiers["bypass"]]
    kinds = {
        "all": [reply.seconds for reply in good],
        **tiers,
        "joined": [reply.seconds for reply in good if reply.joined],
        "added": [*tiers["exact"], *tiers["semantic"], *called],
        "added_to_calls": called,
    }
    return {name: _ranked(seconds) for name, seconds in kinds.items() if seconds}


def is_hit(reply: Reply) -> bool:
    return reply.status == 200 and reply.tier in HIT_TIERS


def is_wrong(query: Query, reply: Reply) -> bool:
    """Whether the cache served an answer that was made for another intent."""
    return is_hit(reply) and reply.label != query.intent


def split_quarters(replies: Sequence[Reply]) -> list[Sequence[Reply]]:
    """The stream in four parts, in order."""
    edges = [len(replies) * quarter // 4 for quarter in range(5)]
    return [replies[begin:end] for begin, end in pairwise(edges)]


def _ranked(seconds: Iterable[float]) -> dict[str, float | None]:
    times = [1000 * one for one in seconds]
    return {name: percentile(times, rank) for name, rank in RANKS.items()}
