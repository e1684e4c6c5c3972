"""POST /v1/cache/feedback: a wrong answer goes, on every worker and in every tier,
does not come back, and can be taken back.

https://github.com/Portkey-AI/gateway/issues/199: no way to clear a bad entry.
"""

import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.gateways import PROMISED
from tests.support.tenants import Both, ask, two_tenants
from tests.support.upstream import completion

BACKENDS = ["pgvector_semantic", "redis_semantic"]
STORED, NEAR = "How do I return a parcel?", "How can I return a parcel?"
WORKERS = 2


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("feedback")
    with two_tenants(folder, workers=WORKERS, TOKENTHRIFT_FEEDBACK_PER_MINUTE="1000") as running:
        yield running


def tier(reply: httpx.Response) -> str:
    assert reply.status_code == 200, reply.text
    return str(reply.headers["x-tokenthrift-cache"])


def fill(
    both: Both, plan: str, text: str = "wrong", tenant: str = "acme", question: str = STORED
) -> str:
    """Store that answer to the question; the id of the request it was made for."""
    both.upstream.says = completion(text)
    made_for = both.chat(plan, ask(question), tenant)
    assert tier(made_for) == "miss"
    time.sleep(0.3)
    return str(made_for.headers["x-request-id"])


def everywhere(both: Both, plan: str, question: str, tenant: str = "acme") -> set[str]:
    """The tiers of 16 requests on connections of their own, which both workers share out;
    none of them stores."""
    asked = ask(question, cache={"only-if-cached": True})
    return {both.chat(plan, asked, tenant).headers["x-tokenthrift-cache"] for _ in range(16)}


