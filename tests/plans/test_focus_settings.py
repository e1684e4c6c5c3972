"""What an old chat is cut down for: the default of each engine, what a change of the engine keeps,
and the plans of before."""

import json
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from plans.models import Plan
from tests.support.management import ONE, PLANS, Manager, refused


def focus_after(platform: Manager, change: dict[str, Any]) -> Any:
    reply = platform.call("PATCH", ONE, {"compression": change})
    assert reply.status_code == 200, reply.content
    return json.loads(reply.content)["compression"]["focus"]


@pytest.mark.django_db
def test_an_engine_takes_the_question_where_it_can(platform: Manager) -> None:
    engines = json.loads(platform.call("GET", "/token-saving/compression-engines").content)["data"]
    assert "question" in [engine["focus"][0] for engine in engines]
    for engine in engines:
        plan = platform.create(plan_name=engine["name"], compression={"engine": engine["name"]})
        assert plan["compression"]["focus"] == engine["focus"][0]


@pytest.mark.django_db
def test_a_question_that_an_engine_cannot_take_is_refused_with_what_can(platform: Manager) -> None:
    body = {"plan_name": "x", "compression": {"engine": "lex_rank", "focus": "question"}}
    message = refused(platform.call("POST", PLANS, body), 400, param="compression.focus")
    assert "Must be one of: none with the engine lex_rank" in message
    assert "text_rank" in message
    platform.create(compression={"engine": "lex_rank"})
    refused(
        platform.call("PATCH", ONE, {"compression": {"focus": "question"}}),
        400,
        param="compression.focus",
    )
    unknown = {"plan_name": "x", "compression": {"engine": "bert", "focus": "question"}}
    assert "compression.focus" not in refused(
        platform.call("POST", PLANS, unknown), 400, param="compression.engine"
    )


@pytest.mark.django_db
def test_a_change_of_the_engine_keeps_what_was_chosen_and_takes_the_best_where_nothing_was(
    platform: Manager,
) -> None:
    platform.create(compression={"focus": "none"})
    assert focus_after(platform, {"max_input_tokens": 512}) == "none"
    assert focus_after(platform, {"engine": "text_rank"}) == "none"
    assert focus_after(platform, {"engine": "trim"}) == "none"
    assert focus_after(platform, {"engine": "text_rank"}) == "question"
    assert focus_after(platform, {"engine": "lsa"}) == "none"
    assert focus_after(platform, {"engine": "text_rank", "focus": "none"}) == "none"


@pytest.mark.django_db
def test_another_focus_is_another_version_and_separates_cached_answers(platform: Manager) -> None:
    platform.create()
    before = Plan.objects.get().build_snapshot()
    focus_after(platform, {"focus": "none"})
    after = Plan.objects.get().build_snapshot()
    assert after.version == before.version + 1
    assert after.answer_digest != before.answer_digest


@pytest.mark.django_db(transaction=True)
def test_plans_of_before_take_the_default_of_their_engine() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate([("plans", "0003_revision_notice")])
    try:
        old = executor.loader.project_state([("plans", "0003_revision_notice")]).apps.get_model(
            "plans", "Plan"
        )
        for engine in ("text_rank", "trim", "lex_rank", "lsa", None):
            old.objects.create(name=f"with-{engine}", compression_engine=engine)
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
    halves = {plan.name: plan.build_snapshot().compression for plan in Plan.objects.all()}
    assert {name: half and half.focus for name, half in halves.items()} == {
        "with-text_rank": "question",
        "with-trim": "none",
        "with-lex_rank": "none",
        "with-lsa": "none",
        "with-None": None,
    }
