"""`make reconcile-test`: mixed requests through two workers that are killed at random,
then `reconcile` with the provider's books."""

import argparse
import asyncio
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping

import httpx

from benchmarks.machine import workers_of
from demo import stage
from demo.management_api import PLAN_SECONDS, ApiError, create_plan
from demo.processes import StartError, plain_environment, reach_loopback_directly
from demo.workspace import ROOT, WorkspaceBusy, fresh
from evaluation.ledger.accounts import LOGIN, PLANS
from evaluation.ledger.provider import providing
from evaluation.ledger.traffic import kill, requests, send

VAR = ROOT / "var" / "reconcile-test"
# A killed worker's calls are in flight until its sign of life is a minute old.
SETTLED_SECONDS = 75.0


def main() -> int:
    """0 when all agree, 1 when not."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.ledger", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument(
        "--every", type=float, default=10.0, help="seconds between two kills, on average"
    )
    parser.add_argument("--seed", type=int, default=6)
    arguments = parser.parse_args()
    # What was started is stopped, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    reach_loopback_directly()
    try:
        return run(arguments.requests, every=arguments.every, seed=arguments.seed)
    except (ApiError, OSError, StartError, WorkspaceBusy, httpx.HTTPError) as error:
        print(f"reconcile-test: {error}", file=sys.stderr)
        return 1


def run(number: int, *, every: float, seed: int) -> int:
    """Send so many requests and reconcile; the exit code of `reconcile`."""
    with fresh(VAR) as var, providing() as (provider, _):
        environment = plain_environment(TOKENTHRIFT_VAR_DIR=str(var), PYTHONUNBUFFERED="1")
        with stage.gateway(var, environment, workers=2) as (url, pid):
            keys = accounts(environment, provider)
            for name, settings in PLANS.items():
                create_plan(url, keys["admin"][0], json.dumps({"plan_name": name, **settings}))
            time.sleep(PLAN_SECONDS)
            begun = time.monotonic()
            ends, killed = asyncio.run(
                under_fire(
                    url, keys["virtual"], number, lambda: workers_of(pid), every=every, seed=seed
                )
            )
            seconds = time.monotonic() - begun
            print(
                f"{number:,} requests in {seconds:.0f} s ({number / seconds:.0f}/s), {killed} "
                f"workers killed; load {os.getloadavg()[0]:.1f}"
            )
            print(
                "  " + ", ".join(f"{name}: {count:,}" for name, count in sorted(ends.items())),
                flush=True,
            )
            time.sleep(SETTLED_SECONDS)
            code = reconcile(environment, provider)
            return code or shown(url, keys["password"][0], environment)


def accounts(environment: Mapping[str, str], provider: str) -> dict[str, list[str]]:
    """See `evaluation.ledger.accounts`; the keys."""
    command = [sys.executable, "-m", "evaluation.ledger.accounts", "--provider", provider]
    done = subprocess.run(  # noqa: S603 -- our own
        command, env=dict(environment), cwd=ROOT, capture_output=True, text=True, check=True
    )
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


async def under_fire(
    url: str,
    keys: list[str],
    number: int,
    workers: Callable[[], list[int]],
    *,
    every: float,
    seed: int,
    most: float = math.inf,
) -> tuple[Counter[str], int]:
    """Send them while workers die; how the requests ended, and how many workers were killed."""
    done = asyncio.Event()
    killing = asyncio.create_task(kill(workers, every=every, most=most, seed=seed, done=done))
    ends = await send(url, requests(number, keys, seed=seed))
    done.set()
    return ends, await killing


def reconcile(environment: Mapping[str, str], provider: str) -> int:
    """Its exit code; it prints what it finds."""
    command = [sys.executable, "manage.py", "reconcile", "--upstream", f"{provider}/ledger"]
    return subprocess.run(command, env=dict(environment), cwd=ROOT, check=False).returncode  # noqa: S603 -- likewise


def shown(url: str, password: str, environment: Mapping[str, str]) -> int:
    """Whether the dashboard of the day says how many calls are of unknown outcome; 0 when it does.

    It prints what the page says.
    """
    command = [sys.executable, "manage.py", "reconcile", "--json"]
    done = subprocess.run(  # noqa: S603 -- likewise
        command, env=dict(environment), cwd=ROOT, capture_output=True, text=True, check=True
    )
    unknown = len(json.loads(done.stdout)["outcome_unknown"])
    with httpx.Client(base_url=url, timeout=30, follow_redirects=True) as browser:
        token = _found(
            r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get("/admin/login/").text
        )
        browser.post(
            "/admin/login/",
            data={"username": LOGIN, "password": password, "csrfmiddlewaretoken": token},
        )
        page = browser.get("/dashboard/?range=24h").raise_for_status().text
    paid, says = (
        _found(r"<h2>Paid</h2><p>([^<]+)", page),
        _found(r"<b>([\d,]+)</b> calls? to a provider ended with a killed worker", page),
    )
    print(
        f"dashboard  paid {paid} for requests with a plan; {says or 'no'} calls with outcome "
        f"unknown, {unknown:,} in the ledger"
    )
    return int((says or "0") != f"{unknown:,}")


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


if __name__ == "__main__":
    raise SystemExit(main())
