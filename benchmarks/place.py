"""Where it all happens: services, an upstream and a gateway of the benchmark's own,
each on its core."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine
from demo import stage
from demo.processes import StartError, plain_environment, running
from gateway_project.embedded import configuration, lease
from gateway_project.embedded.processes import find_free_port

MODEL = "gpt-4o-mini"
STARTED = "Application startup complete"  # what uvicorn says once for each worker
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`services`: addresses of PostgreSQL and Redis;
    `upstream`: address of the mock, without path."""

    var: Path
    environment: Mapping[str, str]
    services: configuration.ServiceUrls
    upstream: str
    upstream_pid: int

    @contextmanager
    def gateway(
        self, *, workers: int = 1, cores: set[int] = machine.GATEWAY_CORE
    ) -> Iterator[tuple[str, int]]:
        """A ready gateway, helpers and threads included on those cores: its address and process id.

        Ready is it when all workers are: the first one up would take every connection, and a client
        keeps those.
        """
        opening = stage.gateway(self.var, self.environment, workers=workers)
        with machine.on(cores):
            opened = opening.__enter__()
        try:
            self._wait(workers)
            yield opened
        finally:
            opening.__exit__(None, None, None)

    def _wait(self, workers: int) -> None:
        ends, log = time.monotonic() + START_SECONDS, self.var / "gateway.log"
        while log.read_text().count(STARTED) < workers:
            if time.monotonic() > ends:
                raise StartError(
                    f"not all of {workers} workers started within {START_SECONDS:g} s: see {log}"
                )
            time.sleep(0.1)

    def accounts(self) -> dict[str, str]:
        """Keys and a route to the upstream, in a database that a gateway has prepared."""
        return stage.accounts(self.environment, provider=f"{self.upstream}/v1", model=MODEL)


@contextmanager
def place(var: Path, *upstream: str) -> Iterator[Place]:
    """Services and upstream running on this process's cores; no gateway yet.

    `upstream`: the module of the mock and its arguments; without any the fast one.

    Raises ServiceError or StartError.
    """
    environment = plain_environment(TOKENTHRIFT_VAR_DIR=str(var), PYTHONUNBUFFERED="1")
    lease.acquire_lease(var)
    try:
        module, *arguments = upstream or ("mock_providers.fast",)
        with program(module, *arguments, path="/v1/models", var=var, environment=environment) as (
            address,
            pid,
        ):
            services = configuration.resolve_urls(var)
            yield Place(
                var=var,
                environment=environment,
                services=services,
                upstream=address,
                upstream_pid=pid,
            )
    finally:
        lease.release_lease(var)


@contextmanager
def program(
    module: str, *arguments: str, path: str = "", var: Path, environment: Mapping[str, str]
) -> Iterator[tuple[str, int]]:
    """`python -m <module>` on a port of its own, once `path` of it answers: its address and
    process id."""
    port, name = find_free_port(), module.rpartition(".")[2]
    address, command = f"http://127.0.0.1:{port}", ["-m", module, "--port", str(port), *arguments]
    with running(
        name,
        command,
        url=f"{address}{path}",
        log=var / f"{name}.log",
        environment=environment,
        seconds=20,
    ) as pid:
        yield address, pid
