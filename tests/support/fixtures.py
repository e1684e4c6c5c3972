"""One upstream and one gateway process for a whole module of tests;
who calls the management API in process."""

from collections.abc import Iterator

import pytest

from plans.models import Tenant
from tests.support.gateways import Gateway, running_gateway
from tests.support.management import Manager, manager
from tests.support.upstream import MockUpstream, running_upstream


@pytest.fixture(scope="module")
def upstream() -> Iterator[MockUpstream]:
    with running_upstream() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(upstream, tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def platform(db: None) -> Manager:
    return manager()


@pytest.fixture
def acme(db: None) -> Tenant:
    return Tenant.objects.create(slug="acme")


@pytest.fixture
def rival(acme: Tenant) -> Tenant:
    return Tenant.objects.create(slug="rival")
