"""A request waits little for the readings of others, whatever its time for caches."""

import asyncio
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from plans.snapshot import CacheSettings
from proxy.core.verification.pair_features import TokenReading
from proxy.engines.verifiers.alignment import AlignmentVerifier
from proxy.pipeline.stages.verify import MAX_READING_WAIT_SECONDS
from tests.support.fakes import World, ask, body, full_plan

STORED = "How do I block my lost card?"
# No rule objects to any of them.
ASKED = [
    " ".join(words)
    for words in product(
        ("How can I", "How could I", "What do I do to", "Tell me how to"),
        ("block", "block and cancel"),
        ("the card that I lost", "a card that I have lost", "my card if it is lost"),
    )
]
READING_SECONDS = 0.005


async def test_a_burst_of_readings_delays_no_request_for_long(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(plan=full_plan(cache=CacheSettings(similarity_threshold=0.99)))
    verifier = AlignmentVerifier(models)
    await verifier.score_questions("warm the model", ["with two texts"])
    read = verifier._reader.read_now

    def read_slowly(text: str) -> TokenReading:
        time.sleep(READING_SECONDS)
        return read(text)

    monkeypatch.setattr(verifier._reader, "read_now", read_slowly)
    monkeypatch.setattr(verifier, "bound_score", world.verifier.bound_score)
    world.tools = replace(
        world.tools, verifier=verifier, limits=replace(world.tools.limits, cache_seconds=5.0)
    )
    world.embedder.same = True
    await ask(world, body(STORED))

    async def ask_timed(question: str) -> float:
        begin = time.monotonic()
        await ask(world, body(question))
        return time.monotonic() - begin

    took = await asyncio.gather(*map(ask_timed, ASKED))
    went_on = [event for event in world.ledger.events if "verifier" in event.failures]
    assert 0 < len(went_on) < len(ASKED)
    # Read one after the other they would take a quarter of a second and more.
    assert max(took) < MAX_READING_WAIT_SECONDS + 0.3
    await verifier.close()
