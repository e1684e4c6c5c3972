"""The figures of both runs beside each other, as a Markdown table."""

from collections.abc import Callable, Mapping
from typing import Any

from evaluation.cache import table

Run = Mapping[str, Any]
KINDS = {
    "all": "latency",
    "exact": "exact hits",
    "semantic": "semantic hits",
    "joined": "joined a call under way",
    "miss": "misses",
    "bypass": "without a plan",
    "added": "added by the gateway",
    "added_to_calls": "added to the provider's time",
}


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _hits(run: Run) -> str:
    hits = run["hits"]
    return f"{hits['exact']:,} ({hits['joined']:,} joined) / {hits['semantic']:,}"


def _wrong(run: Run) -> str:
    wrong = run["wrong_hits"]
    served = f"{wrong['exact']:,} / {wrong['semantic']:,}"
    found = run["wrong_share_of_hits"]
    return served if found is None else f"{served} ({100 * found:.2f} %)"


ROWS: tuple[tuple[str, Callable[[Run], str]], ...] = (
    ("requests / errors", lambda run: f"{run['requests']:,} / {run['errors']:,}"),
    ("calls upstream", lambda run: f"{run['provider']['requests']:,}"),
    ("exact / semantic hits", _hits),
    ("hit rate", lambda run: _share(run["hit_rate"])),
    ("by quarter", lambda run: ", ".join(map(_share, run["hit_rate_by_quarter"]))),
    ("wrong hits, exact / semantic", _wrong),
    ("misses looked up in full", lambda run: _share(run["whole_misses"])),
    ("prompt / completion tokens billed", lambda run: (
        f"{run['provider']['prompt_tokens']:,} / {run['provider']['completion_tokens']:,}"
    )),
    ("dollars billed", lambda run: f"${run['billed_usd']:.4f}"),
    ("without a plan, by the stats", lambda run: (
        "-" if run["would_usd"] is None else f"${run['would_usd']:.4f}"
    )),
    ("gateway: CPU s per 1,000 requests", lambda run: (
        f"{run['cpu_seconds_per_1000']['gateway']:.2f}"
    )),
    ("gateway: share of a core", lambda run: _share(run["share_of_a_core"]["gateway"])),
    ("PostgreSQL and Redis: share of a core", lambda run: (
        _share(run["share_of_a_core"]["services"])
    )),
    (
        "mock provider / client: share of a core",
        lambda run: " / ".join(
            _share(run["share_of_a_core"][name]) for name in ("provider", "client")
        ),
    ),
    ("workers at the end, MB", lambda run: " / ".join(f"{mb:.0f}" for mb in run["worker_mb"])),
    ("who counted agree", lambda run: run["disagreement"] or "yes"),
)  # fmt: skip


def render_table(runs: Mapping[str, Run]) -> str:
    """A column for each run."""
    rows = [[title, *(show(run) for run in runs.values())] for title, show in ROWS]
    times = [
        [f"{title}, ms", *(_latency(run, kind) for run in runs.values())]
        for kind, title in KINDS.items()
        if any(kind in run["latency_ms"] for run in runs.values())
    ]
    return table.table(["", *runs], [*rows, *times])


def render_edits(run: Run) -> str:
    """A row for each way in which questions were typed."""
    rows = [
        [name, f"{one['requests']:,}", _share(one["hits"] / one["requests"]), f"{one['wrong']:,}"]
        for name, one in sorted(run["by_edit"].items(), key=lambda item: -item[1]["requests"])
    ]
    return table.table(["typed", "requests", "hit rate", "wrong hits"], rows)


def _latency(run: Run, kind: str) -> str:
    found = run["latency_ms"].get(kind)
    return " / ".join(f"{ms:,.1f}" for ms in found.values()) if found else "-"
