"""Roll-ups against the requests they were made of, in the real database."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from stats.analysis.latency_buckets import BUCKETS_PER_DECADE, compute_percentiles
from stats.events import Event
from stats.models.rollups import FULL_CUT, PLAN_CUT, Rollup, Tally
from stats.reports.rollup_query import RollupQuery
from stats.reports.totals import compute_totals
from stats.time_grains import DAY, HOUR, MINUTE
from tests.support.events import make_event
from tests.support.recorded import store

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def some(number: int, *, seed: int) -> list[Event]:
    """Requests of all kinds over three days."""
    dice = random.Random(seed)
    return [
        make_event(
            at=(NOON + timedelta(seconds=dice.uniform(0, 3 * 86_400))).timestamp(),
            tenant_id=dice.choice([1, 2]),
            plan_id=dice.choice([1, 2, None]),
            key_id=dice.choice([1, 2, None]),
            model=dice.choice(["gpt-4o-mini", "gpt-4o"]),
            tier=dice.choice(["exact", "semantic", "miss", "bypass", "sample"]),
            status=dice.choice([200, 200, 502]),
            outcome=dice.choice(["ok", "ok", "cut"]),
            shadow=dice.random() < 0.2,
            would=dice.choice(["", "exact", "semantic"]),
            billed_cost=dice.choice([None, Decimal(dice.randrange(10**6)) / 10**12]),
            spent_cost=Decimal(dice.randrange(10)) / 10**6,
            tokens_saved=dice.randrange(-50, 500),
            duration_ms=dice.uniform(1, 900),
            failures=dice.choice([(), ("exact",), ("exact", "embedder")]),
        )
        for _ in range(number)
    ]


@pytest.mark.parametrize("grain", [MINUTE, HOUR, DAY])
@pytest.mark.parametrize("cut", [PLAN_CUT, FULL_CUT])
def test_every_grain_and_cut_holds_each_request_once(grain: str, cut: str) -> None:
    events = some(400, seed=7)
    # The last ones again: they are there already.
    for batch in (events[:150], events[150:], events[:20]):
        store(*batch)
    rows = Rollup.objects.filter(grain=grain, cut=cut)
    assert sum(row.requests for row in rows) == 400
    assert sum(row.tokens_saved for row in rows) == sum(event.tokens_saved for event in events)
    priced = [event for event in events if event.billed_cost is not None]
    assert sum(row.priced for row in rows) == len(priced)
    assert sum(row.would_cost for row in rows) == sum(event.would_cost or 0 for event in priced)
    assert sum(row.requests for row in rows if row.kind == "counted") == sum(
        event.is_counted for event in events
    )


@pytest.mark.parametrize("column", ["tenant_id", "plan_id", "key_id", "model"])
def test_sums_by_each_column_are_those_of_the_requests(column: str) -> None:
    events = some(200, seed=8)
    store(*events)
    kept = [event for event in events if event.plan_id is not None]
    for value in {getattr(event, column) for event in kept} - {None}:
        found = compute_totals(RollupQuery(**{column: value}))
        mine = [event for event in kept if getattr(event, column) == value]
        assert found.requests == sum(event.is_counted for event in mine)
        hits = [event for event in mine if event.is_counted and event.tier in {"exact", "semantic"}]
        assert found.hits == len(hits)


def test_a_period_is_read_from_few_roll_ups_and_whole() -> None:
    events = some(300, seed=9)
    store(*events)
    start, end = NOON + timedelta(minutes=97), NOON + timedelta(days=2, minutes=629)
    kept = [
        event
        for event in events
        if event.plan_id is not None and start.timestamp() <= event.at < end.timestamp()
    ]
    rows = RollupQuery(start=start, end=end).query_rollups()
    assert sum(row.requests for row in rows) == len(kept)
    assert {row.grain for row in rows} == {MINUTE, HOUR, DAY}
    assert {row.grain for row in RollupQuery(start=NOON).query_rollups()} == {HOUR, DAY}
    assert {
        row.grain
        for row in RollupQuery(start=NOON, end=datetime.now(UTC) + timedelta(days=9)).query_rollups(
            grain=HOUR
        )
    } == {HOUR}


def test_a_period_holds_what_was_made_in_it() -> None:
    store(*(make_event(at=(NOON + timedelta(hours=hour)).timestamp()) for hour in range(-2, 3)))
    assert compute_totals(RollupQuery(start=NOON)).requests == 3
    assert compute_totals(RollupQuery(start=NOON, end=NOON + timedelta(hours=1))).requests == 1
    assert compute_totals(RollupQuery(end=NOON)).requests == 2


def test_words_are_tallied_by_hour_and_day() -> None:
    store(
        *(
            make_event(reason="negation", failures=("exact",), at=NOON.timestamp() + 1800 * number)
            for number in range(4)
        )
    )
    found = Counter(
        (row.grain, row.what) for row in Tally.objects.filter(word__in=("negation", "exact"))
    )
    assert found == {
        (HOUR, "reason"): 2,
        (HOUR, "failure"): 2,
        (DAY, "reason"): 1,
        (DAY, "failure"): 1,
    }


def test_names_are_those_of_the_newest() -> None:
    for name in ("desk", "help desk"):
        store(make_event(plan=name, at=NOON.timestamp()))
    assert set(Rollup.objects.values_list("plan", flat=True)) == {"help desk"}


@pytest.mark.parametrize("seed", range(3))
def test_percentiles_are_three_percent_off_at_most(seed: int) -> None:
    dice = random.Random(seed)
    durations = sorted(dice.lognormvariate(4, 1.5) for _ in range(5_000))
    store(*(make_event(duration_ms=value) for value in durations))
    median, high = compute_totals(RollupQuery()).miss_ms or []
    assert median == pytest.approx(durations[2_500], rel=0.03)
    assert high == pytest.approx(durations[4_950], rel=0.03)


def test_percentiles_of_nothing_and_of_one() -> None:
    assert compute_percentiles({}) is None
    (one,) = compute_percentiles({BUCKETS_PER_DECADE: 1}, (0.5,)) or []
    assert one == pytest.approx(10, rel=0.03)
