"""What is kept of a request for a few days, so that another plan can be tried on it: which requests are one and the same, and how near
their questions are. None of its text."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Imprint:
    """`asked`: 32 hex characters of the exact key, the same for identical requests; `bucket`: likewise of what must be identical for
    questions to be compared, "" where they are not; `end_user`: a digest (`proxy.core.end_user`), "" for nobody; `vector`: of the question,
    base64 of one signed byte a dimension, "" where it was not embedded. `at` in epoch seconds."""

    event_id: str
    at: float
    tenant_id: int
    plan_id: int
    key_id: int
    asked: str
    bucket: str
    end_user: str
    vector: str
