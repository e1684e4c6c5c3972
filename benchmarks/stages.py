"""Where a request's time goes, by the gateway's own measurements of its stages."""

import re
from collections import Counter
from dataclasses import dataclass

import httpx

from benchmarks.bench import Bench

# Of the stages of a miss that may take a millisecond, how the figures call them.
STAGES = {
    "exact_lookup": "the exact look-up",
    "embed": "eligibility and the words' vector",
    "semantic_lookup": "looking up neighbours",
    "verify": "comparing them",
    "compress": "deciding on compression",
    "lease": "the lease of the call",
    "call_upstream": "the provider",
}
_LINE = re.compile(
    r'tokenthrift_stage_duration_seconds_(sum|count)\{.*?stage="(\w+)".*?\} (\S+)', re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Seconds and requests by stage since the gateway's start."""

    seconds: Counter[str]
    requests: Counter[str]

    def mean_milliseconds_since(self, before: "StageTimes") -> dict[str, float]:
        """Return the mean of each of STAGES that worked in between."""
        seconds, requests = self.seconds - before.seconds, self.requests - before.requests
        return {name: 1000 * seconds[name] / requests[name] for name in STAGES if requests[name]}


def read_stage_times(bench: Bench) -> StageTimes:
    """Ask the gateway. Raises httpx.HTTPError."""
    reply = httpx.get(
        f"{bench.url}/metrics", headers={"Authorization": f"Bearer {bench.keys['admin_key']}"}
    )
    reply.raise_for_status()
    found = StageTimes(Counter(), Counter())
    for kind, stage, value in _LINE.findall(reply.text):
        (found.seconds if kind == "sum" else found.requests)[stage] += float(value)  # type: ignore[assignment]
    return found
