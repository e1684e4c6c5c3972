"""A peer's server for as long as it is measured."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import machine
from demo.processes import running
from gateway_project.embedded.processes import LOOPBACK_ADDRESS, find_free_port

START_SECONDS = 120.0


@contextmanager
def served(
    name: str,
    command: Callable[[int], Sequence[str]],
    *,
    path: str,
    core: int,
    folder: Path,
    environment: Mapping[str, str],
) -> Iterator[tuple[str, int]]:
    """Its address and process id, once it answers 200 at `path`.

    `command` takes the port; all its processes and threads stay on `core`.

    It sees nothing of this process's environment, which may name proxies and providers. Raises
    StartError, OSError.
    """
    port = find_free_port()
    url = f"http://{LOOPBACK_ADDRESS}:{port}"
    program, *arguments = command(port)
    plain = {"PATH": os.environ["PATH"], "HOME": str(folder), **environment}
    with ExitStack() as stack:
        with machine.on({core}):
            log = folder / "server.log"
            started = running(
                name,
                arguments,
                program=program,
                url=f"{url}{path}",
                log=log,
                environment=plain,
                seconds=START_SECONDS,
            )
            pid = stack.enter_context(started)
        yield url, pid
