"""`make eval-fow`: the whole of fow-cache (PyPI, CC BY 4.0) against a running gateway over HTTP,
with its own report.

Each of its pairs goes out as two chat requests in a namespace of their own, all earlier turns
included. Its rows train nothing here.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from fow_cache import evaluate

from demo.management_api import ApiError
from demo.processes import StartError, reach_loopback_directly
from demo.workspace import ROOT, WorkspaceBusy, fresh
from evaluation.cache.door import AT_ONCE, Door, doors
from plans.strictness import STRICTNESS_NAMES
from proxy.core.types import Message

VAR = ROOT / "var" / "fow"
# The cache of each set's plan. A chat of the second set never has the same earlier turns as its
# partner.
PLANS: dict[str, dict[str, Any]] = {
    "questions": {},
    "conversations": {"context": "window"},
}


def main() -> int:
    """0 when it ended well, 1 with a line on stderr when not."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.cache.fow", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument(
        "--strictness", choices=STRICTNESS_NAMES, help="of both plans; default: the number"
    )
    arguments = parser.parse_args()
    reach_loopback_directly()
    plans = {
        name: {"cache": cache | {"strictness": arguments.strictness}}
        for name, cache in PLANS.items()
    }
    try:
        with fresh(VAR) as var, doors(var, plans) as opened:
            found = {dataset: report(door, dataset) for dataset, door in opened.items()}
    except (ApiError, StartError, WorkspaceBusy, httpx.HTTPError) as error:
        print(f"eval-fow: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))
    return 0


def report(door: Door, dataset: str) -> dict[str, Any]:
    """Print the report of one of its two sets and return what it counts. Raises httpx.HTTPError."""
    begun = time.monotonic()
    found = evaluate(
        lambda stored, asked: door.serves(_chat(stored), _chat(asked)),
        dataset=dataset,
        workers=AT_ONCE,
    )
    seconds = round(time.monotonic() - begun, 1)
    print(f"{found}\n{2 * len(found.results):,} requests, {seconds:.0f} s\n", flush=True)
    figures: dict[str, Any] = found.to_dict()
    return figures | {"seconds": seconds}


def _chat(said: str | list[Message]) -> list[Message]:
    return [{"role": "user", "content": said}] if isinstance(said, str) else said


if __name__ == "__main__":
    raise SystemExit(main())
