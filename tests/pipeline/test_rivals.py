"""Where two stored questions fit about as well and have different answers, neither is served."""

import math
from dataclasses import replace
from typing import Any

import orjson
import pytest

from plans.snapshot import CacheSettings
from proxy.pipeline import chain
from proxy.pipeline.call import Call
from proxy.pipeline.rival_answers import compute_rival_score
from tests.support.entries import decode, encode
from tests.support.fakes import (
    FakeVerifier,
    World,
    ask,
    body,
    completion,
    full_plan,
)

ASKED = "Where is the station"
NEAR, NEXT = "Where can the station be found", "Where does one find the station"
LEFT, RIGHT = "It is on the left.", "It is on the right."


async def remember(world: World, question: str, answer: str, **fields: Any) -> None:
    """Let the provider answer a question that nothing stored resembles yet."""
    world.upstream.says = completion(answer)
    scores, world.verifier.scores = world.verifier.scores, {}
    says, world.verifier.says = world.verifier.says, 0.0
    await ask(world, body(question, **fields))
    world.verifier.scores, world.verifier.says = scores, says


async def open_world(
    scores: dict[str, float], answers: dict[str, str], *, cache: CacheSettings | None = None
) -> World:
    """A cache that holds these questions, all found as near, with these answers and scores."""
    world = World(
        plan=full_plan(cache=cache or CacheSettings()),
        verifier=FakeVerifier(says=0.0, scores=scores),
    )
    world.embedder.same = True
    for question, answer in answers.items():
        await remember(world, question, answer)
    return world


async def look_up(world: World) -> Call:
    return await chain.run(world.call(body(f"{ASKED}?")), world.tools)


async def test_of_two_answers_that_fit_as_well_neither_is_served() -> None:
    for scores in ({NEAR: 0.88, NEXT: 0.87}, {NEAR: 0.87, NEXT: 0.88}, {NEAR: 0.86, NEXT: 0.83}):
        world = await open_world(scores, {NEAR: LEFT, NEXT: RIGHT})
        call = await look_up(world)
        assert (call.tier, world.event.reason) == ("miss", "rival")
        assert {each.reason for each in call.candidate_verdicts} <= {"rival", "verifier"}


@pytest.mark.parametrize(
    ("first", "second", "tier"),
    [
        (LEFT, LEFT, "semantic"),
        ("The fee is $5 a month.", "You pay a fee of $5 each month.", "semantic"),
        ("The fee is $5 a month.", "The fee is $8 a month.", "miss"),
        ("Yes, it is.", "No, it is not.", "miss"),
        ("- It is there.", "It is there.", "semantic"),
    ],
)
async def test_answers_that_say_the_same_confirm_each_other(
    first: str, second: str, tier: str
) -> None:
    world = await open_world({NEAR: 0.88, NEXT: 0.87}, {NEAR: first, NEXT: second})
    assert (await look_up(world)).tier == tier


async def test_answers_about_different_things_are_rivals_though_no_rule_tells_them_apart() -> None:
    world = await open_world({NEAR: 0.88, NEXT: 0.87}, {NEAR: LEFT, NEXT: "Ask the guard."})
    world.embedder.same = False  # the answers' vectors are far apart
    asked = await world.embedder.embed(f"{ASKED}?")
    world.semantic.entries = {
        name: replace(each, vector=asked) for name, each in world.semantic.entries.items()
    }
    assert (await look_up(world)).tier == "miss"
    assert world.event.reason == "rival"


@pytest.mark.parametrize(
    ("score", "rival", "tier"),
    [
        (0.86, 0.7, "semantic"),
        (0.99, 0.9, "semantic"),
        (0.93, 0.92, "semantic"),
        (0.9, 0.9, "miss"),
    ],
)
async def test_the_better_a_candidate_fits_the_nearer_a_rival_must_be(
    score: float, rival: float, tier: str
) -> None:
    world = await open_world({NEAR: score, NEXT: rival}, {NEAR: LEFT, NEXT: RIGHT})
    assert (await look_up(world)).tier == tier