def wait_recorded(both: Both, ids: Iterable[str]) -> None:
    """Wait until the ledger has all of these requests."""
    statement, wanted = (
        "SELECT count(*) FROM stats_requestevent WHERE event_id = ANY(%s)",
        list(ids),
    )
    deadline = time.monotonic() + 20
    while rows(both, statement, wanted) != [(len(wanted),)]:
        assert time.monotonic() < deadline, "the ledger has not all of the requests"
        time.sleep(0.1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_bad_entry_can_be_cleared_on_both_workers_and_in_both_tiers(
    both: Both, backend: str
) -> None:
    plan = both.plan(cache={"backend": backend})
    fill(both, plan)
    assert everywhere(both, plan, STORED) == {"exact"}  # each worker has it in its memory now
    hit = both.chat(plan, ask(NEAR))
    assert tier(hit) == "semantic"
    said = both.feedback(hit.headers["x-request-id"])
    assert said.status_code == 200, said.text
    found = said.json()
    assert (found["object"], found["request_id"], found["undone"]) == (
        "cache.feedback",
        hit.headers["x-request-id"],
        False,
    )
    assert found["evicted"] == [found["entry_id"]]
    time.sleep(0.3)
    assert everywhere(both, plan, STORED) == everywhere(both, plan, NEAR) == {"miss"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_wrong_pair_does_not_come_back_and_harmless_repeats_still_hit(
    both: Both, backend: str
) -> None:
    plan = both.plan(cache={"backend": backend})
    fill(both, plan)
    hit = both.chat(plan, ask(NEAR))
    wrong = float(hit.headers["x-tokenthrift-score"])
    threshold = both.feedback(hit.headers["x-request-id"]).json()["threshold"]
    assert wrong < threshold < 1
    time.sleep(PROMISED)
    fill(both, plan, "right for the one")
    assert tier(both.chat(plan, ask(NEAR))) == "miss"  # as near as before, and stored again
    time.sleep(0.3)
    assert tier(both.chat(plan, ask(NEAR))) == "exact"
    assert tier(both.chat(plan, ask(NEAR.upper()))) == "semantic"
    found = both.explain(plan, ask("How can I return a parcel"), tenant="acme").json()
    assert found["semantic"]["threshold"] == pytest.approx(threshold)
    far = "What does the premium plan cost?"
    fill(both, plan, question=far)
    assert both.explain(plan, ask(far), tenant="acme").json()["semantic"]["threshold"] == 0.85


def test_neighbours_go_too_and_others_stay(both: Both) -> None:
    plan = both.plan(cache={"similarity_threshold": 0.999})
    for question in (STORED, NEAR, "What does the premium plan cost?"):
        fill(both, plan, question=question)
    hit = both.chat(plan, ask(STORED))
    assert tier(hit) == "exact"
    found = both.feedback(hit.headers["x-request-id"]).json()
    # An identical request: no threshold mends that.
    assert (len(found["evicted"]), found["threshold"]) == (2, None)
    time.sleep(0.3)
    assert everywhere(both, plan, NEAR) == {"miss"}
    assert everywhere(both, plan, "What does the premium plan cost?") == {"exact"}


def test_a_copy_under_what_was_sent_is_not_served_either(both: Both) -> None:
    plan = both.plan(
        cache={"backend": None}, compression={"engine": "trim", "max_input_tokens": 64}
    )
    old, other = (
        [f"{'same ' * 100}{middle * 100}{'same ' * 100}", "Yes."] for middle in ("word ", "term ")
    )
    both.upstream.says = completion("wrong")
    both.chat(plan, ask(STORED, before=old))
    time.sleep(0.3)
    assert tier(both.chat(plan, ask(STORED, before=other))) == "exact"  # cut, the two are the same
    hit = both.chat(plan, ask(STORED, before=old))
    assert tier(hit) == "exact"
    assert both.feedback(hit.headers["x-request-id"]).status_code == 200
    time.sleep(PROMISED)
    assert tier(both.chat(plan, ask(STORED, before=["more " * 200, "Yes."]))) == "miss"


def test_it_says_who_else_got_it_and_says_the_same_twice(both: Both) -> None:
    plan = both.plan(cache={})
    origin = fill(both, plan)
    others = [both.chat(plan, ask(question)).headers["x-request-id"] for question in (STORED, NEAR)]
    fill(both, plan, question="What does the premium plan cost?")
    both.chat(plan, ask("What does the premium plan cost?"))
    hit = both.chat(plan, ask(NEAR)).headers["x-request-id"]
    time.sleep(1.5)
    first = both.feedback(hit).json()
    found = [(each["request_id"], each["role"]) for each in first["also_served"]]
    assert found == [(others[1], "semantic"), (others[0], "exact"), (origin, "origin")]
    assert first["also_served_total"] == 3
    assert {each["key"] for each in first["also_served"]} == {"acme-app"}
    assert [both.feedback(hit).json() for _ in range(3)] == [first] * 3
    assert rows(both, "SELECT count(*) FROM proxy_wronganswer WHERE event_id = %s", hit) == [(1,)]
    assert both.feedback(others[0]).json()["evicted"] == []  # it is gone, and nobody minds


def test_the_one_it_was_made_for_and_those_that_shared_its_call_got_it_too(both: Both) -> None:
    plan = both.plan(cache={})
    both.upstream.says, both.upstream.pause = completion("wrong"), 1.5
    try:
        with ThreadPoolExecutor(3) as crowd:
            replies = list(crowd.map(lambda _: both.chat(plan, ask(STORED)), range(3)))
    finally:
        both.upstream.pause = 0.0
    ids = {reply.headers["x-request-id"]: tier(reply) for reply in replies}
    assert sorted(ids.values()) == ["exact", "exact", "miss"]
    wait_recorded(both, ids)
    followers = [event for event, how in ids.items() if how == "exact"]
    said = both.feedback(followers[0]).json()
    assert "evicted" in said, said
    assert said["evicted"] == [said["entry_id"]]
    roles = {each["request_id"]: each["role"] for each in said["also_served"]}
    assert roles == {
        event: "origin" if how == "miss" else "follower"
        for event, how in ids.items()
        if event != followers[0]
    }
    hits = rows(both, "SELECT hits FROM stats_cacheentry WHERE entry_id = %s", said["entry_id"])
    # The origin's own request is no use of what it stored. A use that another worker wrote down
    # first is not counted: see NOTE_USE.
    assert all(number <= 2 for (number,) in hits)


def test_a_second_word_on_the_same_entry_widens_the_doubt(both: Both) -> None:
    plan = both.plan(cache={"similarity_threshold": 0.8})
    fill(both, plan)
    hits = [
        both.chat(plan, ask(question)) for question in (NEAR, "How do I return a parcel to you?")
    ]
    assert [tier(hit) for hit in hits] == ["semantic", "semantic"]
    found = [both.feedback(hit.headers["x-request-id"]).json() for hit in hits]
    assert [len(each["evicted"]) for each in found] == [1, 0]
    assert found[1]["threshold"] is not None
    time.sleep(PROMISED)
    fill(both, plan, "again")
    for question in (NEAR, "How do I return a parcel to you?"):
        assert both.explain(plan, ask(question), tenant="acme").json()["decision"]["tier"] == "miss"


def test_another_tenant_s_requests_are_unknown(both: Both) -> None:
    plan = both.plan(cache={})
    fill(both, plan)
    fill(both, plan, tenant="rival")
    hit = both.chat(plan, ask(STORED)).headers["x-request-id"]
    time.sleep(1)
    theirs, nobody = both.feedback(hit, "rival"), both.feedback(str(uuid.uuid4()), "rival")
    assert (theirs.status_code, theirs.json()) == (nobody.status_code, nobody.json())
    assert theirs.status_code == 404
    assert theirs.json()["error"]["code"] == "request_not_found"
    assert tier(both.chat(plan, ask(STORED))) == "exact"
    assert both.feedback(hit).status_code == 200
    time.sleep(0.3)
    # The other tenant's own entry stays.
    assert everywhere(both, plan, STORED, "rival") == {"exact"}


def test_what_the_provider_answered_is_no_cached_answer(both: Both) -> None:
    plan = both.plan(cache={})
    miss = both.chat(plan, ask(uuid.uuid4().hex)).headers["x-request-id"]
    refused = both.feedback(miss)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "not_a_cached_answer")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"wrong": False}, "wrong"),
        ({"wrong": 1}, "wrong"),
        ({"request_id": None}, "request_id"),
        ({"request_id": 7}, "request_id"),
        ({"request_id": "x" * 36}, "request_id"),
        ({"request_id": [str(uuid.uuid4())]}, "request_id"),
        ({"entry_id": "x"}, "entry_id"),
    ],
)
def test_a_wrong_field_is_refused_by_name(both: Both, fields: dict[str, Any], param: str) -> None:
    refused = both.feedback(**({"request_id": str(uuid.uuid4())} | fields))
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


def test_no_key_and_no_body_are_refused(both: Both) -> None:
    url = f"{both.gateway.url}/v1/cache/feedback"
    assert httpx.post(url, json={}).status_code == 401
    assert httpx.get(url).status_code == 405
    assert (
        both.post("/v1/cache/feedback", {"request_id": "x" * 5000}, both.keys["acme"]).status_code
        == 413
    )
    assert (
        httpx.post(
            url, content=b"{", headers={"authorization": f"Bearer {both.keys['acme']}"}
        ).status_code
        == 400
    )


def rows(both: Both, query: str, *values: Any) -> list[Any]:
    with psycopg.connect(both.gateway.environment["DATABASE_URL"], autocommit=True) as connection:
        return connection.execute(query, values).fetchall()
