"""What is known of an answer that a cache keeps, so that it can be found again by whose and what it is; none of its text."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One stored answer, written before the answer itself. `sent`: the second exact key, of the compressed request, "" without one;
    `route`: the model's name as clients say it; `end_user`: a digest (`proxy.core.end_user`), "" when the request named nobody; `backend`:
    the semantic cache that has it, "" for none; `exact`: whether the exact tier has it; `bytes`: in all of them together; times in epoch
    seconds."""

    entry_id: str
    sent: str
    tenant_id: int
    tenant: str
    plan_id: int
    plan: str
    route: str
    namespace: str
    end_user: str
    backend: str
    exact: bool
    bytes: int
    created_at: float
    expires_at: float
