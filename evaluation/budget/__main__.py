"""`make eval-budget`: an error budget at work, on a running gateway over HTTP.

The FAQ stream is sent in its order. From the middle on, the right answer to a share of the
questions depends on a detail that the cache cannot see. Printed and drawn: the wrong rate that the
samples measured, its interval, the true rate, and when the semantic tier turned itself off. The
provider is a mock that words its answers differently each time.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from demo import stage
from demo.management_api import PLAN_SECONDS, ApiError, create_plan
from demo.processes import StartError, plain_environment, reach_loopback_directly
from demo.workspace import ROOT, WorkspaceBusy, fresh
from evaluation.budget.figures import draw, figures
from evaluation.budget.provider import providing
from evaluation.budget.stream import questions, send

VAR = ROOT / "var" / "eval-budget"
PLAN = "budgeted"
PLOT = ROOT / "docs" / "screens" / "error-budget.svg"


def main() -> int:
    """0 when it ended well, 1 with a line on stderr when not."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.budget", description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="a folder with faq_stream.jsonl.gz"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument(
        "--plot",
        type=Path,
        default=ROOT / "docs" / "screens" / "error-budget.svg",
        help="write the picture to this .svg or .png",
    )
    parser.add_argument("--budget", type=float, default=0.05, help="the plan's max_error_rate")
    parser.add_argument("--sample-rate", type=float, default=0.2)
    parser.add_argument(
        "--hostile", type=float, default=0.3, help="the share of questions that turn"
    )
    parser.add_argument("--count", type=int, help="so many questions only")
    arguments = parser.parse_args()
    # What was started is stopped, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    reach_loopback_directly()
    try:
        found = run(arguments)
    except (ApiError, OSError, StartError, WorkspaceBusy, httpx.HTTPError) as error:
        print(f"eval-budget: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))
    return 0


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Send the stream, draw the picture, return the figures."""
    asked = questions(arguments.data, hostile=arguments.hostile, count=arguments.count)
    cache = {
        "max_error_rate": arguments.budget,
        "sample_rate": arguments.sample_rate,
        "similarity_threshold": 0.85,
    }
    begun, load = time.monotonic(), os.getloadavg()[0]
    with fresh(VAR) as var, providing() as (address, provider):
        # On a machine that is busy with the questions themselves a look-up that is late would be a
        # miss.
        environment = plain_environment(
            TOKENTHRIFT_VAR_DIR=str(var), PYTHONUNBUFFERED="1", TOKENTHRIFT_CACHE_BUDGET_MS="1000"
        )
        with stage.gateway(var, environment, workers=2) as (url, _):
            keys = stage.accounts(environment, provider=address, model="gpt-4o-mini")
            create_plan(url, keys["admin_key"], json.dumps({"plan_name": PLAN, "cache": cache}))
            time.sleep(PLAN_SECONDS)
            print(
                (
                    f"{len(asked):,} questions, hostile from {len(asked) // 2:,} on; budget "
                    f"{arguments.budget:.1%}"
                ),
                flush=True,
            )
            served, seen = asyncio.run(send(url, keys, PLAN, asked))
        found = figures(served, seen, limit=arguments.budget) | {
            "calls_upstream": provider.requests
        }
    draw(served, seen, found, arguments.plot)
    return found | {"seconds": round(time.monotonic() - begun, 1), "load_before": load}


if __name__ == "__main__":
    raise SystemExit(main())
