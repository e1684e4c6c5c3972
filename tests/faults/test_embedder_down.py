"""Without its embedding model the gateway starts, answers, says what is missing,
and keeps the exact tier."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.gateways import Gateway, running_gateway
from tests.support.upstream import MockUpstream, running_upstream


@pytest.fixture(scope="module", params=["/no/such/model"])
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Gateway, MockUpstream]]:
    with (
        running_upstream() as upstream,
        running_gateway(
            upstream, tmp_path_factory.mktemp("g"), TOKENTHRIFT_EMBEDDER=request.param
        ) as running,
    ):
        yield running, upstream


def test_requests_are_answered_and_the_exact_tier_works(
    gateway: tuple[Gateway, MockUpstream],
) -> None:
    running, upstream = gateway
    assert running.api("POST", "/token-saving/plans", json={"plan_name": "p"}).status_code == 201
    running.wait_plan("p")
    question, calls = uuid.uuid4().hex, len(upstream.requests)
    assert running.chat(question, token_saving_plan_id="p").headers["x-tokenthrift-cache"] == "miss"
    time.sleep(0.2)
    assert (
        running.chat(question, token_saving_plan_id="p").headers["x-tokenthrift-cache"] == "exact"
    )
    assert len(upstream.requests) == calls + 1
    stats = running.stats("p", requests=2)
    assert stats["cache_hits"] == 1
    assert httpx.get(f"{running.url}/readyz").status_code == 200
    assert "semantic tier is off" in Path(running.log).read_text()
