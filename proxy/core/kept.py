"""What the ledger is told of an answer that is about to be stored."""

from collections.abc import Sequence

from proxy.core.end_user import end_user_digest
from proxy.core.envelope import Envelope
from proxy.core.exchange import Call, Keys
from proxy.core.ports import SemanticEntry
from stats.kept import Kept


def kept_of(
    call: Call, keys: Keys, envelope: Envelope, *, exact: Sequence[str], entry: SemanticEntry | None, size: int, ttl: int, pepper: str
) -> Kept:
    """`exact`: the keys it is stored under in the exact tier, `entry`: what the semantic one gets; `size`: of the encoded envelope in
    bytes; `ttl`: how long the stores keep it, in seconds."""
    assert call.key is not None and call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- there are no keys without
    semantic = size + len(entry.question.encode()) + 2 * len(entry.vector) if entry else 0
    return Kept(
        entry_id=keys.exact,
        sent=keys.sent or "",
        tenant_id=call.key.tenant_id,
        tenant=call.key.tenant,
        plan_id=call.plan.id,
        plan=call.plan.name,
        route=call.target.name,
        namespace=call.asked.controls.namespace or "",
        end_user=end_user_digest(call.asked.user, tenant_id=call.key.tenant_id, pepper=pepper),
        backend=(call.plan.cache.backend or "") if entry else "",
        exact=bool(exact),
        bytes=size * len(exact) + semantic,
        created_at=envelope.created_at,
        expires_at=envelope.created_at + ttl,
    )
