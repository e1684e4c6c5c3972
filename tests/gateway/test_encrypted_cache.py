"""With TOKENTHRIFT_ENCRYPT_CACHE no text of a question or an answer lies in Redis,
PostgreSQL or Qdrant, or crosses Redis, in clear."""

import base64
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest
import redis
from django.conf import settings
from psycopg import sql

from tests.proxy.entries.test_admin import LIST, post, staff
from tests.support.gateways import Gateway, running_gateway
from tests.support.servers import QdrantServer
from tests.support.upstream import MockUpstream, completion, running_upstream

BACKENDS = ("pgvector_semantic", "redis_semantic", "qdrant_semantic")
ASKED, AGAIN = "How do I return a parcel to shop {}?", "how do i return a PARCEL to shop {}"
READER = """
from django.contrib.auth.models import Permission, User
user = User.objects.create_user("reader", password="correct horse", is_staff=True)
user.user_permissions.set(Permission.objects.filter(codename__in=("view_entry", "view_entry_text")))
"""


class Site:
    """A gateway of two workers with a provider and a Qdrant of its own,
    and all that it keeps anywhere."""

    def __init__(self, gateway: Gateway, upstream: MockUpstream, qdrant: QdrantServer) -> None:
        self.gateway, self.upstream, self.qdrant = gateway, upstream, qdrant
        self.asked, self.said = f"Q{uuid.uuid4().hex}", f"A{uuid.uuid4().hex}"
        upstream.says = completion(f"Bring it to the counter, {self.said}.")
        for name in BACKENDS:
            made = gateway.api(
                "POST", "/token-saving/plans", json={"plan_name": name, "cache": {"backend": name}}
            )
            assert made.status_code == 201, made.text
        gateway.wait_plan(BACKENDS[-1])

    def ask(self, plan: str, form: str, **fields: Any) -> httpx.Response:
        return self.gateway.chat(form.format(self.asked), token_saving_plan_id=plan, **fields)

    def leaks(self, *more: bytes) -> list[str]:
        """Where one of the canaries is found, in any form that it is stored in."""
        found: list[str] = []
        forms = {
            word: (
                word.encode(),
                word.lower().encode(),
                word.encode().hex().encode(),
                *_in_base64(word),
            )
            for word in self.words
        }
        for place, data in (
            *self._redis(),
            *self._postgres(),
            *self._qdrant(),
            *(("crossed Redis", each) for each in more),
        ):
            found += [
                f"{word[0]} in {place}"
                for word in self.words
                if any(form in data for form in forms[word])
            ]
        return sorted(set(found))

    @property
    def words(self) -> tuple[str, str]:
        return self.asked, self.said

    def _redis(self) -> Iterator[tuple[str, bytes]]:
        client: Any
        for url, database in ((settings.REDIS_URL, None), (settings.REDIS_SEMANTIC_URL, 0)):
            client = (
                redis.Redis.from_url(url)
                if database is None
                else redis.Redis.from_url(url, db=database)
            )
            for key in client.scan_iter("*", count=1000):
                yield "a key of Redis", key
                kind = client.type(key)
                if kind == b"string":
                    yield "Redis", client.get(key) or b""
                elif kind == b"hash":
                    yield (
                        "a hash of Redis",
                        b" ".join(part for pair in client.hgetall(key).items() for part in pair),
                    )
            client.close()

    def _postgres(self) -> Iterator[tuple[str, bytes]]:
        with psycopg.connect(self.gateway.environment["DATABASE_URL"]) as connection:
            tables = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall()
            for (table,) in tables:
                for (row,) in connection.execute(
                    sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table))
                ):
                    yield table, row.encode()

    def _qdrant(self) -> Iterator[tuple[str, bytes]]:
        for collection in httpx.get(f"{self.qdrant.url}/collections").json()["result"][
            "collections"
        ]:
            points = httpx.post(
                f"{self.qdrant.url}/collections/{collection['name']}/points/scroll",
                json={"limit": 1000, "with_payload": True},
            )
            yield "Qdrant", points.content


def _in_base64(word: str) -> list[bytes]:
    """The word within base64, wherever it begins; its ends depend on the neighbours."""
    return [base64.b64encode(b"x" * shift + word.encode())[4:-4] for shift in range(3)]


