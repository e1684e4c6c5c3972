"""What processes of a test wrote, shown when it fails: the path of each log and its last lines.

The hooks are those of tests/conftest.py.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

LAST_LINES = 40
_running: list[Path] = []
_ended: list[Path] = []


@contextmanager
def shown_on_failure(log: Path) -> Iterator[None]:
    """A test that fails in the block, or at whose end the block ends, names this log."""
    _running.append(log)
    try:
        yield
    finally:
        _running.remove(log)
        _ended.append(log)


def pytest_runtest_logstart() -> None:
    """What ended before this test has nothing to say about it."""
    _ended.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, pytest.TestReport]:
    report: pytest.TestReport = yield
    if report.failed:
        report.sections += [
            (f"the last lines of {log}", last_lines(log)) for log in (*_running, *_ended)
        ]
    return report


def last_lines(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError as error:
        return f"(it cannot be read: {error})"
    return "\n".join(lines[-LAST_LINES:]) or "(it is empty)"
