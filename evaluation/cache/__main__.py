"""`make eval-cache`: what the semantic cache serves of labelled requests,
and how much of it is wrong.

Three decisions stand beside each other, taken in this process: the cosine alone, the cosine with
the rules, and the default of a plan. The last is then asked of a running gateway over HTTP. Rows
that the verifier learned from are left out, and counted.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from demo.management_api import ApiError
from demo.processes import StartError, reach_loopback_directly
from demo.workspace import MODELS, ROOT, WorkspaceBusy, fresh
from evaluation.cache import decisions, table
from evaluation.cache.door import doors, outcomes_of_pairs, outcomes_of_stream
from evaluation.cache.figures import rates
from evaluation.cache.sets import STREAM, Pair, Query, pairs, stream
from evaluation.cache.some import some

VAR = ROOT / "var" / "cache-eval"
PLAN = "default"
OVER_HTTP = 600  # pairs of a set, two requests each; the stream goes whole


def main() -> int:
    """0 when it ended well, 1 with a line on stderr when not."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.cache", description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="a folder with cache_pairs.jsonl.gz"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--no-http", action="store_true", help="leave the gateway out")
    arguments = parser.parse_args()
    reach_loopback_directly()
    try:
        found = run(arguments.data, http=not arguments.no_http)
    except (ApiError, FileNotFoundError, StartError, WorkspaceBusy, httpx.HTTPError) as error:
        print(f"eval-cache: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))
    return 0


def run(data: Path, *, http: bool) -> dict[str, Any]:
    """Print the tables and return what the JSON file says."""
    begun = time.monotonic()
    sets, queries = pairs(data), stream(data)
    sets, queries, left_out = decisions.unseen(sets, queries)
    found, seconds = asyncio.run(decisions.measure(MODELS, sets, queries))
    print(f"{_said(left_out)}\n\n{table.by_set(found)}\n\n{table.by_group(found)}\n", flush=True)
    print(f"The second check took {1000 * seconds:.2f} ms a decision (median)\n", flush=True)
    result: dict[str, Any] = {
        **found[decisions.DEFAULT],
        "decisions": found,
        "left_out": left_out,
        "seconds_per_decision": seconds,
    }
    if http:
        result["http"] = {PLAN: _over_http(sets, queries)}
        print(
            f"The default through the running gateway\n\n{table.by_set(result['http'])}\n",
            flush=True,
        )
    return result | {"seconds": round(time.monotonic() - begun, 1)}


def _over_http(sets: Mapping[str, Sequence[Pair]], queries: Sequence[Query]) -> dict[str, Any]:
    with fresh(VAR) as var, doors(var, {PLAN: {"cache": {}}}) as opened:
        found = {
            name: rates(outcomes_of_pairs(opened[PLAN], some(rows, OVER_HTTP)))
            for name, rows in sets.items()
        }
        return found | (
            {STREAM: rates(outcomes_of_stream(opened[PLAN], queries))} if queries else {}
        )


def _said(left_out: Mapping[str, Mapping[str, int]]) -> str:
    lines = [
        f"{name}: {found['scored']:,} scored, {found['trained']:,} left out, learned from"
        for name, found in left_out.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
