"""A test that fails names the logs of its processes."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FAILING = """
from pathlib import Path
import pytest
from tests.support.process_logs import shown_on_failure

FOLDER = Path(__file__).parent

@pytest.fixture(scope="module")
def server():
    log = FOLDER / "server.log"
    log.write_text("".join(f"line {number}.\\n" for number in range(100)))
    with shown_on_failure(log):
        yield

def test_an_own_process_that_has_ended():
    log = FOLDER / "own.log"
    with shown_on_failure(log):
        log.write_text("it ended early")
        assert False

def test_of_a_shared_process(server):
    assert False

def test_that_passes(server):
    pass
"""


def test_a_failing_test_names_the_logs_of_its_processes_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "test_failing.py").write_text(FAILING)
    plugins = ("-p", "no:xdist", "-p", "no:django", "-p", "tests.support.process_logs")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", *plugins, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    own, shared = done.stdout.split("__ test_of_a_shared_process __")
    assert f"the last lines of {tmp_path / 'own.log'}" in own
    assert "it ended early" in own
    assert "server.log" not in own
    assert f"the last lines of {tmp_path / 'server.log'}" in shared
    assert "line 99." in shared
    assert "line 60." in shared
    assert "line 59." not in shared
    assert "own.log" not in shared
    assert "2 failed, 1 passed" in done.stdout
