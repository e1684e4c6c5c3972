"""A running gateway asked over HTTP, as its clients ask it: what does it serve?"""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import local
from time import sleep
from typing import Any

import httpx

from demo.answers import label_in
from demo.management_api import PLAN_SECONDS, create_plan
from demo.options import MODEL, Options
from demo.replay import HIT_TIERS, ROUTE
from demo.stage import stage
from evaluation.cache.figures import Outcome
from evaluation.cache.sets import Pair, Query
from proxy.core.types import Message

AT_ONCE = 4
SECONDS = 30.0
# Seconds after its last byte by which an answer may be served again: promised, and no client asks
# sooner.
VISIBLE = 0.05


@dataclass(frozen=True, slots=True)
class Reply:
    """`served`: from the cache; `label`: of the request that the answer was made for."""

    served: bool
    label: str | None


class Door:
    """One plan of a gateway, open to several threads."""

    def __init__(self, url: str, key: str, plan: str) -> None:
        self._url, self._key, self._plan = url, key, plan
        self._own = local()

    def ask(self, messages: Sequence[Message], *, namespace: str, label: str = "") -> Reply:
        """Raises httpx.HTTPError."""
        body: dict[str, Any] = {
            "model": ROUTE,
            "messages": list(messages),
            "temperature": 0,
            "token_saving_plan_id": self._plan,
        }
        body |= {"cache": {"namespace": namespace}} | (
            {"metadata": {"label": label}} if label else {}
        )
        reply = self._client().post("/v1/chat/completions", json=body).raise_for_status()
        text = reply.json()["choices"][0]["message"]["content"]
        return Reply(reply.headers["x-tokenthrift-cache"] in HIT_TIERS, label_in(text))

    def serves(self, stored: Sequence[Message], asked: Sequence[Message]) -> bool:
        """Whether `asked` is answered with what was kept of `stored`,
        in a cache that holds nothing else."""
        namespace = uuid.uuid4().hex
        self.ask(stored, namespace=namespace)
        sleep(VISIBLE)
        return self.ask(asked, namespace=namespace).served

    def _client(self) -> httpx.Client:
        if not hasattr(self._own, "client"):
            self._own.client = httpx.Client(
                base_url=self._url,
                headers={"authorization": f"Bearer {self._key}"},
                timeout=SECONDS,
            )
        client: httpx.Client = self._own.client
        return client


@contextmanager
def doors(var: Path, plans: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Door]]:
    """A gateway on services of its own in `var`, before an upstream that answers at once;
    a door for each plan. Raises StartError or ApiError."""
    chosen = Options(data=None, json=None, provider=None, model=MODEL, latency_ms=0, var=var)
    with stage(chosen, var) as scene:
        for name, settings in plans.items():
            create_plan(scene.url, scene.admin_key, json.dumps({"plan_name": name, **settings}))
        sleep(PLAN_SECONDS)
        yield {name: Door(scene.url, scene.virtual_key, name) for name in plans}


def outcomes_of_pairs(door: Door, rows: Sequence[Pair]) -> list[Outcome]:
    """Two requests a pair, each pair in a namespace of its own."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        served = list(threads.map(lambda row: door.serves(row.stored, row.asked), rows))
    return [
        Outcome(row.group, row.same, hit, row.same) for row, hit in zip(rows, served, strict=True)
    ]


def outcomes_of_stream(door: Door, queries: Sequence[Query]) -> Iterator[Outcome]:
    """One request a question, in order, in one namespace."""
    namespace, seen = uuid.uuid4().hex, set[str]()
    for query in queries:
        reply = door.ask(
            [{"role": "user", "content": query.text}], namespace=namespace, label=query.intent
        )
        yield Outcome(query.group, query.intent in seen, reply.served, reply.label == query.intent)
        if not reply.served:
            seen.add(query.intent)
