"""A provider that thinks for long: waited for as long as its upstream says,
and no sum of other deadlines cuts it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.apps import apps
from django.db.migrations.loader import MigrationLoader

from proxy.core.config import DEFAULT_READ_TIMEOUT_SECONDS, ProviderEndpoint
from proxy.models import Upstream
from tests.gateway.test_money import row_of
from tests.support.gateways import Gateway, running_gateway
from tests.support.upstream import MockUpstream, running_upstream

PATIENCE = 4.0  # seconds, in place of ten minutes
PLAN = "patient"


@pytest.fixture(scope="module")
def upstream() -> Iterator[MockUpstream]:
    with running_upstream() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(upstream, tmp_path_factory.mktemp("gateway"), workers=2) as running:
        running.manage(
            "shell",
            "-c",
            f"from proxy.models import Upstream; Upstream.objects.update(read_timeout={PATIENCE})",
        )
        assert (
            running.api(
                "POST", "/token-saving/plans", json={"plan_name": PLAN, "cache": {}}
            ).status_code
            == 201
        )
        running.wait_plan(PLAN)
        yield running


@pytest.fixture(autouse=True)
def thinking(upstream: MockUpstream) -> Iterator[None]:
    yield
    upstream.pause = 0.0


def test_providers_are_waited_for_as_long_as_clients_wait() -> None:
    assert (
        ProviderEndpoint(id=1, name="u", base_url="http://u").read_timeout
        == DEFAULT_READ_TIMEOUT_SECONDS
        == 600
    )
    assert Upstream().read_timeout == 600


@pytest.mark.django_db
def test_who_left_the_old_default_gets_the_new_one_and_who_chose_keeps_it() -> None:
    for name, seconds in (("old", 120), ("short", 30), ("long", 900)):
        Upstream.objects.create(name=name, base_url="http://u/v1", read_timeout=seconds)
    module = MigrationLoader(None).disk_migrations["proxy", "0007_read_timeout"]
    module.operations[-1].code(apps, None)  # type: ignore[attr-defined]  # a RunPython
    assert dict(Upstream.objects.values_list("name", "read_timeout")) == {
        "old": 600,
        "short": 30,
        "long": 900,
    }


def test_an_answer_that_comes_late_arrives_to_all_who_wait_for_it(
    gateway: Gateway, upstream: MockUpstream
) -> None:
    """Longer than leases between workers, look-up budgets and beats; one call for all."""
    upstream.pause = PATIENCE - 0.6
    before = len(upstream.requests)
    with ThreadPoolExecutor(4) as threads:
        replies = list(
            threads.map(
                lambda _: gateway.chat("Think about this.", token_saving_plan_id=PLAN), range(4)
            )
        )
    assert [reply.status_code for reply in replies] == [200] * 4
    assert len(upstream.requests) - before == 1


def test_one_that_comes_too_late_is_a_504_of_unknown_cost_that_nobody_should_repeat(
    gateway: Gateway, upstream: MockUpstream
) -> None:
    upstream.pause = PATIENCE + 30
    begun = time.monotonic()
    reply = gateway.chat("Think about that.")
    assert reply.status_code == 504, reply.text
    assert PATIENCE - 0.5 <= time.monotonic() - begun < PATIENCE + 10
    row = row_of(gateway, reply.headers["x-request-id"])
    assert (row["bill"], row["billed_cost"], row["attempts"]) == ("unknown", None, 1)
