"""Asking a peer as the gateway is asked, and making sure that the answers came from
where they should."""

import itertools
from collections.abc import Mapping

import httpx

from benchmarks import load
from benchmarks.wire import Request, post

Figures = dict[str, float | str]

MODEL = "gpt-4o-mini"
BODY = (
    f'{{"model":"{MODEL}","messages":[{{"role":"system","content":"You help customers of a '
    'shop."},{"role":"user","content":"How do I return a parcel?"}]}'
).encode()
COMPLETION = b'"chat.completion"'  # in every answer
SECONDS, WARM = 5.0, 4.0  # the just-in-time compiler of Node is not done after one second


def request(url: str, key: str, more: Mapping[str, str] | None = None) -> Request:
    """The question as a POST to a peer's base URL."""
    return post(f"{url}/v1/chat/completions", BODY, key=key, sign=COMPLETION, more=more)


def passed(url: str, asking: Request, upstream_url: str) -> Figures:
    """Figures of answers that the upstream gave.

    Raises RuntimeError when it was asked less often than that.
    """
    before = _asked(upstream_url)
    found = load.run(url, itertools.repeat(asking), seconds=SECONDS, warm=WARM)
    asked = _asked(upstream_url) - before
    if asked < found.rps * SECONDS:
        raise RuntimeError(
            f"{found.rps * SECONDS:.0f} answers were passed on, but the upstream was "
            f"asked {asked} times."
        )
    return _named("passthrough", found)


def cached(url: str, asking: Request, upstream_url: str) -> Figures:
    """Figures of answers that the upstream did not give. Raises RuntimeError when it was asked."""
    before = _asked(upstream_url)
    found = load.run(url, itertools.repeat(asking), seconds=SECONDS, warm=WARM)
    if asked := _asked(upstream_url) - before:
        raise RuntimeError(f"Of answers said to be cached, the upstream was asked for {asked}.")
    return _named("cached", found)


def _named(kind: str, found: load.Measured) -> Figures:
    return {f"{kind}_rps": found.rps, f"{kind}_p50_ms": found.p50, f"{kind}_p99_ms": found.p99}


def _asked(upstream_url: str) -> int:
    """How many requests the mock upstream has seen."""
    return int(
        httpx.get(f"{upstream_url.removesuffix('/v1')}/ledger", timeout=10)
        .raise_for_status()
        .json()["requests"]
    )