async def test_what_could_not_be_served_itself_is_no_rival() -> None:
    for change in ({"expires_at": 1.0}, {"scope": "another"}):
        world = await open_world({NEAR: 0.88, NEXT: 0.87}, {NEAR: LEFT, NEXT: RIGHT})
        world.semantic.entries = {
            name: replace(each, envelope=encode(replace(decode(each.envelope), **change)))
            if each.question == NEXT
            else each
            for name, each in world.semantic.entries.items()
        }
        assert (await look_up(world)).tier == "semantic", change


async def test_a_question_that_a_rule_tells_apart_is_no_rival() -> None:
    other = "Where is the station not"
    world = await open_world({NEAR: 0.88, other: 0.9}, {NEAR: LEFT, other: RIGHT})
    call = await look_up(world)
    assert call.tier == "semantic"


async def test_a_neighbour_that_cannot_be_read_in_time_may_be_a_rival() -> None:
    world = await open_world({NEAR: 0.88}, {NEAR: LEFT, NEXT: RIGHT})

    async def score(asked: str, stored: list[str], **options: Any) -> list[float]:
        if stored == [NEXT]:
            world.verifier.down = True
        return await FakeVerifier.score_questions(world.verifier, asked, stored, **options)

    world.verifier.score_questions = score  # type: ignore[assignment,method-assign]
    call = await look_up(world)
    assert call.tier == "miss"


async def test_an_equivalent_question_has_no_rival() -> None:
    world = await open_world({NEXT: 0.99}, {"where is the STATION": LEFT, NEXT: RIGHT})
    assert (await look_up(world)).tier == "semantic"


async def test_an_equivalent_question_has_no_rival_while_nobody_can_score() -> None:
    answers = {"where is the STATION": LEFT, NEXT: RIGHT}
    world = await open_world({}, answers)
    world.tools = replace(world.tools, verifier=None)
    assert (await look_up(world)).tier == "semantic"


async def test_of_two_equivalent_questions_the_nearest_is_served() -> None:
    world = await open_world({}, {"where is the STATION": LEFT})
    other = next(iter(world.semantic.entries.values()))
    envelope = replace(
        decode(other.envelope),
        entry_id="another",
        question="Where is the station!",
        completion=orjson.dumps(completion(RIGHT)),
    )
    world.semantic.entries["another"] = replace(
        other, entry_id="another", question=envelope.question, envelope=encode(envelope)
    )
    call = await look_up(world)
    assert call.tier == "semantic"
    assert [each.entry_id for each in call.candidate_verdicts] == [other.entry_id]


async def test_an_answer_given_within_a_chat_is_no_rival() -> None:
    world = await open_world(
        {NEAR: 0.88, NEXT: 0.87}, {NEAR: LEFT}, cache=CacheSettings(context="last_message")
    )
    await remember(world, NEXT, RIGHT, history=2)
    assert len(world.semantic.entries) == 2
    assert (await look_up(world)).tier == "semantic"


async def test_where_cosines_decide_there_are_no_rivals() -> None:
    world = await open_world({}, {NEAR: LEFT}, cache=CacheSettings(match="cosine"))
    await remember(world, "How much is it to park there", RIGHT)
    assert (await look_up(world)).tier == "semantic"


def test_what_a_rival_needs() -> None:
    assert compute_rival_score(1.0, 0.85) == math.inf
    assert compute_rival_score(0.85, 0.85) == pytest.approx(0.775, abs=0.001)
    assert compute_rival_score(0.92, 0.85) > 0.92
    assert 0.8 < compute_rival_score(0.87, 0.85) < 0.87
    assert compute_rival_score(0.9, 1.0) < 0.9
    assert 0 <= compute_rival_score(0.0, 0.0) <= 1
