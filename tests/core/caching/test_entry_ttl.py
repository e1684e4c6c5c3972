"""How long an entry is fresh and how long it is kept."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from plans.snapshot import CacheSettings
from proxy.core.caching.entry_ttl import storage_ttl, ttl_with_jitter

KEYS = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(2000)]


def test_entries_written_at_once_expire_over_the_whole_of_the_jitter() -> None:
    cache = CacheSettings(ttl=3600, ttl_jitter=0.1)
    lives = [ttl_with_jitter(cache, key, None) for key in KEYS]
    assert 3240 <= min(lives) < 3245
    assert 3595 < max(lives) <= 3600
    most_in_a_second = max(lives.count(life) for life in set(lives))
    assert most_in_a_second < 25  # 2,000 over 360 seconds: 5.6 on average


@given(
    key=st.sampled_from(KEYS),
    ttl=st.integers(1, 2**31 - 1),
    jitter=st.floats(0, 0.5),
    asked=st.none() | st.integers(1, 31_536_000),
)
def test_no_entry_lives_longer_than_the_plan_or_the_request_says(
    key: str, ttl: int, jitter: float, asked: int | None
) -> None:
    life = ttl_with_jitter(CacheSettings(ttl=ttl, ttl_jitter=jitter), key, asked)
    assert 1 <= life <= min(ttl, asked or ttl)
    assert life >= min(0.499 * ttl, asked or ttl)
    assert life == ttl_with_jitter(CacheSettings(ttl=ttl, ttl_jitter=jitter), key, asked)


def test_what_a_request_asks_for_is_not_shortened() -> None:
    assert {ttl_with_jitter(CacheSettings(ttl=3600, ttl_jitter=0.5), key, 60) for key in KEYS} == {
        60
    }


def test_without_jitter_and_for_short_lives_the_plan_is_kept_to_the_second() -> None:
    assert {
        ttl_with_jitter(CacheSettings(ttl=3600, ttl_jitter=0.0), key, None) for key in KEYS
    } == {3600}
    assert {ttl_with_jitter(CacheSettings(ttl=9, ttl_jitter=0.1), key, None) for key in KEYS} == {9}


def test_an_entry_is_kept_for_as_long_as_it_may_be_served() -> None:
    assert storage_ttl(CacheSettings(stale_while_revalidate=30, stale_if_error=600), 60) == 660
    assert storage_ttl(CacheSettings(stale_while_revalidate=30), 60) == 90
    assert storage_ttl(CacheSettings(), 60) == 60
