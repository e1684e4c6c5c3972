"""Entries of the exact tier."""

import time

from proxy.core.envelope import Envelope


def envelope(completion: bytes = b'{"x":1}') -> Envelope:
    """One that lives for a minute."""
    now = time.time()
    return Envelope(
        scope="s",
        plan_id=1,
        created_at=now,
        expires_at=now + 60,
        completion=completion,
        asked_tokens=3,
        question_tokens=2,
        completion_tokens=1,
    )
