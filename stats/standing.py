"""What the ledger's tables say about how far behind it is. Two small queries, asked every some seconds beside the requests."""

import time
from dataclasses import dataclass
from uuid import UUID

from stats.models import Unfolded
from stats.selectors import outcome_unknown


@dataclass(frozen=True, slots=True)
class Standing:
    """`fold_lag`: seconds since the oldest request without a roll-up began, 0 when all have theirs; `unknown`: calls never settled."""

    fold_lag: float
    unknown: int


def standing() -> Standing:
    """Raises what the database raises."""
    note = Unfolded.objects.order_by("pk").first()
    lag = time.time() - min(map(_seconds, note.events)) if note is not None and note.events else 0.0
    return Standing(max(0.0, lag), outcome_unknown().count())


def _seconds(event_id: UUID) -> float:
    """When a request began: the first 48 bits of its id are milliseconds (UUIDv7, RFC 9562 section 5.7)."""
    return (event_id.int >> 80) / 1000
