"""The health check of a worker: short where waiting helps nobody."""

import multiprocessing
import signal
import time
from types import SimpleNamespace

import pytest
from uvicorn import Config

from gateway_project.serving.worker_supervisor import WorkerProcess

LONG = 30.0


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> WorkerProcess:
    """A worker that lives and never answers."""
    monkeypatch.setattr(WorkerProcess, "supervisor", None)
    worker = WorkerProcess(Config("nothing:here"), [])
    worker.process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    worker.process.start()
    return worker


def test_a_worker_that_dies_while_it_is_asked_is_gone_at_once(silent: WorkerProcess) -> None:
    silent.process.kill()
    begun = time.monotonic()
    assert silent._healthcheck(LONG) is None
    assert time.monotonic() - begun < 5


def test_a_signal_comes_before_the_answer(
    silent: WorkerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WorkerProcess, "supervisor", SimpleNamespace(signal_queue=[signal.SIGTERM]))
    begun = time.monotonic()
    # Not taken for dead, which would kill it without grace.
    assert silent._healthcheck(LONG) is True
    assert time.monotonic() - begun < 5
    silent.process.kill()


def test_a_worker_that_does_not_answer_in_time_is_given_up(silent: WorkerProcess) -> None:
    assert silent._healthcheck(0.5) is None
    silent.process.kill()


def test_one_that_answers_is_well(silent: WorkerProcess) -> None:
    silent.child_conn.send(True)
    assert silent._healthcheck(LONG) is True
    silent.process.kill()


def test_one_whose_answer_cannot_be_read_is_given_up(silent: WorkerProcess) -> None:
    silent.child_conn.send_bytes(b"\x80")  # as of a worker that was killed while it wrote
    silent.child_conn.send_bytes(b"garbage")
    assert silent._healthcheck(LONG) is None
    assert silent._healthcheck(LONG) is None
    silent.process.kill()
