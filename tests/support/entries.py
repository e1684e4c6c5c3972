"""Entries of the caches; those of the exact tier sealed as the gateways of the tests seal them."""

import time
from typing import Any

from proxy.core.caching import envelope as envelopes
from proxy.core.caching.envelope import Envelope
from proxy.core.ports import SemanticEntry
from proxy.core.sealing import Sealer
from proxy.core.types import Vector

PEPPER = "pepper"
SEALER = Sealer(PEPPER)
COMPLETION = (
    b'{"choices":[{"index":0,"message":{"role":"assistant","content":"By '
    b'card."},"finish_reason":"stop"}]}'
)


def encode(envelope: Envelope, sealer: Sealer = SEALER) -> bytes:
    """As a store has it."""
    return envelopes.encode_envelope(envelope, sealer)


def decode(value: bytes, sealer: Sealer = SEALER) -> Envelope:
    """Back again. Raises BadEnvelope."""
    return envelopes.decode_envelope(value, sealer)


def envelope(completion: bytes = COMPLETION, **fields: Any) -> Envelope:
    """One that lives for a minute."""
    now = time.time()
    given: dict[str, Any] = {
        "scope": "s",
        "plan_id": 1,
        "created_at": now,
        "expires_at": now + 60,
        "completion": completion,
        "asked_tokens": 3,
        "question_tokens": 2,
        "completion_tokens": 1,
    }
    return Envelope(**(given | fields))


def make_semantic_entry(embedder: str, vector: Vector) -> SemanticEntry:
    """Build an entry of the semantic tier that lives for a minute."""
    now = time.time()
    return SemanticEntry(
        entry_id="e",
        bucket="b",
        scope="s",
        plan_id=1,
        embedder=embedder,
        question="q",
        vector=vector,
        envelope=b"x",
        created_at=now,
        expires_at=now + 60,
    )
