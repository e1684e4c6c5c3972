"""Stopped under load, a gateway finishes what it began and forgets nothing;
killed, it leaves a trace of what it had begun."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import psycopg
import pytest

from gateway_project.embedded.processes import find_free_port
from tests.support.gateways import ROOT, Gateway, running_gateway
from tests.support.upstream import MockUpstream, running_upstream

EVENTS = "SELECT count(*) FROM stats_requestevent WHERE plan = 'p' AND status = 200"
UNKNOWN = "SELECT count(*) FROM stats_upstreamattempt"


def stream_in_background(gateway: Gateway, texts: list[str]) -> threading.Thread:
    def ask() -> None:
        try:
            texts.append(gateway.chat("A slow one?", stream=True, token_saving_plan_id="p").text)
        except httpx.TransportError as error:
            texts.append(type(error).__name__)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def count(gateway: Gateway, query: str) -> int:
    with psycopg.connect(gateway.environment["DATABASE_URL"]) as connection:
        row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


def prepared(gateway: Gateway, upstream: MockUpstream) -> None:
    """A plan, and an upstream whose streams take a second and a half."""
    gateway.api("POST", "/token-saving/plans", json={"plan_name": "p", "cache": {"backend": None}})
    gateway.wait_plan("p")
    upstream.pause = 0.5


def wait_begun(upstream: MockUpstream, before: int) -> None:
    """Return once a request more has reached the upstream,
    whose stream then takes another second."""
    deadline = time.monotonic() + 20
    while len(upstream.requests) == before:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stream_is_finished_and_counted_before_the_gateway_stops(
    tmp_path: Path, workers: int
) -> None:
    with (
        running_upstream() as upstream,
        running_gateway(upstream, tmp_path, workers=workers) as gateway,
    ):
        prepared(gateway, upstream)
        before, asked, texts = count(gateway, EVENTS), len(upstream.requests), list[str]()
        thread = stream_in_background(gateway, texts)
        wait_begun(upstream, asked)
        gateway.process.send_signal(signal.SIGTERM)
        thread.join()
        assert gateway.process.wait(30) == 0
        assert "[DONE]" in texts[0]
        assert count(gateway, EVENTS) == before + 1


def test_a_killed_gateway_leaves_a_trace_that_the_next_one_finds(tmp_path: Path) -> None:
    with running_upstream() as upstream, running_gateway(upstream, tmp_path) as gateway:
        prepared(gateway, upstream)
        assert (
            gateway.chat("counted", cache={"no-store": True}, token_saving_plan_id="p").status_code
            == 200
        )
        before, texts = len(upstream.requests), list[str]()
        (killed,) = (tmp_path / "spool").glob("*.jsonl")
        thread = stream_in_background(gateway, texts)
        wait_begun(upstream, before)
        gateway.process.kill()
        gateway.process.wait()
        thread.join()
        assert len(upstream.requests) == before + 1
        assert "[DONE]" not in texts[0]
        again = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", str(find_free_port())],
            cwd=ROOT,
            env=gateway.environment,
        )
        try:
            deadline = time.monotonic() + 20
            while (killed.exists() or count(gateway, UNKNOWN) < 1) and time.monotonic() < deadline:
                time.sleep(0.2)
        finally:
            again.terminate()
            again.wait(30)
        assert count(gateway, UNKNOWN) == 1
        assert not killed.exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_answer_that_takes_longer_than_a_stop_may_is_booked_as_of_unknown_cost(
    tmp_path: Path, workers: int
) -> None:
    seconds = 2
    with (
        running_upstream() as upstream,
        running_gateway(
            upstream, tmp_path, workers=workers, TOKENTHRIFT_SHUTDOWN_SECONDS="2"
        ) as gateway,
    ):
        prepared(gateway, upstream)
        upstream.pause = 60.0
        asked, replies = len(upstream.requests), list[str]()

        def ask() -> None:
            try:
                replies.append(str(gateway.chat("Think.", token_saving_plan_id="p").status_code))
            except httpx.TransportError as error:
                replies.append(type(error).__name__)

        thread = threading.Thread(target=ask)
        thread.start()
        wait_begun(upstream, asked)
        begun = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(40) == 0
        assert seconds - 0.5 <= time.monotonic() - begun < seconds + 20
        thread.join()
        query = (
            "SELECT tenant, plan, bill, billed_cost, prompt_tokens > 0 FROM stats_requestevent "
            "WHERE bill = 'unknown'"
        )
        with psycopg.connect(gateway.environment["DATABASE_URL"]) as connection:
            rows = connection.execute(query).fetchall()
        assert [row[1:] for row in rows] == [("p", "unknown", None, True)]
        assert rows[0][0]
        assert count(gateway, UNKNOWN) == 0
