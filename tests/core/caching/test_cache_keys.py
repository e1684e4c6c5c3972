"""Which requests share an entry, and which must not."""

from dataclasses import replace
from typing import Any

import pytest

from plans.snapshot import (
    CacheSettings,
    CompressionSettings,
    ContextMatching,
    KeySnapshot,
    PlanSnapshot,
)
from proxy.core.caching.cache_keys import bucket_key, exact_key, scope_digest
from proxy.core.config import ProviderEndpoint, Route

PLAN = PlanSnapshot(id=1, name="p", version=1, cache=CacheSettings())
ROUTE = Route(
    id=1,
    name="m",
    version=1,
    upstream=ProviderEndpoint(id=1, name="u", base_url="http://u"),
    model="gpt-4o-mini",
)
KEY = KeySnapshot(id=1, name="k", digest="d", tenant_id=1, tenant="t")
BODY: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}],
    "temperature": 0,
}


def key(
    body: dict[str, object] = BODY,
    scope: str = "s",
    plan: PlanSnapshot = PLAN,
    route: Route = ROUTE,
) -> str:
    return exact_key(body, scope=scope, plan=plan, route=route)


def bucket(body: dict[str, object] = BODY) -> str:
    return bucket_key(body, scope="s", plan=PLAN, route=ROUTE)


def test_key_order_does_not_matter() -> None:
    assert key(dict(reversed(BODY.items()))) == key()


@pytest.mark.parametrize(
    "field",
    [
        "stream",
        "stream_options",
        "metadata",
        "store",
        "safety_identifier",
        "prompt_cache_key",
        "service_tier",
        "user",
    ],
)
def test_fields_that_do_not_change_the_answer_are_left_out(field: str) -> None:
    assert key(BODY | {field: "x"}) == key()


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 1},
        {"seed": 1},
        {"a_parameter_of_next_year": True},
        {"messages": [{"role": "user", "content": "q"}]},
        {"model": "n"},
    ],
)
def test_anything_else_separates_answers(change: dict[str, object]) -> None:
    assert key(BODY | change) != key()


def test_scope_plan_and_route_separate_answers() -> None:
    compressed = replace(PLAN, compression=CompressionSettings(engine="trim", max_input_tokens=64))
    others = [
        key(scope="t"),
        key(plan=replace(PLAN, id=2)),
        key(plan=compressed),
        key(route=replace(ROUTE, version=2)),
        key(route=replace(ROUTE, id=2)),
    ]
    assert len({key(), *others}) == 6


def test_a_plan_edit_that_changes_no_answer_keeps_its_entries() -> None:
    edited = replace(PLAN, version=2, cache=CacheSettings(similarity_threshold=0.9, ttl=60))
    assert key(plan=edited) == key()


def test_the_bucket_leaves_out_the_final_message_and_nothing_else() -> None:
    asked = {
        **BODY,
        "messages": [*BODY["messages"][:-1], {"role": "user", "content": "another question"}],
    }
    other_system = {
        **BODY,
        "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "q"}],
    }
    assert bucket(asked) == bucket()
    assert len({bucket(), bucket(other_system), bucket(BODY | {"temperature": 1}), key()}) == 4


def test_scope_narrows_and_never_widens() -> None:
    by = {
        kind: replace(PLAN, cache=CacheSettings(scope=kind)) for kind in ("tenant", "key", "user")
    }
    other_key, other_tenant = replace(KEY, id=2), replace(KEY, tenant_id=2)
    assert scope_digest(by["tenant"], KEY, user="a", namespace=None) == scope_digest(
        by["tenant"], other_key, user="b", namespace=None
    )
    digests = [
        scope_digest(by["tenant"], KEY, user="a", namespace=None),
        scope_digest(by["tenant"], other_tenant, user="a", namespace=None),
        scope_digest(by["tenant"], KEY, user="a", namespace="n"),
        scope_digest(by["key"], KEY, user="a", namespace=None),
        scope_digest(by["key"], other_key, user="a", namespace=None),
        scope_digest(by["user"], KEY, user="a", namespace=None),
        scope_digest(by["user"], KEY, user="b", namespace=None),
        scope_digest(by["user"], other_tenant, user="a", namespace=None),
    ]
    assert None not in digests
    assert len(set(digests)) == len(digests)


