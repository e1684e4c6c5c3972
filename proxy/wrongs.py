"""A cached answer was wrong: said by a client or by staff, once for each request, and taken back by staff."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from plans.models import Plan
from proxy import bridge
from proxy.core.doubts import penalty
from proxy.core.envelope import BadEnvelope
from proxy.core.ports import SemanticEntry
from proxy.models import EvictedAnswer, WrongAnswer
from proxy.pipeline.evict import Held, holdings, remove, restore
from stats.models import RequestEvent

SECONDS = 10.0
STANDS = timedelta(days=30)


class NotCached(Exception):
    """The answer of this request came from the provider: there is nothing to take out of a cache."""


def mark_wrong(event: RequestEvent, *, said_by: str) -> WrongAnswer:
    """Evict what answered this request (or would have, in shadow) with its neighbours, and raise the threshold around it. The second time
    nothing happens. Waits for the caches, so not for the loop's own thread.

    Raises NotCached, or bridge.Elsewhere and TimeoutError when the caches cannot be reached from here.
    """
    if known := WrongAnswer.objects.filter(event_id=event.event_id).first():
        return known
    if not event.entry_id:
        raise NotCached
    found = bridge.run(lambda tools: holdings(tools, event.entry_id), seconds=SECONDS)
    held = [each for each in found if _was_there(each, event)]
    try:
        with transaction.atomic():
            said = WrongAnswer.objects.create(**_said(event, found), said_by=said_by)
            EvictedAnswer.objects.bulk_create(EvictedAnswer(said=said, **_row(each)) for each in held)
            RequestEvent.objects.filter(pk=event.pk).update(wrong=True)
    except IntegrityError:  # said twice at the same moment
        return WrongAnswer.objects.get(event_id=event.event_id)
    bridge.run(lambda tools: remove(tools, held), seconds=SECONDS)
    return said


def undo(said: WrongAnswer, *, by: str) -> int:
    """Take the word back: what has not expired is stored again, and the threshold falls; the number of stored answers put back. The second
    time nothing happens. Raises bridge.Elsewhere or TimeoutError."""
    if said.undone_at is not None:
        return 0
    held = [_held(row) for row in said.evicted.filter(expires_at__gt=time.time())]
    restored = bridge.run(lambda tools: restore(tools, held), seconds=SECONDS)
    WrongAnswer.objects.filter(pk=said.pk).update(undone_at=timezone.now(), undone_by=by)
    RequestEvent.objects.filter(pk=said.event_id).update(wrong=False)
    return restored


def forget_expired() -> int:
    """Remove what was evicted and could not be put back any more; the number removed. On a connection of its own."""
    try:
        return EvictedAnswer.objects.filter(expires_at__lte=time.time()).delete()[0]
    finally:
        connections.close_all()


def others_served(said: WrongAnswer) -> "list[RequestEvent]":
    """The tenant's other requests that got the same answer, the newest first, 100 at most."""
    if said.answered_at is None:
        return []
    served = RequestEvent.objects.filter(tenant_id=said.tenant_id, at__gte=said.answered_at, entry_id=said.entry_id)
    return list(served.filter(tier__in=("exact", "semantic")).exclude(pk=said.event_id).order_by("-at")[:100])


def _was_there(held: Held, event: RequestEvent) -> bool:
    """Whether the answer is older than the request: what was stored since was asked anew, perhaps because of it."""
    try:
        return held.envelope.created_at <= event.at.timestamp() + 1
    except BadEnvelope:
        return False


def _said(event: RequestEvent, found: list[Held]) -> dict[str, Any]:
    """The fields of a WrongAnswer. Somebody else may have had the entry evicted already."""
    before = EvictedAnswer.objects.filter(entry_id=event.entry_id, said__undone_at=None)
    held = [*(each for each in found if each.entry_id == event.entry_id), *map(_held, before)]
    answer = next((each for each in held if _was_there(each, event)), None)
    entry = next((each.entry for each in held if each.entry), None)
    radius, threshold = _penalty(event) if entry else (None, None)
    return {
        **{
            name: getattr(event, name) for name in ("event_id", "tenant_id", "tenant", "plan_id", "plan", "entry_id", "similarity", "score")
        },
        "bucket": entry.bucket if entry else "",
        "embedder": entry.embedder if entry else "",
        "embedding": _bytes(entry),
        "radius": radius,
        "threshold": threshold,
        "answered_at": datetime.fromtimestamp(answer.envelope.created_at, UTC) if answer else None,
        "until": timezone.now() + STANDS,
    }


def _penalty(event: RequestEvent) -> tuple[float | None, float | None]:
    """None for an identical request: its answer was wrong for its own question, which no threshold mends."""
    if event.similarity is None:
        return None, None
    verified = event.score is not None and Plan.objects.filter(pk=event.plan_id or 0, match=Plan.Match.VERIFIED).exists()
    return penalty(event.similarity, event.score if verified and event.score is not None else event.similarity)


def _row(held: Held) -> dict[str, Any]:
    """The fields of an EvictedAnswer."""
    envelope, entry = held.envelope, held.entry
    row = {"entry_id": held.entry_id, "tier": held.tier, "value": held.value, "similarity": held.similarity}
    row |= {name: getattr(envelope, name) for name in ("scope", "plan_id", "created_at", "expires_at")}
    if entry:
        row |= {"bucket": entry.bucket, "embedder": entry.embedder, "question": entry.question, "embedding": _bytes(entry)}
    return row


def _held(row: EvictedAnswer) -> Held:
    value, names = bytes(row.value), ("entry_id", "bucket", "scope", "plan_id", "embedder", "question", "created_at", "expires_at")
    entry = None
    if row.bucket:
        vector = np.frombuffer(row.embedding, np.float32)
        entry = SemanticEntry(**{name: getattr(row, name) for name in names}, vector=vector, envelope=value)
    return Held(entry_id=row.entry_id, tier=row.tier, value=value, similarity=row.similarity, entry=entry)


def _bytes(entry: SemanticEntry | None) -> bytes:
    return entry.vector.astype(np.float32).tobytes() if entry else b""
