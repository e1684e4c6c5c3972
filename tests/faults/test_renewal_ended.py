"""A gateway that ends while it renews an expired answer:
told to stop, it finishes and records the bill; killed, it leaves a trace."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from gateway_project.embedded.processes import find_free_port
from tests.support.gateways import ROOT, Gateway, running_gateway
from tests.support.upstream import MockUpstream, running_upstream

LEDGER = """
SELECT (SELECT count(*) FROM stats_requestevent WHERE plan = 'p' AND status = 200),
  (SELECT coalesce(sum(attempts), 0) FROM stats_requestevent WHERE plan = 'p'), (SELECT count(*) FROM stats_upstreamattempt)
"""  # noqa: E501 -- SQL is laid out as it is read


def ledger(gateway: Gateway) -> tuple[int, ...]:
    """Requests recorded, their attempts, attempts of unknown outcome."""
    with psycopg.connect(gateway.environment["DATABASE_URL"]) as connection:
        return tuple(int(value) for value in connection.execute(LEDGER.encode()).fetchall()[0])


def renewing(gateway: Gateway, upstream: MockUpstream) -> None:
    """One answer was stored and has expired; it was served just now,
    and the provider takes two seconds for the new one."""
    plan = {"plan_name": "p", "cache": {"backend": None, "ttl": 1, "stale_while_revalidate": 600}}
    assert gateway.api("POST", "/token-saving/plans", json=plan).status_code == 201
    gateway.wait_plan("p")
    gateway.chat("Is it open?", token_saving_plan_id="p")
    time.sleep(1.5)
    upstream.pause = 2.0
    before = len(upstream.requests)
    assert (
        gateway.chat("Is it open?", token_saving_plan_id="p").headers["x-tokenthrift-stale"]
        == "revalidating"
    )
    deadline = time.monotonic() + 10
    while len(upstream.requests) == before and time.monotonic() < deadline:
        time.sleep(0.01)


def settled(gateway: Gateway, expected: tuple[int, ...], seconds: float = 60.0) -> tuple[int, ...]:
    deadline = time.monotonic() + seconds
    while (found := ledger(gateway)) != expected and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_told_to_stop_it_fetches_the_answer_and_records_its_bill(
    tmp_path: Path, workers: int
) -> None:
    with (
        running_upstream() as upstream,
        running_gateway(upstream, tmp_path, workers=workers) as gateway,
    ):
        begun = len(upstream.requests)
        renewing(gateway, upstream)
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(30) == 0
        assert ledger(gateway) == (2, 2, 0)
        assert len(upstream.requests) - begun == 2


def test_killed_it_leaves_one_attempt_of_unknown_outcome(tmp_path: Path) -> None:
    with running_upstream() as upstream, running_gateway(upstream, tmp_path) as gateway:
        begun = len(upstream.requests)
        renewing(gateway, upstream)
        gateway.process.kill()
        gateway.process.wait()
        again = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", str(find_free_port())],
            cwd=ROOT,
            env=gateway.environment,
        )
        try:
            recorded, attempts, unknown = settled(gateway, (1, 1, 1))
        finally:
            again.terminate()
            again.wait(30)
        assert recorded + unknown == 2
        assert attempts + unknown == len(upstream.requests) - begun == 2
