"""A step that takes long is reported, one that does not is not."""

import time

import pytest

from proxy.management import slow_steps
from proxy.management.slow_steps import report_slow_step


def test_a_quick_step_says_nothing() -> None:
    lines: list[str] = []
    with report_slow_step("Counting", write=lines.append):
        pass
    assert lines == []


def test_a_slow_step_says_what_it_does_how_far_it_is_and_how_long_it_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slow_steps, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(slow_steps, "REPEAT_SECONDS", 0.2)
    lines: list[str] = []
    with report_slow_step("Counting", usual="a minute", write=lines.append):
        deadline = time.monotonic() + 10
        while len(lines) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert lines[0] == "Counting (a minute) ..."
    assert lines[1] == "Counting: 0 s so far"
    assert lines[-1].startswith("Counting: done in ")


def test_a_step_that_fails_is_not_said_to_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_steps, "QUIET_SECONDS", 0.0)
    lines: list[str] = []
    with (
        pytest.raises(ValueError, match="no"),
        report_slow_step("Counting", write=lines.append),
    ):
        raise ValueError("no")
    assert not any("done" in line for line in lines)
