"""Flights: whatever happens in whatever order, nobody waits for ever,
nobody hears less than the rest, one leads at a time."""

import asyncio
import time
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proxy.core.answers import ErrorAnswer
from proxy.core.errors import UpstreamTimeout
from proxy.core.flights import LATE_JOIN_SECONDS, Flight, FlightRegistry, FlightResult

FAILED = FlightResult(ErrorAnswer(UpstreamTimeout("late")))


async def test_who_comes_late_hears_the_stream_from_its_start() -> None:
    flight = Flight("k")
    flight.begin_stream(cut=0)
    heard: list[bytes] = []

    async def follow() -> None:
        heard.append(b"".join([part async for part in flight.iter_parts()]))

    tasks = []
    for part in (b"a", b"b", b"c"):
        tasks.append(asyncio.create_task(follow()))
        flight.publish_part(part)
        await asyncio.sleep(0)
    tasks.append(asyncio.create_task(follow()))
    flight.end_stream()
    await asyncio.gather(*tasks)
    assert heard == [b"abc"] * 4


async def test_what_ended_a_stream_is_told_to_all() -> None:
    flight = Flight("k")
    flight.begin_stream(cut=0)
    flight.publish_part(b"a")
    flight.end_stream(UpstreamTimeout("late"))
    parts = flight.iter_parts()
    assert await anext(parts) == b"a"
    with pytest.raises(UpstreamTimeout):
        await anext(parts)


async def test_a_stream_is_taken_as_it_begins_by_who_can_and_at_its_end_by_others() -> None:
    flight = Flight("k")
    whole = asyncio.create_task(flight.wait(live=False))
    live = asyncio.create_task(flight.wait(live=True))
    flight.begin_stream(cut=0)
    assert await live is None
    assert not whole.done()
    flight.complete(FAILED)
    assert await whole is FAILED


async def test_who_asks_again_after_a_failure_does_not_get_it_again() -> None:
    registry = FlightRegistry()
    flight, _ = registry.join("k", arrived=time.monotonic())
    before = time.monotonic()
    await asyncio.sleep(0.01)
    flight.end_stream(UpstreamTimeout("late"))
    assert registry.join("k", arrived=before) == (flight, False)  # it had waited already
    again, leads = registry.join("k", arrived=time.monotonic() + 0.01)
    assert leads
    assert again is not flight
    registry.close_flight(flight, now=time.monotonic())
    assert registry.get("k") is again


class Air(RuleBasedStateMachine):
    """Requests come, leave, lead, fail and land in any order, under one key."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.flights = FlightRegistry()
        self.leading: list[Flight] = []
        self.following: list[Flight] = []

    @rule(pause=st.floats(0, 3 * LATE_JOIN_SECONDS))
    def time_goes_by(self, pause: float) -> None:
        self.now += pause

    @rule(ago=st.floats(0, 1))
    def a_request_comes(self, ago: float) -> None:
        arrived = self.now - ago
        asked = [
            flight
            for flight in self.leading
            if flight.result is None and flight.closed_at > arrived
        ]
        flight, leads = self.flights.join("k", arrived=arrived)
        assert not (leads and asked), "two lead at once"
        (self.leading if leads else self.following).append(flight)

    @precondition(lambda self: self.following)
    @rule(data=st.data())
    def a_follower_leaves(self, data: Any) -> None:
        self.following.pop(data.draw(st.integers(0, len(self.following) - 1))).remove_follower()

    @precondition(lambda self: self.leading)
    @rule(data=st.data(), how=st.sampled_from(["lands", "is given up", "fails"]))
    def a_leader_is_done(self, data: Any, how: str) -> None:
        flight = self.leading.pop(data.draw(st.integers(0, len(self.leading) - 1)))
        if how == "lands":
            flight.complete(FAILED)
        elif how == "is given up":
            flight.abandon()
        self.flights.close_flight(flight, now=self.now)

    @invariant()
    def members_are_counted(self) -> None:
        for flight in {*self.leading, *self.following}:
            assert flight.followers == self.following.count(flight)

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        for flight in self.following:
            assert flight.result is not None or flight in self.leading

    def teardown(self) -> None:
        for flight in self.leading:
            self.flights.close_flight(flight, now=self.now)
        self.flights.join("other", arrived=self.now + 2 * LATE_JOIN_SECONDS)
        assert len(self.flights) == 1, "flights are kept for ever"


Air.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAir = Air.TestCase
