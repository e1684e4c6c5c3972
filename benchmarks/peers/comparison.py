"""The rivals measured in the same run as the gateway:
same upstream, same Redis, same load, one worker on the same core."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from benchmarks.peers import litellm, portkey
from benchmarks.peers.environment import InstallError, ready
from benchmarks.peers.probe import Figures
from demo.processes import StartError


class Peer(Protocol):
    """What a module of this package offers to be in the table."""

    VERSION: str

    def install(self, folder: Path) -> Sequence[Sequence[str]]:
        """The commands that install that version into the empty folder."""

    def measure(self, folder: Path, upstream_url: str, redis_url: str, core: int) -> Figures:
        """Start it, measure it, stop it."""


PEERS: dict[str, Peer] = {"litellm": litellm, "portkey": portkey}


def measure(
    names: Sequence[str], upstream_url: str, redis_url: str, core: int
) -> dict[str, Figures]:
    """What each peer does on `core`, by name: `version`;
    `passthrough_` and, where it caches, `cached_` with `rps`, `p50_ms`, `p99_ms`.

    A peer that could not be measured has the one key `error` instead. `upstream_url`: a base URL
    like `http://127.0.0.1:9000/v1` of a mock whose `/ledger` counts its requests. The load runs on
    the caller's cores. Raises ValueError for a name that is not in the table.
    """
    if unknown := set(names) - set(PEERS):
        raise ValueError(
            f"Unknown peers: {', '.join(sorted(unknown))}. There are {', '.join(PEERS)}."
        )
    return {name: _measure(name, upstream_url, redis_url, core) for name in names}


def _measure(name: str, upstream_url: str, redis_url: str, core: int) -> Figures:
    peer = PEERS[name]
    try:
        folder = ready(name, peer.VERSION, peer.install)
        return {"version": peer.VERSION, **peer.measure(folder, upstream_url, redis_url, core)}
    except (InstallError, StartError, RuntimeError, OSError) as error:
        return {"error": str(error)}
