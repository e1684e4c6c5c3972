"""Under `match: verified` thresholds are learned from the verifier's scores,
above and below the plan's own."""

import time
from dataclasses import replace
from typing import Any

import pytest

from plans.snapshot import CacheSettings
from proxy.core.quality.cohort import derive_cohort
from stats.analysis.error_rate import Sample, Verdict
from stats.events import Event
from tests.support.fakes import FakeVerifier, World, ask, body, full_plan, restated


def verifying(verifier: FakeVerifier | None = None, **cache: Any) -> World:
    given: dict[str, Any] = {"max_error_rate": 0.05, "sample_rate": 1.0} | cache
    return World(plan=full_plan(cache=CacheSettings(**given)), verifier=verifier or FakeVerifier())


async def asked_near(world: World) -> str:
    """How a question is answered whose neighbour says it in other words."""
    await ask(world, body("Where is the station"))
    world.semantic.entries = {
        name: restated(entry, "Where can the station be found")
        for name, entry in world.semantic.entries.items()
    }
    world.exact.entries.clear()
    tier = (await ask(world, body("where is the station?"))).headers["x-tokenthrift-cache"]
    await world.tools.background_tasks.drain()
    return tier


def samples(world: World) -> list[Event]:
    return [event for event in world.ledger.events if event.tier == "sample"]


def terms(world: World) -> str:
    (plan,) = world.source.config.plans.values()
    assert plan.cache is not None
    return derive_cohort(plan.cache, world.tools.scorer_id)


def taught(world: World, *outcomes: tuple[float, Verdict, int], basis: str = "") -> None:
    """So many samples at a score, as the ledger would bring them in."""
    (plan,) = world.source.config.plans.values()
    rows = [(score, verdict) for score, verdict, count in outcomes for _ in range(count)]
    found = {
        f"{number}": Sample(time.time(), score, verdict)
        for number, (score, verdict) in enumerate(rows)
    }
    world.tools.error_budgets.load_samples(plan, basis or terms(world), 1, found)


DOWN: tuple[tuple[float, Verdict, int], ...] = (
    (0.83, "right", 80),
    (0.85, "right", 80),
    (0.95, "right", 80),
)
UP: tuple[tuple[float, Verdict, int], ...] = (
    (0.87, "wrong", 8),
    (0.87, "right", 20),
    (0.95, "right", 200),
)


@pytest.mark.parametrize(
    ("outcomes", "score", "tier"),
    [
        ((), 0.83, "miss"),
        ((), 0.87, "semantic"),
        (DOWN, 0.83, "semantic"),
        (DOWN, 0.81, "miss"),
        (UP, 0.87, "miss"),
        (UP, 0.93, "semantic"),
    ],
)
async def test_right_scores_below_lower_the_threshold_and_wrong_ones_raise_it(
    outcomes: tuple[tuple[float, Verdict, int], ...], score: float, tier: str
) -> None:
    world = verifying(FakeVerifier(says=score))
    taught(world, *outcomes)
    assert await asked_near(world) == tier


async def test_a_sample_counts_by_its_score_not_by_its_cosine() -> None:
    world = verifying(FakeVerifier(says=0.91))
    assert await asked_near(world) == "semantic"
    (book,) = world.tools.error_budgets._samples_by_tier.values()
    assert [(sample.score, sample.verdict) for sample in book.samples.values()] == [(0.91, "right")]
    (found,) = samples(world)
    assert found.score == 0.91
    assert found.similarity == pytest.approx(1.0)


async def test_what_stays_a_little_below_is_compared_by_its_score() -> None:
    world = verifying(FakeVerifier(says=0.78))
    assert await asked_near(world) == "miss"
    (found,) = samples(world)
    assert (found.score, found.would, found.attempts) == (0.78, "", 0)


async def test_the_most_that_a_pair_could_reach_is_not_taken_for_its_score() -> None:
    """The verifier saves itself the work for what cannot be served.

    Where thresholds are learned, that would be evidence of a number that nobody measured.
    """
    world = verifying(FakeVerifier(says=0.3, most=0.8))
    assert await asked_near(world) == "miss"
    assert not samples(world)
    near = verifying(FakeVerifier(says=0.77, most=0.8))
    assert await asked_near(near) == "miss"
    assert [found.score for found in samples(near)] == [0.77]


async def test_without_a_budget_no_more_is_scored_than_decides() -> None:
    world = verifying(FakeVerifier(says=0.3, most=0.8), max_error_rate=None)
    assert await asked_near(world) == "miss"
    assert world.event.score == 0.8


async def test_samples_of_another_verifier_or_embedder_do_not_count() -> None:
    before = verifying()
    other_verifier, other_embedder = (
        verifying(FakeVerifier(id="newer", says=0.83)),
        verifying(FakeVerifier(says=0.83)),
    )
    other_embedder.embedder.id = "other@8"
    for world in (other_verifier, other_embedder):
        assert terms(world) != terms(before)
        taught(world, *DOWN, basis=terms(before))
        assert await asked_near(world) == "miss"


async def test_wrong_scores_turn_the_tier_off_for_this_verifier_alone() -> None:
    world = verifying(FakeVerifier(says=0.99))
    taught(world, (0.99, "wrong", 9))
    assert await asked_near(world) == "miss"
    assert world.ledger.events[-2].reason == "error-budget"
    newer = replace(world.tools, verifier=FakeVerifier(id="newer"))
    (plan,) = world.source.config.plans.values()
    assert plan.cache is not None
    assert not newer.error_budgets.tier_state(
        plan, derive_cohort(plan.cache, newer.scorer_id), 1
    ).off_reason
