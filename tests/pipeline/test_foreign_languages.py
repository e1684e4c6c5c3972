"""Questions in other languages are compared by meaning where a model of the operator's own reads
them, and only there."""

from dataclasses import replace
from typing import Literal

import pytest
from pytest_django import Settings

from plans.snapshot import CacheSettings
from proxy.conf import conf
from tests.support.fakes import FakeVerifier, World, ask, body, full_plan, restated

ASKED, OTHER = "Wie wechsle ich mein Passwort", "Wie wechsle ich mein Bild"
REPHRASED = "Auf welchem Weg kann ich ein anderes Kennwort setzen"


async def ask_near(world: World, stored: str) -> tuple[str, str]:
    """Ask while the other is stored with the same vector; the tier, and why it is a miss."""
    await ask(world, body(ASKED))
    world.semantic.entries = {
        name: restated(entry, stored) for name, entry in world.semantic.entries.items()
    }
    world.exact.entries.clear()
    await ask(world, body(f"{ASKED}?"))
    return world.event.tier, world.event.reason


@pytest.mark.parametrize("match", ["verified", "cosine"])
async def test_the_model_decides_what_the_rules_leave_open(
    match: Literal["verified", "cosine"],
) -> None:
    plan = full_plan(cache=CacheSettings(match=match))
    cases: tuple[tuple[dict[str, set[str]], str, tuple[str, str]], ...] = (
        ({match: {"de"}}, REPHRASED, ("semantic", "")),
        ({match: {"de"}}, OTHER, ("miss", "exchanged")),
        ({match: {"fr"}}, REPHRASED, ("miss", "language")),
        ({}, REPHRASED, ("miss", "language")),
    )
    for languages, stored, found in cases:
        world = World(plan=plan, verifier=FakeVerifier(says=0.9))
        world.tools = replace(world.tools, foreign_languages=languages)
        assert await ask_near(world, stored) == found


async def test_a_low_score_of_the_model_is_a_miss() -> None:
    world = World(verifier=FakeVerifier(says=0.5))
    world.tools = replace(world.tools, foreign_languages={"verified": {"de"}})
    assert await ask_near(world, REPHRASED) == ("miss", "verifier")


def test_each_match_needs_its_own_model(settings: Settings) -> None:
    settings.COMPARED_LANGUAGES = ["en", "de"]
    assert conf.foreign_languages == {"verified": frozenset(), "cosine": frozenset()}
    settings.VERIFIER = "/models/own"
    assert conf.foreign_languages == {"verified": {"de"}, "cosine": frozenset()}
    settings.EMBEDDER, settings.VERIFIER = "/models/own", "minilm"
    assert conf.foreign_languages == {"verified": frozenset(), "cosine": {"de"}}
