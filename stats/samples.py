"""Samples out of the ledger: what they said, by the id of their row. The ledger is their only store, so nothing else can lose them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from stats.evidence import DAYS, Sample, window
from stats.ids import made
from stats.models import RequestEvent

Key = tuple[int, str]  # plan id, basis
_FIELDS = ("event_id", "at", "score", "similarity", "sample")


def newest(plan_id: int, basis: str, *, limit: float, verified: bool, since: datetime | None = None) -> dict[str, Sample]:
    """All that count for the budget `limit`: the newest of the last days, none from before `since`."""
    oldest = max(filter(None, (since, datetime.now(UTC) - timedelta(days=DAYS))))
    rows = _samples().filter(plan_id=plan_id, basis=basis, **made(oldest)).order_by("-at")[: window(limit)]
    return dict(_read(row, verified) for row in rows.values_list(*_FIELDS))


def lately(keys: Iterable[Key], *, verified: Iterable[Key], seconds: float) -> dict[Key, dict[str, Sample]]:
    """Those of the last `seconds`, for plans under many keys at once. One query."""
    wanted, by_score = set(keys), set(verified)
    found: dict[Key, dict[str, Sample]] = {}
    rows = _samples().filter(plan_id__in={plan for plan, _ in wanted}, **made(datetime.now(UTC) - timedelta(seconds=seconds)))
    for plan_id, basis, *row in rows.values_list("plan_id", "basis", *_FIELDS):
        key = (plan_id, basis)
        if key in wanted:
            name, sample = _read(row, key in by_score)
            found.setdefault(key, {})[name] = sample
    return found


def _samples() -> QuerySet[RequestEvent]:
    return RequestEvent.objects.exclude(sample="").exclude(basis="")


def _read(row: Any, verified: bool) -> tuple[str, Sample]:
    event_id, at, score, similarity, verdict = row
    shown = score if verified else similarity
    return str(event_id), Sample(at.timestamp(), 0.0 if shown is None else shown, verdict)
