"""Where a verifier decides, word vectors find the entries; where cosines decide, the model's:
each plan looks where it stores, and nowhere else."""

from dataclasses import replace
from typing import Any

import pytest

from plans.snapshot import CacheSettings
from proxy.core.config import FeedbackPenalties, FeedbackPenalty
from proxy.pipeline.call import evolve
from proxy.pipeline.explain import Explanation, explain_request
from proxy.pipeline.toolbox import SemanticIndex
from tests.support.fakes import FakeEmbedder, FakeSemantic, World, ask, body, full_plan

NAME = "pgvector_semantic"


class TwoIndexes(World):
    """A world whose toolbox has an index of words beside the model's."""

    def __init__(self, **cache: Any) -> None:
        super().__init__(plan=full_plan(cache=CacheSettings(**cache)))
        self.words = FakeEmbedder(id="words@4", dimension=4)
        self.by_words = FakeSemantic()
        self.tools = replace(
            self.tools, word_index=SemanticIndex(self.words, {NAME: self.by_words})
        )

    def follow(self, **cache: Any) -> None:
        """The same gateway after the plan was changed."""
        plan = full_plan(cache=CacheSettings(**cache))
        self.source.config = replace(self.source.config, plans={(plan.tenant_id, plan.name): plan})

    async def explain(self, raw: bytes) -> Explanation:
        config = self.source.config
        (key,) = config.keys.values()
        call = evolve(self.call(raw), raw_body=raw, config=config, key=key)
        return await explain_request(call, self.tools, plan="support", neighbours=3, seconds=5)

    @property
    def sizes(self) -> tuple[int, int]:
        """Entries found by words, and by the model."""
        return len(self.by_words.entries), len(self.semantic.entries)


async def test_a_plan_that_verifies_stores_and_finds_by_words_alone() -> None:
    world = TwoIndexes(match="verified")
    await ask(world, body())
    assert world.sizes == (1, 0)
    (entry,) = world.by_words.entries.values()
    assert (entry.embedder, entry.vector.shape) == ("words@4", (4,))
    assert (await ask(world, body("how do I PAY"))).headers["x-tokenthrift-cache"] == "semantic"
    assert world.words.texts == ["How do I pay?", "how do I PAY"]
    assert world.embedder.texts == []


async def test_a_plan_by_cosine_stores_and_finds_by_the_model_alone() -> None:
    world = TwoIndexes(match="cosine")
    await ask(world, body())
    assert world.sizes == (0, 1)
    (entry,) = world.semantic.entries.values()
    assert (entry.embedder, entry.vector.shape) == ("fake@8", (8,))
    assert (await ask(world, body("how do I PAY"))).headers["x-tokenthrift-cache"] == "semantic"
    assert world.embedder.texts == ["How do I pay?", "how do I PAY"]
    assert world.words.texts == []


@pytest.mark.parametrize("match", ["verified", "cosine"])
async def test_without_an_index_of_words_every_plan_is_the_models(match: Any) -> None:
    world = World(plan=full_plan(cache=CacheSettings(match=match)))
    await ask(world, body())
    assert [entry.embedder for entry in world.semantic.entries.values()] == ["fake@8"]
    assert (await ask(world, body("how do I PAY"))).headers["x-tokenthrift-cache"] == "semantic"


async def test_one_index_never_answers_for_the_other() -> None:
    """Until the worker has moved them, entries of a changed plan are not found."""
    world = TwoIndexes(match="verified")
    await ask(world, body())
    world.follow(match="cosine")
    assert (await ask(world, body("how do I PAY"))).headers["x-tokenthrift-cache"] == "miss"
    assert world.sizes == (1, 1)
    world.follow(match="verified")
    assert (await ask(world, body("HOW do I pay"))).headers["x-tokenthrift-cache"] == "semantic"


async def test_words_that_know_nothing_of_a_text_leave_it_out_whatever_the_model_knows() -> None:
    world = TwoIndexes(match="verified")
    world.words.knows = False
    await ask(world, body())
    assert (world.event.reason, world.sizes) == ("vocabulary", (0, 0))
    world.follow(match="cosine")
    await ask(world, body("How do I get in?"))
    assert (world.event.reason, world.sizes) == ("", (0, 1))


async def test_a_broken_neighbour_is_removed_from_the_index_that_found_it() -> None:
    world = TwoIndexes(match="verified")
    await ask(world, body())
    ((name, entry),) = world.by_words.entries.items()
    world.by_words.entries[name] = world.semantic.entries[name] = replace(
        entry, envelope=b"planted"
    )
    await ask(world, body("how do I PAY"))
    assert world.event.reason == "foreign"
    assert name not in world.by_words.entries
    assert name in world.semantic.entries


@pytest.mark.parametrize(
    ("embedder", "asked", "down", "threshold"),
    [
        ("words@4", "How do I pay?", False, 0.99),
        # Reported before entries were found by words: by the vectors of then.
        ("fake@8", "How do I pay?", False, 0.99),
        ("fake@8", "How do I return a parcel?", False, 0.0),
        # Nobody can tell whether it is near: equivalent questions alone.
        ("fake@8", "How do I return a parcel?", True, 1.0),
        ("former@8", "How do I pay?", False, 0.0),
    ],
)
async def test_a_report_raises_the_threshold_by_the_vectors_it_was_made_with(
    embedder: str, asked: str, down: bool, threshold: float
) -> None:
    world = TwoIndexes(match="verified")
    await ask(world, body())
    (entry,) = world.by_words.entries.values()
    vector = await (world.words if embedder == "words@4" else world.embedder).embed("How do I pay?")
    report = FeedbackPenalty(embedder=embedder, vector=vector, radius=0.9, threshold=0.99)
    told = FeedbackPenalties(by_bucket={entry.bucket: (report,)})
    world.source.config = replace(world.source.config, penalties=told)
    world.embedder.down = down
    said = await world.explain(body(asked))
    assert said.full_lookup.feedback_threshold == threshold


async def test_explaining_shows_the_neighbours_that_a_request_would_have() -> None:
    for match, expected in (("verified", (1, 0)), ("cosine", (0, 1))):
        world = TwoIndexes(match=match)
        await ask(world, body())
        assert world.sizes == expected
        said = await world.explain(body("how do I PAY"))
        assert [each.question for each in said.nearest_candidates] == ["How do I pay?"]


def test_each_backend_is_named_once_for_each_embedder() -> None:
    world = TwoIndexes()
    assert [id(cache) for cache in world.tools.list_semantic_caches()] == [
        id(world.by_words),
        id(world.semantic),
    ]
    assert world.tools.find_semantic_cache(NAME, "words@4") is world.by_words
    assert world.tools.find_semantic_cache(NAME, "fake@8") is world.semantic
    assert world.tools.find_semantic_cache("redis_semantic", "words@4") is None
    alone = replace(world.tools, word_index=None)
    assert alone.list_semantic_caches() == [world.semantic]
    assert alone.find_semantic_cache(NAME, "words@4") is world.semantic
