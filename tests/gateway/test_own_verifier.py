"""A gateway with a verifier of the operator's own compares by meaning in the languages it reads."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateways import Gateway, running_gateway
from tests.support.pair_models import make_folder
from tests.support.upstream import MockUpstream

SHARED = 0.5  # seconds: longer than a stored answer takes to be found
# The model scores short pairs high. Nothing else says that these share an answer.
ASKED, REPHRASED = "Wo ist das Hotel?", "Wo kann man das Hotel finden?"
OTHER = "Wo ist das Taxi?"


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    return make_folder(models, tmp_path / "own-verifier")


@pytest.fixture
def gateway(
    upstream: MockUpstream, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    with running_gateway(
        upstream,
        tmp_path_factory.mktemp("own"),
        TOKENTHRIFT_VERIFIER=str(folder),
        TOKENTHRIFT_LANGUAGES="en,de",
    ) as running:
        yield running


def test_named_languages_are_compared_by_the_operators_verifier(gateway: Gateway) -> None:
    made = gateway.api(
        "POST",
        "/token-saving/plans",
        json={"plan_name": "german", "cache": {"backend": "pgvector_semantic"}},
    )
    assert made.status_code == 201, made.text
    gateway.wait_plan("german")
    tiers = []
    for question in (ASKED, REPHRASED, OTHER):
        reply = gateway.chat(question, token_saving_plan_id="german")
        tiers.append(reply.headers["x-tokenthrift-cache"])
        time.sleep(SHARED)
    assert tiers == ["miss", "semantic", "miss"]
