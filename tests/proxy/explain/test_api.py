"""POST /token-saving/plans/{plan}/explain: it says beforehand what the gateway then does,
and does nothing itself."""

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import redis
from django.test import Client

from plans.strictness import get_operating_points
from tests.support.gateways import ROUTE
from tests.support.tenants import Both, ask, two_tenants
from tests.support.upstream import completion

BACKENDS = ["pgvector_semantic", "redis_semantic"]
TOOL = {
    "type": "function",
    "function": {"name": "refund", "parameters": {"type": "object", "properties": {}}},
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with two_tenants(tmp_path_factory.mktemp("explain")) as running:
        yield running


STORED = ask("How do I enable two-factor login?")
CASES: dict[str, dict[str, Any]] = {
    "the same": STORED,
    "the same, streamed": STORED | {"stream": True},
    "in other words": ask("How can I enable two-factor login?"),
    "its opposite": ask("How do I disable two-factor login?"),
    "a number more": ask("How do I enable two-factor login for 5 users?"),
    "something else": ask("What does the premium plan cost?"),
    "after other turns": ask(
        "How do I enable two-factor login?", before=["Hello", "Good day. How can I help?"]
    ),
    "with a tool": STORED | {"tools": [TOOL]},
    "as JSON": STORED | {"response_format": {"type": "json_object"}},
    "hot": ask("How can I enable two-factor login?", temperature=1.5),
    "not to be stored": STORED | {"cache": {"no-store": True}},
    "not from the cache": STORED | {"cache": {"no-cache": True}},
    "within a namespace": STORED | {"cache": {"namespace": "other"}},
    "stricter than the plan": ask(
        "How can I enable two-factor login?", cache={"similarity_threshold": 0.999}
    ),
    "about now": ask("What is the weather right now?"),
    "long ago": ask("And now?", before=["word " * 400, "word " * 400] * 3),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("mode", ["active", "shadow"])
def test_it_says_what_the_gateway_then_does(both: Both, backend: str, mode: str) -> None:
    plan = both.plan(cache={"backend": backend}, compression={"max_input_tokens": 400}, mode=mode)
    both.upstream.says = completion("Under security.")
    assert both.chat(plan, STORED, "acme").status_code == 200
    time.sleep(0.5)
    said, done = {}, {}
    for name, body in CASES.items():
        found = both.explain(plan, body, key="acme-app")
        assert found.status_code == 200, found.text
        decision = found.json()["decision"]
        reply = both.chat(plan, body, "acme")
        assert reply.status_code == 200, reply.text
        said[name] = (decision["tier"], decision["would"], decision["reason"], decision["failures"])
        done[name] = event(both, reply.headers["x-request-id"])
    assert said == done
    tiers = {entry[1] if mode == "shadow" else entry[0] for entry in said.values()}
    assert {"exact", "semantic"} <= tiers  # the cases are worth something
    assert said["its opposite"][2] == "antonyms"


def event(both: Both, request_id: str) -> tuple[str, str, str, list[str]]:
    """What the ledger says of a request, once it has it."""
    deadline = time.monotonic() + 10
    with psycopg.connect(both.gateway.environment["DATABASE_URL"], autocommit=True) as connection:
        while time.monotonic() < deadline:
            query = (
                "SELECT tier, would, reason, failures FROM stats_requestevent WHERE event_id = %s"
            )
            if row := connection.execute(query, (request_id,)).fetchone():
                return row
            time.sleep(0.05)
    raise AssertionError(f"{request_id} was not recorded")


def test_it_shows_the_threshold_of_a_name(both: Both) -> None:
    plan = both.plan(cache={"strictness": "wide"})
    number = get_operating_points().points["wide"].threshold
    found = both.explain(plan, ask("How can I enable two-factor login?"), admin="acme").json()
    assert (found["semantic"]["match"], found["semantic"]["threshold"]) == ("verified", number)


def test_it_shows_keys_neighbours_verdicts_and_the_cut(both: Both) -> None:
    plan = both.plan(cache={}, compression={"max_input_tokens": 400, "engine": "trim"})
    questions = ["How do I enable two-factor login?", "What does the premium plan cost?"]
    for question in questions:
        both.chat(plan, ask(question), "acme")
    time.sleep(0.5)
    found = both.explain(plan, ask("How can I enable two-factor login?"), admin="acme").json()
    assert (found["tenant"], found["key"], found["route"], found["mode"]) == (
        "acme",
        None,
        ROUTE,
        "active",
    )
    assert len(found["scope"]) == 64
    assert found["decision"]["tier"] == "semantic"
    assert 0.85 <= found["decision"]["score"] <= 1
    assert found["decision"]["similarity"] > 0.9
    near = found["semantic"]["nearest"]
    assert (
        found["semantic"]["eligible"],
        len(found["semantic"]["bucket"]),
        found["semantic"]["threshold"],
    ) == (True, 64, 0.85)
    assert [(each["question"], each["verdict"]) for each in near] == [
        (questions[0], "served"),
        (questions[1], "below-floor"),
    ]
    assert near[0]["entry_id"] == found["decision"]["entry_id"]
    assert [each["similarity"] for each in near] == sorted(
        (each["similarity"] for each in near), reverse=True
    )
    opposite = both.explain(plan, ask("How do I disable two-factor login?"), admin="acme").json()
    assert {each["question"]: each["verdict"] for each in opposite["semantic"]["nearest"]}[
        questions[0]
    ] == "antonyms"

    long = both.explain(plan, CASES["long ago"], admin="acme").json()
    assert long["compression"]["before"] > 2400
    assert long["compression"]["after"] <= 400
    assert len(long["exact"]["sent_key"]) == 64
    assert long["exact"]["sent_key"] != long["exact"]["key"]
    tools = both.explain(plan, CASES["with a tool"], admin="acme").json()["semantic"]
    assert (tools["eligible"], tools["reason"], tools["nearest"]) == (False, "tools", [])


def test_no_model_is_called_and_nothing_is_stored_or_recorded(both: Both) -> None:
    plan = both.plan(cache={"backend": "pgvector_semantic"}, compression={"max_input_tokens": 400})
    time.sleep(0.5)
    before = kept(both)
    calls = len(both.upstream.requests)
    for body in CASES.values():
        assert both.explain(plan, body, admin="acme").status_code == 200
    time.sleep(1)
    assert kept(both) == before
    assert len(both.upstream.requests) == calls
    log = both.gateway.log.read_text()
    assert "two-factor" not in log
    assert "Traceback" not in log


def kept(both: Both) -> tuple[Any, ...]:
    """How much is stored anywhere."""
    environment = both.gateway.environment
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        tables = ("stats_requestevent", "stats_upstreamattempt", "proxy_semanticentry")
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone() for table in tables
        ]
    instance = environment["TOKENTHRIFT_INSTANCE"]
    with redis.Redis.from_url(f"{environment['REDIS_URL']}/1") as client:
        names = sorted(client.scan_iter(f"{instance}*"))
    return *counts, names


def test_another_tenant_s_keys_entries_and_plans_stay_out_of_sight(both: Both) -> None:
    plan = both.plan(cache={})
    both.chat(plan, ask("What is our secret project called?"), "acme")
    time.sleep(0.5)
    theirs = both.explain(plan, ask("What is our secret project called?"), admin="rival").json()
    assert (theirs["decision"]["tier"], theirs["semantic"]["nearest"], theirs["tenant"]) == (
        "miss",
        [],
        "rival",
    )
    own = both.explain(plan, ask("What is our secret project called?"), admin="acme").json()
    assert (own["decision"]["tier"], own["semantic"]["nearest"][0]["question"]) == (
        "exact",
        "What is our secret project called?",
    )
    for refused in (
        both.explain(plan, STORED, admin="rival", key="acme-app"),
        both.explain(plan, STORED, admin="rival", tenant="acme"),
        both.explain(plan, STORED, tenant="rival", key="acme-app"),
    ):
        assert refused.status_code == 404
        assert "secret" not in refused.text
    platform = both.explain(plan, ask("What is our secret project called?"), tenant="acme").json()
    assert [each["question"] for each in platform["semantic"]["nearest"]] == [None]
    made = both.gateway.api(
        "POST", "/token-saving/plans?tenant=acme", json={"plan_name": f"own-{plan}"}
    )
    assert made.status_code == 201
    assert both.explain(f"own-{plan}", STORED, admin="rival").status_code == 404


@pytest.mark.parametrize(
    ("body", "query", "status", "param"),
    [
        ({"model": ROUTE}, {"tenant": "acme"}, 400, "messages"),
        (
            {"model": "nobody/knows", "messages": STORED["messages"]},
            {"tenant": "acme"},
            404,
            "model",
        ),
        (STORED | {"cache": {"ttl": 0}}, {"tenant": "acme"}, 400, "cache.ttl"),
        (STORED, {}, 400, "tenant"),
        (STORED, {"key": "999999"}, 404, "key"),
        (STORED, {"tenant": "nobody"}, 404, "tenant"),
    ],
)
def test_what_cannot_be_asked_is_refused_as_v1_refuses_it(
    both: Both, body: dict[str, Any], query: dict[str, str], status: int, param: str
) -> None:
    plan = both.plan(cache={})
    reply = both.explain(plan, body, **query)
    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param), reply.text


