"""`manage.py reconcile` finds what does not agree, and nothing else."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from plans.models import Plan, Tenant
from stats.events import Event
from stats.ledger.inserts import INSERT_EVENTS_SQL
from stats.models.requests import DeadLetter, RequestEvent, SpoolCursor, UpstreamAttempt
from stats.models.rollups import Pruned, Rollup
from tests.stats.ledger.test_rollup import NOON, some
from tests.support.events import id_at, make_event
from tests.support.recorded import store

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], settings: Any, tmp_path: Path
) -> Callable[..., tuple[bool, dict[str, Any]]]:
    """Run it: whether it ended with 0, and what it said."""
    settings.SPOOL_DIR = tmp_path / "spool"
    settings.SPOOL_DIR.mkdir()

    def reconcile(*arguments: str) -> tuple[bool, dict[str, Any]]:
        capsys.readouterr()
        code: Any = 0
        try:
            call_command("reconcile", "--json", *arguments)
        except SystemExit as error:
            code = error.code
        found = json.loads(capsys.readouterr().out)
        assert code == (0 if found["agrees"] else 1)
        return code == 0, found

    return reconcile


def wrong(found: dict[str, Any]) -> list[str]:
    return [check["name"] for check in found["checks"] if not check["holds"]]


def ledger(folder: Path, *calls: dict[str, Any]) -> str:
    file = folder / "ledger.json"
    file.write_text(json.dumps({"calls": calls}))
    return str(file)


def call_of(event: Event, **changes: Any) -> dict[str, Any]:
    """The provider's view of a call."""
    return {
        "id": event.event_id,
        "model": event.model,
        "prompt_tokens": event.prompt_tokens,
        "completion_tokens": event.completion_tokens,
        "cost_usd": str(event.billed_cost),
    } | changes


def test_what_was_recorded_agrees(run: Any) -> None:
    store(*(event for event in some(300, seed=3) if event.tier not in ("exact", "semantic")))
    store(make_event(tier="exact", attempts=0), make_event(tier="semantic", attempts=1, stale=True))
    assert run()[0]


def test_nothing_recorded_agrees(run: Any) -> None:
    agrees, found = run()
    assert agrees
    assert found["outcome_unknown"] == []


@pytest.mark.parametrize("column", ["requests", "prompt_tokens", "billed_cost", "streamed"])
@pytest.mark.parametrize("grain", ["minute", "hour", "day"])
@pytest.mark.parametrize("cut", ["plan", "full"])
def test_a_sum_that_is_one_off_is_found(run: Any, column: str, grain: str, cut: str) -> None:
    store(make_event(), make_event(plan_id=2))
    row = Rollup.objects.get(grain=grain, cut=cut, plan_id=2)
    Rollup.objects.filter(grain=grain, cut=cut, plan_id=2).update(
        **{column: getattr(row, column) + 1}
    )
    agrees, found = run()
    assert not agrees
    assert wrong(found) == [f"roll-ups by {grain}, {cut} cut"]
    (check,) = [check for check in found["checks"] if not check["holds"]]
    assert column in check["differences"][0]


def test_a_lost_and_a_superfluous_rollup_are_found(run: Any) -> None:
    store(make_event(), make_event(plan_id=2))
    Rollup.objects.filter(grain="day", cut="plan", plan_id=1).delete()
    RequestEvent.objects.filter(plan_id=2).delete()
    _, found = run()
    said = " ".join(line for check in found["checks"] for line in check["differences"])
    assert "requests without a roll-up" in said
    assert "a roll-up without requests" in said