@contextmanager
def hearing(prefix: str) -> Iterator[list[bytes]]:
    """Every message that crosses Redis meanwhile."""
    heard: list[bytes] = []
    client: Any = redis.Redis.from_url(settings.REDIS_URL)
    channel = client.pubsub()
    channel.psubscribe("*")
    over = threading.Event()

    def listen() -> None:
        while not over.is_set():
            message = channel.get_message(timeout=0.1)
            if message and isinstance(message["data"], bytes):
                heard.append(message["data"])

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield heard
    finally:
        over.set()
        thread.join()
        client.close()


@pytest.fixture(scope="module", params=["yes", "no"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    qdrant = QdrantServer(tmp_path_factory.mktemp("qdrant"))
    more = {
        "QDRANT_URL": qdrant.url,
        "TOKENTHRIFT_ENCRYPT_CACHE": request.param,
        "TOKENTHRIFT_EXACT_MEMORY_MB": "0",
    }
    try:
        folder = tmp_path_factory.mktemp("encrypted")
        with (
            running_upstream() as upstream,
            running_gateway(upstream, folder, workers=2, **more) as gateway,
        ):
            gateway.manage("shell", "-c", READER)
            yield Site(gateway, upstream, qdrant)
    finally:
        qdrant.kill()


def test_texts_are_found_again_and_lie_nowhere_in_clear(site: Site) -> None:
    encrypted = site.gateway.environment["TOKENTHRIFT_ENCRYPT_CACHE"] == "yes"
    with (
        hearing(site.gateway.environment["TOKENTHRIFT_INSTANCE"]) as heard,
        ThreadPoolExecutor(12) as pool,
    ):
        site.upstream.pause = 1.0
        crowd = [
            pool.submit(site.ask, BACKENDS[0], "Will {} be shared?", stream=number % 2 == 0)
            for number in range(12)
        ]
        assert all(site.said in each.result().text for each in crowd)
        site.upstream.pause = 0.0
        for plan in BACKENDS:
            assert site.ask(plan, ASKED).headers["x-tokenthrift-cache"] == "miss"
        time.sleep(1.0)
        for plan in BACKENDS:
            assert site.ask(plan, ASKED).headers["x-tokenthrift-cache"] == "exact"
            near = site.ask(plan, AGAIN)
            assert (near.headers["x-tokenthrift-cache"], site.said in near.text) == (
                "semantic",
                True,
            )
    places = site.leaks(b"\n".join(heard))
    if encrypted:
        assert places == []
        return
    # What the search for canaries would have found: without encryption they are where they are
    # expected.
    for place in ("Redis", "a hash of Redis", "proxy_semanticentry", "Qdrant"):
        assert {f"Q in {place}", f"A in {place}"} & set(places), places
    assert "A in crossed Redis" in places


def test_staff_who_may_read_texts_read_them(site: Site) -> None:
    assert site.ask(BACKENDS[0], "May staff see {}?").status_code == 200
    time.sleep(1.0)
    rows = site.gateway.api("GET", f"/token-saving/plans/{BACKENDS[0]}/entries").json()["data"]
    shown = [
        post(staff(site.gateway, "reader"), f"{LIST}{row['entry_id']}/text/").text
        for row in rows[:1]
    ]
    assert site.asked in shown[0]
    assert site.said in shown[0]


def test_an_answer_that_was_wrong_is_kept_aside_as_it_was_stored(site: Site) -> None:
    asked = site.ask(BACKENDS[0], "Was {} wrong?")
    time.sleep(1.0)
    hit = site.ask(BACKENDS[0], "Was {} wrong?")
    assert hit.headers["x-tokenthrift-cache"] == "exact"
    said = httpx.post(
        f"{site.gateway.url}/v1/cache/feedback",
        json={"request_id": hit.headers["x-request-id"], "wrong": True},
        headers={"authorization": f"Bearer {site.gateway.virtual_key}"},
        timeout=30,
    )
    assert said.status_code == 200, said.text
    assert len(said.json()["evicted"]) >= 1
    assert asked.status_code == 200
    if site.gateway.environment["TOKENTHRIFT_ENCRYPT_CACHE"] == "yes":
        assert site.leaks() == []
    else:
        assert any("proxy_evictedanswer" in place for place in site.leaks())
