"""Mixed requests through two workers that are killed meanwhile:
settled and unknown together are what the provider's own books say."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import workers_of
from demo.workspace import ROOT
from evaluation.ledger import __main__ as ledger
from evaluation.ledger.accounts import PLANS
from evaluation.ledger.provider import providing
from tests.support.gateways import Gateway, running_gateway
from tests.support.upstream import MockUpstream

SECONDS = 40.0  # a new worker takes some to start and to adopt what the killed one left


def reconciled(gateway: Gateway, provider: str) -> dict[str, Any]:
    """What `reconcile` says once nothing waits any more."""
    deadline = time.monotonic() + SECONDS
    while True:
        command = [
            sys.executable,
            "manage.py",
            "reconcile",
            "--json",
            "--upstream",
            f"{provider}/ledger",
        ]
        done = subprocess.run(
            command, cwd=ROOT, env=gateway.environment, capture_output=True, text=True, check=False
        )
        found: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (0 if found["agrees"] else 1)
        waits = found["spooled_bytes"] + found["unfolded"] + found["in_flight"]
        if not waits or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def test_settled_and_unknown_are_what_the_provider_billed(tmp_path: Path) -> None:
    with (
        providing() as (provider, books),
        running_gateway(MockUpstream(), tmp_path, workers=2) as gateway,
    ):
        keys = ledger.accounts(gateway.environment, provider)
        for name, settings in PLANS.items():
            gateway.api(
                "POST", "/token-saving/plans", json={"plan_name": name, **settings}
            ).raise_for_status()
        gateway.let_others_follow()
        ends, killed = asyncio.run(
            ledger.under_fire(
                gateway.url,
                keys["virtual"],
                600,
                lambda: workers_of(gateway.process.pid),
                every=0.7,
                seed=3,
                most=3,
            )
        )
        found = reconciled(gateway, provider)
    assert killed >= 1
    assert ends["200 exact"] > 50
    assert ends["connection lost"] > 0
    assert len(books.books) > 200
    assert [check for check in found["checks"] if not check["holds"]] == []
    assert 0 < len(found["outcome_unknown"]) <= 24 * killed
    assert {row["upstream"] for row in found["outcome_unknown"]} == {"books"}
