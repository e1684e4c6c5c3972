"""Periods as spans of roll-ups."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from stats.time_grains import (
    DAY,
    GRAIN_LENGTHS,
    HOUR,
    MINUTE,
    GrainSpan,
    ceil_to_grain,
    floor_to_grain,
    split_into_spans,
)

BASE = datetime(2026, 3, 4, tzinfo=UTC)
MINUTES = st.integers(0, 200_000).map(lambda minutes: BASE + timedelta(minutes=minutes))


@given(MINUTES, MINUTES, st.sampled_from([MINUTE, HOUR, DAY]))
def test_spans_tile_the_period_with_few_roll_ups(
    one: datetime, other: datetime, grain: str
) -> None:
    start, end = sorted((one, other))
    found = split_into_spans(start, end, grain)
    ends = [start, *(span.end for span in found)]
    assert [span.start for span in found] == ends[:-1]
    assert ends[-1] == end
    rows = dict.fromkeys(GRAIN_LENGTHS, 0.0)
    for span in found:
        assert span.start is not None
        assert span.end is not None
        assert span.start == floor_to_grain(span.start, span.grain)
        rows[span.grain] += (span.end - span.start) / GRAIN_LENGTHS[span.grain]
    assert rows[MINUTE] <= 118 or grain == MINUTE
    assert rows[HOUR] <= 46 or grain == HOUR


def test_open_ends_are_whole_days() -> None:
    assert split_into_spans(None, None) == [GrainSpan(DAY, None, None)]
    half_past = BASE + timedelta(hours=1, minutes=30)
    first, second, days = split_into_spans(half_past, None)
    assert (first.grain, second.grain, days) == (
        MINUTE,
        HOUR,
        GrainSpan(DAY, BASE + timedelta(days=1), None),
    )
    assert [span.grain for span in split_into_spans(None, half_past)] == [DAY, HOUR, MINUTE]


def test_an_empty_period_has_an_empty_span() -> None:
    assert split_into_spans(BASE, BASE) == [GrainSpan(MINUTE, BASE, BASE)]


@given(MINUTES, st.sampled_from([MINUTE, HOUR, DAY]))
def test_the_ends_around_a_time(at: datetime, grain: str) -> None:
    assert floor_to_grain(at, grain) <= at <= ceil_to_grain(at, grain)
    assert ceil_to_grain(at, grain) - floor_to_grain(at, grain) in {
        timedelta(0),
        GRAIN_LENGTHS[grain],
    }
