"""Convert between stored answers and the rows of feedback reports."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.utils import timezone

from plans.models import Plan
from proxy.core.config import compute_penalty
from proxy.core.ports import SemanticEntry
from proxy.feedback.eviction import StoredCopy, decode_copy
from proxy.models import EvictedAnswer
from proxy.sealer import get_sealer
from stats.models.requests import RequestEvent

REPORT_LIFETIME = timedelta(days=30)


def find_latest_answer_time(event: RequestEvent) -> datetime:
    """Return by when the answer existed."""
    # A follower got the answer before it was stored, when its own request ended.
    return event.at + timedelta(milliseconds=event.duration_ms) if event.collapsed else event.at


def is_older_than_request(held: StoredCopy, event: RequestEvent) -> bool:
    """Return whether the answer is older than the request."""
    # What was stored later was asked anew, perhaps because of the wrong answer.
    return (
        held.envelope is not None
        and held.envelope.created_at <= find_latest_answer_time(event).timestamp() + 1
    )


def build_report_fields(event: RequestEvent, found: list[StoredCopy]) -> dict[str, Any]:
    """Return the fields of a WrongAnswer."""
    # Another report may have evicted the entry already.
    before = EvictedAnswer.objects.filter(entry_id=event.entry_id, said__undone_at=None)
    held = [*(each for each in found if each.entry_id == event.entry_id), *map(load_copy, before)]
    answer = next((each for each in held if is_older_than_request(each, event)), None)
    entry = next((each.entry for each in held if each.entry and each.envelope), None)
    radius, threshold = _compute_event_penalty(event) if entry else (None, None)
    return {
        **{
            name: getattr(event, name)
            for name in (
                "event_id",
                "tenant_id",
                "tenant",
                "plan_id",
                "plan",
                "entry_id",
                "similarity",
                "score",
            )
        },
        "bucket": entry.bucket if entry else "",
        "embedder": entry.embedder if entry else "",
        "embedding": _encode_vector(entry),
        "radius": radius,
        "threshold": threshold,
        "answered_at": datetime.fromtimestamp(answer.envelope.created_at, UTC)
        if answer and answer.envelope
        else None,
        "until": timezone.now() + REPORT_LIFETIME,
    }


def _compute_event_penalty(event: RequestEvent) -> tuple[float | None, float | None]:
    """Return the penalty's radius and threshold, both None for an exact hit."""
    # The answer was wrong for its own question, which no threshold fixes.
    if event.similarity is None:
        return None, None
    verified = (
        event.score is not None
        and Plan.objects.filter(pk=event.plan_id or 0, match="verified").exists()
    )
    return compute_penalty(
        event.similarity, event.score if verified and event.score is not None else event.similarity
    )


def build_eviction_fields(held: StoredCopy) -> dict[str, Any]:
    """Return the fields of an EvictedAnswer."""
    envelope, entry = held.envelope, held.entry
    assert envelope is not None  # noqa: S101 -- undecodable copies are never older
    row = {
        "entry_id": held.entry_id,
        "tier": held.tier,
        "value": held.value,
        "similarity": held.similarity,
    }
    row |= {
        name: getattr(envelope, name) for name in ("scope", "plan_id", "created_at", "expires_at")
    }
    if entry:
        row |= {
            "bucket": entry.bucket,
            "embedder": entry.embedder,
            "question": entry.question,
            "embedding": _encode_vector(entry),
        }
    return row


def load_copy(row: EvictedAnswer) -> StoredCopy:
    """Load an evicted answer as it was stored, decoded."""
    value, names = (
        bytes(row.value),
        (
            "entry_id",
            "bucket",
            "scope",
            "plan_id",
            "embedder",
            "question",
            "created_at",
            "expires_at",
        ),
    )
    entry = None
    if row.bucket:
        vector = np.frombuffer(row.embedding, np.float32)
        entry = SemanticEntry(
            **{name: getattr(row, name) for name in names}, vector=vector, envelope=value
        )
    held = StoredCopy(
        entry_id=row.entry_id, tier=row.tier, value=value, similarity=row.similarity, entry=entry
    )
    return decode_copy(get_sealer(), held)


def _encode_vector(entry: SemanticEntry | None) -> bytes:
    return entry.vector.astype(np.float32).tobytes() if entry else b""
