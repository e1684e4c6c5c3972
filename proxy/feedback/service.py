"""Report a cached answer as wrong, once per request, and withdraw the report."""

import time
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, connections, transaction
from django.db.models import Count, DateTimeField, ExpressionWrapper, F, Q
from django.utils import timezone

from proxy import bridge
from proxy.feedback.eviction import find_copies, remove_copies, restore_copies
from proxy.feedback.eviction_rows import (
    build_eviction_fields,
    build_report_fields,
    find_latest_answer_time,
    is_older_than_request,
    load_copy,
)
from proxy.models import EvictedAnswer, WrongAnswer
from stats.ledger import deletions
from stats.models.cache_entries import CacheEntry
from stats.models.requests import RequestEvent
from stats.request_id_times import build_time_conditions

CACHES_TIMEOUT_SECONDS = 10.0
MAX_LISTED_RECIPIENTS: Final = 100
# The longest time between the start of a request and the storing of its answer.
MAX_CALL_DURATION: Final = timedelta(hours=1)
HIT_TIERS: Final = ("exact", "semantic")


class NotCached(Exception):
    """The answer came from the provider, so there is nothing to evict."""


def report_wrong_answer(event: RequestEvent, *, said_by: str) -> WrongAnswer:
    """Evict what answered this request, with its neighbours, and raise the threshold around it.

    Under shadow mode, what would have answered it. A repeated report changes nothing. Blocks, so
    not for the loop's own thread. Raises NotCached, or bridge.GatewayNotRunning and TimeoutError
    when the caches cannot be reached from this process.
    """
    if known := WrongAnswer.objects.filter(event_id=event.event_id).first():
        return known
    if not event.entry_id or (event.tier in ("miss", "bypass") and not event.would):
        raise NotCached
    found = bridge.run_in_loop(
        lambda tools: find_copies(tools, event.entry_id), seconds=CACHES_TIMEOUT_SECONDS
    )
    held = [each for each in found if is_older_than_request(each, event)]
    try:
        with transaction.atomic():
            said = WrongAnswer.objects.create(**build_report_fields(event, found), said_by=said_by)
            EvictedAnswer.objects.bulk_create(
                EvictedAnswer(said=said, **build_eviction_fields(each)) for each in held
            )
            RequestEvent.objects.filter(pk=event.pk).update(wrong=True)
    except IntegrityError:  # reported twice at the same moment
        return WrongAnswer.objects.get(event_id=event.event_id)
    bridge.run_in_loop(lambda tools: remove_copies(tools, held), seconds=CACHES_TIMEOUT_SECONDS)
    if all(each.entry_id != event.entry_id for each in found):
        _mark_unread_deleted(event)
    return said


def _mark_unread_deleted(event: RequestEvent) -> None:
    """Have the workers delete an answer that could not be read."""
    # As soon as its store is back, or under a former embedder.
    unread = deletions.find_entries(deletions.EntryFilter(entry_id=event.entry_id)).filter(
        created_at__lte=find_latest_answer_time(event)
    )
    deletions.mark_deleted(unread, at=timezone.now())


def withdraw_report(said: WrongAnswer, *, by: str) -> int:
    """Withdraw a report: restore what has not expired and lower the threshold.

    Returns the number of answers restored; 0 if it was withdrawn before. Raises
    bridge.GatewayNotRunning or TimeoutError.
    """
    if said.undone_at is not None:
        return 0
    held = [load_copy(row) for row in said.evicted.filter(expires_at__gt=time.time())]
    restored = bridge.run_in_loop(
        lambda tools: restore_copies(tools, held), seconds=CACHES_TIMEOUT_SECONDS
    )
    WrongAnswer.objects.filter(pk=said.pk).update(undone_at=timezone.now(), undone_by=by)
    RequestEvent.objects.filter(pk=said.event_id).update(wrong=False)
    return restored


def delete_expired_evictions() -> int:
    """Delete evicted answers that can no longer be restored; return how many.

    Closes its database connections.
    """
    try:
        return EvictedAnswer.objects.filter(expires_at__lte=time.time()).delete()[0]
    finally:
        connections.close_all()


@dataclass(frozen=True, slots=True)
class Recipients:
    """The tenant's other requests that got an answer."""

    # `MAX_LISTED_RECIPIENTS` at most.
    newest_events: list[RequestEvent]
    # The request it was made for, if the ledger has it.
    origin_id: uuid.UUID | None
    # All of them by role, such as {"exact": 4}.
    counts_by_role: dict[str, int]

    def get_role(self, row: RequestEvent) -> str:
        return _find_role(row, self.origin_id)


def find_other_recipients(said: WrongAnswer) -> Recipients:
    """Find who else got the same answer: the original request, its followers and the hits."""
    if said.answered_at is None:
        return Recipients([], None, {})
    ids = {said.entry_id, *_list_entry_ids(said.entry_id)}
    rows = RequestEvent.objects.filter(
        tenant_id=said.tenant_id,
        entry_id__in=ids,
        **build_time_conditions(said.answered_at - MAX_CALL_DURATION),
    )
    made_for = (
        rows.filter(tier="miss", would="", collapsed=False, at__lte=said.answered_at)
        .order_by("-at")
        .first()
    )
    since = made_for.at if made_for else said.answered_at
    got_it = Q(tier__in=HIT_TIERS) | Q(pk=made_for.pk if made_for else None)
    # A follower may have come before the request whose call it then shared.
    ended = ExpressionWrapper(
        F("at") + F("duration_ms") * timedelta(milliseconds=1), output_field=DateTimeField()
    )
    others = (
        rows.alias(ended=ended)
        .filter(got_it, Q(at__gte=since) | Q(collapsed=True, ended__gte=since))
        .exclude(pk=said.event_id)
    )
    origin = made_for.pk if made_for else None
    counted = others.values_list("tier", "collapsed").annotate(number=Count("event_id")).order_by()
    roles: Counter[str] = Counter()
    for tier, collapsed, number in counted:
        roles["origin" if tier == "miss" else "follower" if collapsed else tier] += number
    return Recipients(list(others.order_by("-at")[:MAX_LISTED_RECIPIENTS]), origin, dict(roles))


def _find_role(row: RequestEvent, origin: uuid.UUID | None) -> str:
    return "origin" if row.pk == origin else "follower" if row.collapsed else row.tier


def _list_entry_ids(entry_id: str) -> list[str]:
    """Return the ids of an entry: a compressed chat has two, as asked and as sent."""
    found = CacheEntry.objects.filter(Q(pk=entry_id) | Q(sent=entry_id)).values_list("pk", "sent")
    return [each for pair in found for each in pair if each]
