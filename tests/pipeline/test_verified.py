"""`match: verified`: the verifier has the last word, the rules the first,
and without a verifier nothing is served on trust."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from plans.snapshot import CacheSettings
from plans.strictness import get_operating_points
from tests.support.fakes import FakeVerifier, World, ask, body, full_plan, restated

POINTS = get_operating_points().points


def near(world: World, stored: str) -> None:
    """Put another question behind the entry that is found for the one asked."""
    world.semantic.entries = {
        name: restated(entry, stored) for name, entry in world.semantic.entries.items()
    }


async def asked_near(world: World, asked: str, stored: str, **fields: Any) -> str:
    """How the second question is answered when the first is stored;
    both have one vector, as if the cosine saw no difference."""
    await ask(world, body(asked))
    near(world, stored)
    world.exact.entries.clear()
    return (await ask(world, body(asked.lower() + "?", **fields))).headers["x-tokenthrift-cache"]


async def test_the_verifier_decides_where_no_rule_objects_and_its_score_is_told() -> None:
    world = World(verifier=FakeVerifier(says=0.91))
    await ask(world, body("Where is the station"))
    near(world, "Where can the station be found")
    hit = await ask(world, body("where is the station?"))
    assert (hit.headers["x-tokenthrift-cache"], hit.headers["x-tokenthrift-score"]) == (
        "semantic",
        "0.91",
    )
    assert hit.headers["x-tokenthrift-similarity"] == "1.00"
    assert world.verifier.asked == [("where is the station?", "Where can the station be found")]
    assert world.event.score == 0.91


async def test_a_score_below_the_plans_threshold_is_a_miss_by_the_verifier() -> None:
    world = World(verifier=FakeVerifier(says=0.84))
    assert (
        await asked_near(world, "Where is the station", "Where can the station be found") == "miss"
    )
    assert (world.event.reason, world.event.score) == ("verifier", 0.84)


async def test_a_request_may_raise_the_threshold_of_the_score_and_never_lower_it() -> None:
    for wanted, score, outcome in (
        (0.95, 0.9, "miss"),
        (0.1, 0.84, "miss"),
        (0.1, 0.86, "semantic"),
    ):
        world = World(verifier=FakeVerifier(says=score))
        cache = {"similarity_threshold": wanted}
        assert (
            await asked_near(
                world, "Where is the station", "Where can the station be found", cache=cache
            )
            == outcome
        )


async def test_a_wider_name_serves_what_a_stricter_one_does_not() -> None:
    between = (POINTS["strict"].threshold + POINTS["balanced"].threshold) / 2
    found = {}
    for name in (*POINTS, None):
        cache = CacheSettings(strictness=name, similarity_threshold=0.99)
        world = World(plan=full_plan(cache=cache), verifier=FakeVerifier(says=between))
        found[name] = await asked_near(
            world, "Where is the station", "Where can the station be found"
        )
        raised = await asked_near(
            world,
            "How much is it",
            "What does it cost",
            cache={"similarity_threshold": between + 0.01},
        )
        assert raised == "miss"
    assert found == {"strict": "miss", "balanced": "semantic", "wide": "semantic", None: "miss"}


async def test_the_rules_come_first_and_save_the_verifier_the_work() -> None:
    world = World()
    assert await asked_near(world, "How do I enable 2FA", "How do I disable 2FA") == "miss"
    assert world.event.reason == "antonyms"
    assert world.verifier.asked == []


async def test_questions_far_below_the_threshold_by_cosine_are_looked_at_too() -> None:
    world = World()
    await ask(world, body("Where is the station"))
    ((name, entry),) = world.semantic.entries.items()
    aside = np.zeros_like(entry.vector)
    aside[np.argmin(np.abs(entry.vector))] = 1.0
    turned = 0.75 * entry.vector + np.sqrt(1 - 0.75**2) * aside
    world.semantic.entries[name] = replace(
        entry, vector=(turned / np.linalg.norm(turned)).astype(np.float32)
    )
    assert (await ask(world, body("where is the station?"))).headers[
        "x-tokenthrift-cache"
    ] == "semantic"
    strict = World(plan=full_plan(cache=CacheSettings(match="cosine")))
    await ask(strict, body("Where is the station"))
    ((key, other),) = strict.semantic.entries.items()
    strict.semantic.entries[key] = replace(other, vector=world.semantic.entries[name].vector)
    assert (await ask(strict, body("where is the station?"))).headers[
        "x-tokenthrift-cache"
    ] == "miss"


@pytest.mark.parametrize(
    "verifier",
    [FakeVerifier(down=True), FakeVerifier(hang=True), None],
    ids=["down", "hangs", "none"],
)
async def test_without_a_verifier_only_what_reads_the_same_is_served(
    verifier: FakeVerifier | None,
) -> None:
    world = World(verifier=verifier or FakeVerifier())
    if verifier is None:
        world.tools = replace(world.tools, verifier=None)
    assert (
        await asked_near(world, "Where is the station", "Where can the station be found") == "miss"
    )
    assert world.event.reason == "unverified"
    assert await asked_near(world, "How do I pay", "how do I PAY!") == "semantic"


async def test_a_cosine_plan_never_asks_the_verifier() -> None:
    world = World(
        plan=full_plan(cache=CacheSettings(match="cosine")), verifier=FakeVerifier(says=0.0)
    )
    assert await asked_near(world, "How do I pay", "how do I pay") == "semantic"
    assert world.verifier.asked == []
    assert world.event.score is None


async def test_what_cannot_be_seen_is_not_embedded() -> None:
    world = World()
    await ask(world, body("How do I p\u200bay my bi\u00adll"))
    assert world.embedder.texts == ["How do I pay my bill"]