def test_a_plan_scoped_by_user_has_no_scope_without_one() -> None:
    assert (
        scope_digest(
            replace(PLAN, cache=CacheSettings(scope="user")), KEY, user=None, namespace="n"
        )
        is None
    )


HISTORY: list[dict[str, Any]] = [
    {"role": "system", "content": "s"},
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": "b"},
    {"role": "user", "content": "q"},
]


def bucket_of(messages: list[dict[str, Any]], context: ContextMatching, **fields: Any) -> str:
    plan = replace(PLAN, cache=CacheSettings(context=context))
    return bucket_key(
        {"model": "m", "messages": messages} | fields,
        scope="s",
        plan=plan,
        route=ROUTE,
        context=context,
    )


@pytest.mark.parametrize("context", ["window", "last_message"])
def test_turns_are_no_part_of_the_bucket_where_they_are_compared_by_meaning(
    context: ContextMatching,
) -> None:
    others = [
        HISTORY[0],
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "y"},
        {"role": "user", "content": "c"},
    ]
    assert bucket_of(HISTORY, context) == bucket_of(others, context)
    assert bucket_of(HISTORY, "strict") != bucket_of(others, "strict")


@pytest.mark.parametrize("context", ["strict", "window", "last_message"])
def test_whatever_a_message_carries_beside_its_text_is_part_of_the_bucket(
    context: ContextMatching,
) -> None:
    said = {"role": "user", "content": "q"}
    part = {"type": "text", "text": "q"}
    others: list[dict[str, Any]] = [
        said | {"name": "Ann"},
        said | {"name": "Bob"},
        said | {"unknown": {}},
        {"role": "user", "content": [part | {"cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": [part | {"note": "x"}]},
    ]
    assert (
        len({bucket_of([*HISTORY[:3], each], context) for each in (said, *others)})
        == len(others) + 1
    )
    assert bucket_of([*HISTORY[:3], {"role": "user", "content": [part]}], context) == bucket_of(
        [*HISTORY[:3], said], context
    )


def test_who_said_what_is_part_of_the_bucket() -> None:
    ann, bob = ({"role": "user", "content": "q", "name": name} for name in ("Ann", "Bob"))
    assert bucket_of([ann, bob, ann], "window") != bucket_of([ann, bob, bob], "window")
    assert bucket_of([ann, bob], "window") != bucket_of([bob, ann], "window")
    assert bucket_of([ann, ann, bob], "window") == bucket_of([ann, bob], "window")


@pytest.mark.parametrize("context", ["window", "last_message"])
def test_all_else_is(context: ContextMatching) -> None:
    late = {"role": "system", "content": "From now on in French."}
    others = [
        bucket_of(HISTORY[1:], context),
        bucket_of(HISTORY, context, temperature=0.5),
        bucket_of([{"role": "developer", "content": "s"}, *HISTORY[1:]], context),
        bucket_of([*HISTORY[:3], late, HISTORY[3]], context),
        bucket_of([*HISTORY[:1], late, *HISTORY[1:]], context),
        bucket_of([*HISTORY[:3], HISTORY[3] | {"name": "Anna"}], context),
        *(
            bucket_of(HISTORY, other)
            for other in ("strict", "window", "last_message")
            if other != context
        ),
    ]
    assert len({bucket_of(HISTORY, context), *others}) == len(others) + 1


def test_what_an_sdk_echoes_of_its_answers_without_saying_anything_is_none() -> None:
    echoed = [*HISTORY[:2], HISTORY[2] | {"refusal": None, "annotations": []}, HISTORY[3]]
    assert bucket_of(echoed, "window") == bucket_of(HISTORY, "window")


def test_a_bucket_s_work_grows_with_the_messages_and_no_faster() -> None:
    """Many empty messages, each different by its place: every one is looked at once."""
    compared = 0

    class Counted(dict[str, Any]):
        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return super().__eq__(other)

        __hash__ = None

    plan = replace(PLAN, cache=CacheSettings(context="window"))
    for number in (500, 2000):
        compared = 0
        messages = [
            Counted(role="system", content=""),
            *(Counted(role="user", content="", name=str(n)) for n in range(number)),
        ]
        bucket_key({"messages": messages}, scope="s", plan=plan, route=ROUTE, context="window")
        assert compared <= number
