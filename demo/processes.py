"""The processes the demo starts, and their end: whatever happens, what was started is stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from demo.workspace import ROOT

STOP_SECONDS = 40.0  # the gateway drains streams for 25 s and then stops its services


class StartError(Exception):
    """A process did not come up. The message says why."""


@contextmanager
def running(
    name: str,
    arguments: Sequence[str],
    *,
    program: str = sys.executable,
    url: str,
    log: Path,
    environment: Mapping[str, str],
    seconds: float,
) -> Iterator[int]:
    """Run `<program> <arguments>` until the block ends;
    enter it, with the process id, once `url` answers 200. Output goes to `log`.

    Raises StartError when the process ends or stays silent for `seconds`.
    """
    with log.open("wb") as output:
        # a session of its own: Ctrl-C reaches the demo alone, which then stops its processes in
        # order
        child = subprocess.Popen(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env=dict(environment),
            start_new_session=True,
        )
    try:
        _wait(name, child, url=url, log=log, seconds=seconds)
        yield child.pid
    finally:
        _stop(child)


def _wait(
    name: str, child: subprocess.Popen[bytes], *, url: str, log: Path, seconds: float
) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise StartError(f"The {name} ended with status {child.returncode}. {_last_lines(log)}")
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise StartError(f"The {name} did not answer at {url} within {seconds:g} s. {_last_lines(log)}")


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):  # a second Ctrl-C does not wait
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _last_lines(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-5:]
    return f"The end of {log}: " + " | ".join(lines) if lines else f"{log} is empty."


def plain_environment(**added: str) -> dict[str, str]:
    """This process's environment without any setting of the gateway or key of a provider:
    the demo never touches a configured database."""
    ours = (
        "DATABASE_URL",
        "REDIS_URL",
        "REDIS_SEMANTIC_URL",
        "QDRANT_URL",
        "TOKENTHRIFT_",
        "DJANGO_",
        "OPENAI_",
    )
    return (
        {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        | {"TOKENTHRIFT_ENV_FILE": os.devnull}
        | added
    )


def reach_loopback_directly() -> None:
    """Exempt the loopback interface from a proxy that the environment may name,
    for this process and its children."""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost"]))
