"""An entry in memory is served only while nobody can have changed it unheard."""

import time

import pytest

from proxy.core.caching.envelope import Envelope
from proxy.core.caching.local_cache import Recent

ENTRY = Envelope(
    scope="s",
    plan_id=1,
    created_at=time.time(),
    expires_at=time.time() + 60,
    completion=b"{}",
    asked_tokens=3,
    question_tokens=2,
    completion_tokens=1,
)


@pytest.fixture
def recent() -> Recent:
    made = Recent(1024 * 1024)
    made.begin()
    return made


def read(recent: Recent, key: str) -> None:
    recent.expect(key)
    recent.keep(key, ENTRY)
    recent.settle(key)


def test_what_was_read_is_there_until_it_changes(recent: Recent) -> None:
    read(recent, "a")
    read(recent, "b")
    recent.forget(["a", "never-read"])
    assert (recent.get("a"), recent.get("b")) == (None, ENTRY)


def test_nothing_is_kept_while_nobody_tells_of_changes() -> None:
    recent = Recent(1024 * 1024)
    read(recent, "a")
    assert recent.get("a") is None


def test_all_is_gone_when_changes_may_have_been_missed(recent: Recent) -> None:
    read(recent, "a")
    recent.stop()
    assert recent.get("a") is None
    recent.begin()
    assert recent.get("a") is None


def test_an_entry_that_changed_while_it_was_read_is_not_kept(recent: Recent) -> None:
    recent.expect("a")
    recent.forget(["a"])
    recent.keep("a", ENTRY)
    assert recent.get("a") is None


def test_a_read_that_began_before_the_silence_is_not_kept(recent: Recent) -> None:
    recent.expect("a")
    recent.stop()
    recent.begin()
    recent.keep("a", ENTRY)
    assert recent.get("a") is None


def test_a_read_that_brought_nothing_leaves_no_trace(recent: Recent) -> None:
    recent.expect("a")
    recent.settle("a")
    recent.keep("a", ENTRY)
    assert recent.get("a") is None
