"""What words alone tell to be hopeless costs neither its envelope nor the rules nor the verifier;
and nothing that could be served is taken for it."""

from dataclasses import replace
from typing import Any

import pytest

from plans.snapshot import CacheSettings
from proxy.core.errors import ToolUnavailable
from proxy.core.sealing import Sealer
from proxy.pipeline import chain
from proxy.pipeline.call import CandidateVerdict
from proxy.pipeline.question_matching import find_hopeless
from tests.support.fakes import FakeVerifier, World, ask, body, full_plan, restated

ASKED, REPHRASED = "Where is the station", "Where can the station be found"
# A rule objects to it.
REJECTED = ("How do I approve the second request", "How do I approve the third request")


async def answered(
    asked: str, stored: str, *, plan: CacheSettings | None = None, broken: bool = False, **says: Any
) -> tuple[World, tuple[CandidateVerdict, ...]]:
    """Ask while the other is stored, with one vector for both; what was found of the candidate.

    `broken`: the stored envelope is none that we sealed.
    """
    world = World(plan=full_plan(cache=plan or CacheSettings()), verifier=FakeVerifier(**says))
    world.tools = replace(world.tools, sealer=Sealer("pepper"))
    world.embedder.same = True
    await ask(world, body(asked))
    ((name, entry),) = world.semantic.entries.items()
    other = restated(entry, stored)
    world.semantic.entries[name] = replace(other, envelope=b"planted") if broken else other
    world.exact.entries.clear()
    call = await chain.run(world.call(body(f"{asked}?")), world.tools)
    return world, call.candidate_verdicts


async def test_a_bound_below_the_threshold_is_a_miss_by_words_and_nobody_else_is_asked() -> None:
    for asked, stored in ((ASKED, REPHRASED), REJECTED):
        world, (found,) = await answered(asked, stored, most=0.84)
        assert (found.reason, found.score) == ("words", 0.84)
        assert found.similarity == pytest.approx(1.0)
        assert (world.event.tier, world.event.reason, world.event.score) == ("miss", "words", 0.84)
        assert world.verifier.asked == []
        assert world.event.failures == ()


async def test_a_bound_at_the_threshold_leaves_it_to_the_rules_and_the_verifier() -> None:
    _, (found,) = await answered(*REJECTED, most=0.85)
    assert (found.reason, found.score) == ("numbers", None)
    world, (found,) = await answered(ASKED, REPHRASED, most=0.85, says=0.2)
    assert (found.reason, found.score) == ("verifier", 0.2)
    assert world.verifier.asked == [(f"{ASKED}?", REPHRASED)]
    world, (found,) = await answered(ASKED, REPHRASED, most=0.85, says=0.9)
    assert (found.reason, world.event.tier) == ("", "semantic")


async def test_the_envelope_of_what_is_hopeless_is_not_opened() -> None:
    world, (found,) = await answered(ASKED, REPHRASED, broken=True, most=0.1)
    assert found.reason == "words"
    assert world.tools.sealer.refusals.counts == {}
    assert len(world.semantic.entries) == 2  # nor is it removed: who could tell that it is broken?
    world, (found,) = await answered(ASKED, REPHRASED, broken=True, most=1.0)
    assert found.reason == "foreign"
    assert world.tools.sealer.refusals.counts == {"pgvector_semantic": 1}


@pytest.mark.parametrize(
    "stored", ["where is the STATION!", "Where is the statoin", "Where's the station"]
)
async def test_an_equivalent_question_is_served_though_its_bound_is_low(stored: str) -> None:
    world, (found,) = await answered(ASKED, stored, most=0.0, says=0.0)
    assert (found.reason, found.score, world.event.tier) == ("", 1.0, "semantic")
    assert world.verifier.asked == []


async def test_what_is_hopeless_does_not_stand_in_the_way_of_the_next() -> None:
    world = World(verifier=FakeVerifier(most=0.0))
    world.embedder.same = True
    for question in (ASKED, "How much is a ticket", "Which platform is it"):
        await ask(world, body(question))
    call = await chain.run(world.call(body("where is the station?")), world.tools)
    assert call.tier == "semantic"
    assert {each.reason for each in call.candidate_verdicts} <= {"words", ""}
    assert world.event.reason == ""


async def test_without_a_verifier_nothing_is_hopeless() -> None:
    world = World(verifier=FakeVerifier(most=0.0))
    asked = (f"{ASKED}?", REPHRASED)
    assert await find_hopeless(*asked, world.tools, threshold=0.85) is not None
    alone = replace(world.tools, verifier=None)
    assert await find_hopeless(*asked, alone, threshold=0.85) is None
    world.tools = alone
    world.embedder.same = True
    await ask(world, body(REPHRASED))
    await ask(world, body(ASKED))
    assert (world.event.tier, world.event.reason) == ("miss", "unverified")


async def test_a_verifier_whose_words_are_missing_finds_nothing_hopeless() -> None:
    world = World()

    async def missing(asked: str, stored: str, *, tenant: int | None = None) -> float:
        raise ToolUnavailable("verifier", "not exported")

    world.verifier.bound_score = missing  # type: ignore[method-assign]
    assert await find_hopeless(ASKED, REPHRASED, world.tools, threshold=0.85) is None


async def test_where_cosines_decide_no_bound_is_asked_for() -> None:
    """The same pair is served by its cosine that words would call hopeless."""
    synonyms = ("How do children pay", "How do kids pay")
    found = {}
    for plan in (CacheSettings(match="cosine"), CacheSettings(match="verified")):
        _, (verdict,) = await answered(*synonyms, plan=plan, most=0.0)
        found[plan.match] = (verdict.reason, verdict.score)
    assert found == {"cosine": ("", None), "verified": ("words", 0.0)}


async def test_a_request_that_raises_the_threshold_makes_more_hopeless() -> None:
    for raised, reason in ((0.9, "verifier"), (0.97, "words")):
        world = World(verifier=FakeVerifier(says=0.5, most=0.95))
        world.embedder.same = True
        await ask(world, body(REPHRASED))
        await ask(world, body(ASKED, cache={"similarity_threshold": raised}))
        assert world.event.reason == reason


async def test_the_question_of_a_chat_is_compared_whatever_was_said_before() -> None:
    cache = CacheSettings(context="window")
    for most, reason in ((0.5, "words"), (1.0, "verifier")):
        world = World(plan=full_plan(cache=cache), verifier=FakeVerifier(says=0.0, most=most))
        world.embedder.same = True
        await ask(world, body(REPHRASED, history=2))
        await ask(world, body(ASKED, history=2))
        assert (world.event.tier, world.event.reason) == ("miss", reason)
    # Thanks said first are no part of the question.
    world = World(plan=full_plan(cache=cache), verifier=FakeVerifier(most=0.0))
    world.embedder.same = True
    await ask(world, body(f"Thanks for the help. {ASKED}?", history=2))
    await ask(world, body(ASKED, history=2))
    assert world.event.tier == "semantic"
