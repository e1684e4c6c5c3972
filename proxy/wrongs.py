"""A cached answer was wrong: said by a client or by staff, once for each request, and taken back by staff."""

import time

from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from proxy import bridge
from proxy.models import EvictedAnswer, WrongAnswer
from proxy.pipeline.evict import holdings, remove, restore
from proxy.wrong_rows import evicted_fields, held_of, said_fields, was_there
from stats import erasures
from stats.ids import made
from stats.models import RequestEvent

SECONDS = 10.0


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
    held = [each for each in found if was_there(each, event)]
    try:
        with transaction.atomic():
            said = WrongAnswer.objects.create(**said_fields(event, found), said_by=said_by)
            EvictedAnswer.objects.bulk_create(EvictedAnswer(said=said, **evicted_fields(each)) for each in held)
            RequestEvent.objects.filter(pk=event.pk).update(wrong=True)
    except IntegrityError:  # said twice at the same moment
        return WrongAnswer.objects.get(event_id=event.event_id)
    bridge.run(lambda tools: remove(tools, held), seconds=SECONDS)
    if all(each.entry_id != event.entry_id for each in found):
        _doom(event)
    return said


def _doom(event: RequestEvent) -> None:
    """Have the workers delete an answer that could not be read, and so not be told from others: as soon as its store is back, or where a
    former embedder has it."""
    unread = erasures.entries(erasures.Filter(entry_id=event.entry_id)).filter(created_at__lte=event.at)
    erasures.doom(unread, at=timezone.now())


def undo(said: WrongAnswer, *, by: str) -> int:
    """Take the word back: what has not expired is stored again, and the threshold falls; the number of stored answers put back. The second
    time nothing happens. Raises bridge.Elsewhere or TimeoutError."""
    if said.undone_at is not None:
        return 0
    held = [held_of(row) for row in said.evicted.filter(expires_at__gt=time.time())]
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
    served = RequestEvent.objects.filter(tenant_id=said.tenant_id, entry_id=said.entry_id, **made(said.answered_at))
    return list(served.filter(tier__in=("exact", "semantic")).exclude(pk=said.event_id).order_by("-at")[:100])
