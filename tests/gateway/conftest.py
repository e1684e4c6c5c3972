"""One upstream and one gateway with the default settings for all files of this folder.

Plans, namespaces and what is counted have names of their own in each; a file whose gateway is set
up otherwise, is restarted or has another number of workers starts its own.
"""

from collections.abc import Iterator

import pytest

from tests.support.gateways import Gateway, running_gateway
from tests.support.upstream import MockUpstream, running_upstream


@pytest.fixture(scope="package")
def shared_upstream() -> Iterator[MockUpstream]:
    with running_upstream() as running:
        yield running


@pytest.fixture(scope="package")
def shared_gateway(
    shared_upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    with running_gateway(shared_upstream, tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(scope="module")
def upstream(shared_upstream: MockUpstream) -> MockUpstream:
    """As if it had just been started."""
    shared_upstream.forget()
    return shared_upstream


@pytest.fixture(scope="module")
def gateway(shared_gateway: Gateway, upstream: MockUpstream) -> Gateway:
    return shared_gateway