def test_requests_not_folded_in_yet_are_no_difference(run: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(INSERT_EVENTS_SQL.decode(), (orjson.dumps([make_event()], default=str),))
    agrees, found = run()
    assert agrees
    assert found["unfolded"] == 1


def test_a_paid_hit_a_dead_letter_and_an_id_of_another_time_are_found(run: Any) -> None:
    store(make_event(tier="exact", attempts=1), make_event(event_id=id_at(NOON.timestamp())))
    DeadLetter.objects.create(line=b"x", reason="y")
    _, found = run()
    assert wrong(found) == [
        "a hit has no upstream attempt",
        "ids were made at their time",
        "every line of the spool was stored",
    ]


def test_days_that_lost_requests_to_pruning_are_left_out(run: Any) -> None:
    store(make_event(at=NOON.timestamp()), make_event(at=NOON.timestamp() + 86_400))
    RequestEvent.objects.filter(at__lt=NOON.replace(hour=13)).delete()
    assert not run()[0]
    Pruned.objects.create(what="event", before=NOON.replace(hour=13))
    assert run()[0]


def test_minutes_that_were_pruned_are_left_out(run: Any) -> None:
    store(make_event(at=NOON.timestamp()), make_event())
    Rollup.objects.filter(grain="minute", at__lt=NOON.replace(hour=13)).delete()
    assert not run()[0]
    Pruned.objects.create(what="minute", before=NOON.replace(hour=13))
    assert run()[0]


def test_calls_of_unknown_outcome_are_listed_one_by_one(run: Any, acme: Tenant) -> None:
    plan = Plan.objects.create(name="desk", tenant=acme)
    now = datetime.now(UTC)
    fields: dict[str, Any] = {
        "at": now,
        "tenant_id": acme.pk,
        "plan_id": plan.pk,
        "upstream": "openai",
        "model": "gpt-4o",
    }
    lost = UpstreamAttempt.objects.create(event_id=id_at(now.timestamp()), worker="gone", **fields)
    UpstreamAttempt.objects.create(event_id=id_at(now.timestamp()), worker="alive", **fields)
    SpoolCursor.objects.create(file="alive.000001.jsonl", worker="alive", seen_at=now)
    agrees, found = run()
    assert agrees
    (shown,) = found["outcome_unknown"]
    assert shown["id"] == str(lost.pk)
    assert (shown["tenant"], shown["plan"], shown["upstream"], shown["model"]) == (
        "acme",
        "desk",
        "openai",
        "gpt-4o",
    )
    assert found["in_flight"] == 1


def test_what_waits_in_the_spool_is_told(run: Any, settings: Any) -> None:
    (settings.SPOOL_DIR / "w.000001.jsonl").write_bytes(b"x" * 100)
    (settings.SPOOL_DIR / "v.000001.jsonl").write_bytes(b"x" * 30)
    SpoolCursor.objects.create(
        file="w.000001.jsonl", worker="w", offset=60, seen_at=datetime.now(UTC)
    )
    assert run()[1]["spooled_bytes"] == 70


def test_a_provider_that_lists_the_same_agrees(run: Any, tmp_path: Path) -> None:
    settled, left, refused, lost = (
        make_event(),
        make_event(estimated=True),
        make_event(attempts=0),
        make_event(),
    )
    later = make_event(at=datetime.now(UTC).timestamp() + 5)
    store(settled, left, refused, later)
    UpstreamAttempt.objects.create(event_id=lost.event_id, at=datetime.now(UTC), worker="gone")
    calls = (
        call_of(settled),
        call_of(left, completion_tokens=18, cost_usd="0.000025"),
        call_of(lost),
    )
    agrees, found = run("--upstream", ledger(tmp_path, *calls))
    assert agrees, wrong(found)


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"cost_usd": "0.000027000001"}, "settled calls agree"),
        ({"prompt_tokens": 101}, "settled calls agree"),
        ({"id": id_at(NOON.timestamp())}, "every call of the provider is known here"),
    ],
)
def test_a_provider_that_billed_something_else_is_found(
    run: Any, tmp_path: Path, change: dict[str, Any], check: str
) -> None:
    event, other = make_event(), make_event()
    store(event, other)
    agrees, found = run("--upstream", ledger(tmp_path, call_of(event, **change), call_of(other)))
    assert not agrees
    assert check in wrong(found)


def test_an_estimate_that_is_a_cent_off_is_found(run: Any, tmp_path: Path) -> None:
    event = make_event(estimated=True)
    store(event)
    cost = Decimal("0.01") + (event.billed_cost or 0)
    assert wrong(run("--upstream", ledger(tmp_path, call_of(event, cost_usd=str(cost))))[1]) == [
        "estimated calls agree to the cent"
    ]


def test_a_ledger_that_is_none_is_refused(run: Any, tmp_path: Path) -> None:
    (tmp_path / "ledger.json").write_text("[]")
    with pytest.raises(CommandError, match="no ledger of calls"):
        run("--upstream", str(tmp_path / "ledger.json"))


def test_text_says_the_same(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    store(make_event())
    UpstreamAttempt.objects.create(
        event_id=id_at(NOON.timestamp()), at=NOON, worker="gone", upstream="openai", model="gpt-4o"
    )
    call_command("reconcile")
    told = capsys.readouterr().out
    assert told.count("agrees ") == 10
    assert "unknown  1 calls" in told
    assert f"{id_at(NOON.timestamp())[:13]}" in told
    assert told.endswith("All 10 checks agree.\n")
    Rollup.objects.filter(grain="day", cut="full").update(requests=7)
    with pytest.raises(SystemExit):
        call_command("reconcile")
    told = capsys.readouterr().out
    assert "DIFFERS  roll-ups by day, full cut" in told
    assert "requests 1 by the requests, 7 rolled up" in told