def test_under_a_plan_with_answers_per_key_the_key_must_be_named(both: Both) -> None:
    plan = both.plan(cache={"scope": "key"})
    both.chat(plan, STORED, "acme")
    time.sleep(0.5)
    assert both.explain(plan, STORED, admin="acme").json()["error"]["param"] == "key"
    assert (
        both.explain(plan, STORED, admin="acme", key="acme-app").json()["decision"]["tier"]
        == "exact"
    )


def test_plans_that_cache_nothing_say_so(both: Both) -> None:
    for fields, reason in (
        ({"mode": "off"}, "plan-off"),
        ({"cache": None, "compression": {}}, "no-cache-in-plan"),
    ):
        found = both.explain(both.plan(**fields), STORED, tenant="acme").json()
        assert (found["decision"]["tier"], found["decision"]["reason"]) == ("bypass", reason)
        assert (found["scope"], found["exact"]["key"], found["semantic"]["nearest"]) == (
            None,
            None,
            [],
        )


@pytest.mark.django_db
def test_it_is_for_administrators_and_documented(client: Client) -> None:
    assert (
        client.post("/token-saving/plans/x/explain", b"{}", "application/json").status_code == 401
    )
    schema = client.get(
        "/api/schema", headers={"accept": "application/vnd.oai.openapi+json"}
    ).json()
    operation = schema["paths"]["/token-saving/plans/{plan}/explain"]["post"]
    assert operation["operationId"] == "plan_explain"
    assert {each["name"] for each in operation["parameters"]} == {"plan", "tenant", "key"}


def test_it_says_which_plan_the_request_would_get_as_it_is(both: Both) -> None:
    plan = both.plan(cache={"backend": None})
    said = [
        both.explain(plan, STORED | fields, key="acme-app").json()["as_sent"]
        for fields in ({}, {"token_saving_plan_id": plan}, {"token_saving_plan_id": "nobody"})
    ]
    assert said == [
        {"plan_name": None, "level": None, "reason": "no-plan"},
        {"plan_name": plan, "level": "request", "reason": ""},
        {"plan_name": None, "level": "request", "reason": "unknown-plan"},
    ]


def test_it_says_which_chats_are_held_out(both: Both) -> None:
    plan = both.plan(cache={}, holdout=0.5)
    said, done = {}, {}
    for name in range(12):
        body = ask("Where is the office?", user=f"user {name}")
        said[name] = both.explain(plan, body, key="acme-app").json()["decision"]["held_out"]
        done[name] = (
            both.chat(plan, body, "acme").headers.get("x-tokenthrift-bypass-reason") == "holdout"
        )
    assert said == done
    assert set(said.values()) == {True, False}
    assert both.explain(plan, ask("Where?"), tenant="acme").json()["decision"]["held_out"] is None
