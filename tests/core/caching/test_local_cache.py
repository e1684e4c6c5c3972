"""An entry in memory is served only while nobody can have changed it unheard."""

import time

import pytest

from proxy.core.caching.envelope import Envelope
from proxy.core.caching.local_cache import LocalCache

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
def recent() -> LocalCache:
    made = LocalCache(1024 * 1024)
    made.start_invalidations()
    return made


def read(recent: LocalCache, key: str) -> None:
    recent.begin_read(key)
    recent.store_answer(key, ENTRY)
    recent.end_read(key)


def test_what_was_read_is_there_until_it_changes(recent: LocalCache) -> None:
    read(recent, "a")
    read(recent, "b")
    recent.invalidate_keys(["a", "never-read"])
    assert (recent.get("a"), recent.get("b")) == (None, ENTRY)


def test_nothing_is_kept_while_nobody_tells_of_changes() -> None:
    recent = LocalCache(1024 * 1024)
    read(recent, "a")
    assert recent.get("a") is None


def test_all_is_gone_when_changes_may_have_been_missed(recent: LocalCache) -> None:
    read(recent, "a")
    recent.stop_invalidations()
    assert recent.get("a") is None
    recent.start_invalidations()
    assert recent.get("a") is None


def test_an_entry_that_changed_while_it_was_read_is_not_kept(recent: LocalCache) -> None:
    recent.begin_read("a")
    recent.invalidate_keys(["a"])
    recent.store_answer("a", ENTRY)
    assert recent.get("a") is None


def test_a_read_that_began_before_the_silence_is_not_kept(recent: LocalCache) -> None:
    recent.begin_read("a")
    recent.stop_invalidations()
    recent.start_invalidations()
    recent.store_answer("a", ENTRY)
    assert recent.get("a") is None


def test_a_read_that_brought_nothing_leaves_no_trace(recent: LocalCache) -> None:
    recent.begin_read("a")
    recent.end_read("a")
    recent.store_answer("a", ENTRY)
    assert recent.get("a") is None
