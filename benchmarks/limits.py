"""The bare limits: what this machine does, in the same run and from the same client,
when there is no gateway."""

import itertools
import subprocess
import sys

from benchmarks import load, machine
from benchmarks.place import Place, program
from benchmarks.questions import chat
from benchmarks.wire import post

SECONDS = 4.0
BODY = b'{"messages":[]}' * 20


def measure(place: Place) -> dict[str, float]:
    """Requests a second, each alone on the gateway's core; Redis and the client on the other."""
    redis = place.services.redis
    found = {"mock_upstream_rps": _upstream(place), "bare_redis_rps": _redis_loop(place, redis)}
    found["bare_asgi_rps"] = _program(place, "benchmarks.bare", "--redis", redis)
    found["django_view_rps"] = _program(place, "benchmarks.empty_view")
    return found


def _upstream(place: Place) -> float:
    url = f"{place.upstream}/direct/chat/completions"
    with machine.moved(place.upstream_pid, machine.GATEWAY_CORE):
        return load.run(
            url, itertools.repeat(chat(url, "How do I return a parcel?")), seconds=SECONDS
        ).rps


def _redis_loop(place: Place, redis: str) -> float:
    """The GETs of `benchmarks.bare` without HTTP."""
    command = [sys.executable, "-m", "benchmarks.bare", "--redis", redis, "--loop", str(SECONDS)]
    with machine.on(machine.GATEWAY_CORE):
        done = subprocess.run(
            command,
            env=dict(place.environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    return float(done.stdout)


def _program(place: Place, *command: str) -> float:
    with (
        program(*command, var=place.var, environment=place.environment) as (url, pid),
        machine.moved(pid, machine.GATEWAY_CORE),
    ):
        return load.run(url, itertools.repeat(post(url, BODY)), seconds=SECONDS).rps
