"""A gateway under measurement and the ways to send to it."""

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks import load, machine
from benchmarks.load import Measured
from benchmarks.place import Place
from benchmarks.questions import fresh, hot
from benchmarks.tally import Tally
from benchmarks.wire import Requests
from demo.management_api import create_plan

PLAN = "bench"  # every default, both halves on
PLAN_SECONDS = 2.0  # within which a new plan, key or route is known to every worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """`url`: the gateway's address; `pid`: its first process; `keys`: see `Place.accounts`;
    `tally`: what its clients saw."""

    place: Place
    url: str
    pid: int
    keys: dict[str, str]
    tally: Tally

    @property
    def chat(self) -> str:
        """Where chats go."""
        return f"{self.url}/v1/chat/completions"

    @property
    def direct(self) -> str:
        """Where they go straight to the upstream, and stay out of its ledger."""
        return f"{self.place.upstream}/direct/chat/completions"

    def closed(self, requests: Requests, **options: Any) -> Measured:
        """`load.run` against the gateway, counted."""
        return load.run(self.chat, requests, tally=self.tally, **options)

    def hot(self, **fields: Any) -> Requests:
        """Questions that all hit, in turn, without end; each is asked once before."""
        key = self.keys["virtual_key"]
        load.send_all(self.chat, hot(self.chat, key=key, plan=PLAN), tally=self.tally)
        time.sleep(0.2)  # an entry is visible 50 ms after its answer
        return itertools.cycle(hot(self.chat, key=key, plan=PLAN, **fields))

    def fresh(self, **fields: Any) -> Requests:
        """Questions of which none hits, without end."""
        return fresh(self.chat, key=self.keys["virtual_key"], **fields)


def prepare(place: Place) -> dict[str, str]:
    """Start a gateway for the first time, make keys, route and plan; the keys by name."""
    with place.gateway() as (url, _):
        keys = place.accounts()
        create_plan(url, keys["admin_key"], json.dumps({"plan_name": PLAN}))
    return keys


@contextmanager
def bench(
    place: Place,
    keys: dict[str, str],
    tally: Tally,
    *,
    workers: int = 1,
    cores: set[int] = machine.GATEWAY_CORE,
) -> Iterator[Bench]:
    """A ready gateway that knows keys and plan."""
    with place.gateway(workers=workers, cores=cores) as (url, pid):
        yield Bench(place=place, url=url, pid=pid, keys=keys, tally=tally)
