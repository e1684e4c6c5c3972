"""Invented requests: as many as asked for, over the days asked for,
and rolled up as recorded ones are."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command

from stats.ledger import partitions, synthetic
from stats.models.requests import RequestEvent
from stats.models.rollups import Pruned, Rollup
from stats.reports.rollup_query import RollupQuery
from stats.reports.totals import compute_totals

pytestmark = pytest.mark.django_db


def test_they_agree_with_their_rollups(
    capsys: pytest.CaptureFixture[str], settings: Any, tmp_path: Any, monkeypatch: Any
) -> None:
    settings.SPOOL_DIR = tmp_path
    monkeypatch.setattr(synthetic, "PORTION_ROWS", 500)
    before = datetime.now(UTC)
    call_command("generate_events", "3000", "--days", "40")
    capsys.readouterr()
    call_command("reconcile", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["agrees"]
    assert RequestEvent.objects.count() == 3000
    newest, oldest = (
        RequestEvent.objects.order_by(order).values_list("at", flat=True).first()
        for order in ("-at", "at")
    )
    assert newest is not None
    assert oldest is not None
    assert timedelta(days=37) < newest - oldest < timedelta(days=41)
    assert newest - before < timedelta(hours=4)
    assert Rollup.objects.filter(grain="minute").exists()
    assert not Rollup.objects.filter(grain="minute", at__lt=before - timedelta(days=22)).exists()
    assert Pruned.objects.filter(what="minute").exists()


def test_they_look_like_traffic() -> None:
    call_command("generate_events", "2000", "--days", "1")
    sums = compute_totals(RollupQuery())
    assert 0.35 < sums.hit_rate < 0.55
    assert sums.saved is not None
    assert 0 < sums.saved < (sums.would_cost or 0)
    assert sums.failed
    assert sums.sampled
    assert RequestEvent.objects.values("plan_id").distinct().count() == 9
    (part,) = [
        part for part in partitions.list_partitions() if part.contains_time(datetime.now(UTC))
    ]
    assert part.name.endswith(f"{datetime.now(UTC):y%Ym%m}")
