"""Cache keys, buckets, scopes and end-user digests: which requests may share an answer."""

import hashlib
import hmac
from typing import Any

import orjson

from plans.snapshot import ContextMatching, KeySnapshot, PlanSnapshot
from proxy.core.config import Route
from proxy.core.formats.model_input import TURN_ROLES, UNREAD_FIELDS, extract_non_text
from proxy.core.types import Message
from proxy.core.upstream_headers import HeaderPairs, digest_pairs

# The exact key is SHA-256 over canonical JSON (keys sorted) of the whole body less a short deny
# list, so an unknown parameter still separates answers. It also covers the scope, the plan with a
# digest of its answer-changing fields, and the route's version. The semantic bucket is the same
# less what is compared by meaning: the final message, or under another context than `strict` all
# user and assistant turns.

KEY_VERSION = "1"


def scope_digest(
    plan: PlanSnapshot,
    key: KeySnapshot,
    *,
    user: str | None,
    namespace: str | None,
    extras: str = "",
) -> str | None:
    """Return the hex digest of who may share this answer, or None if it must not be cached.

    From the authenticated key alone, narrowed by the plan, the request's namespace and `extras`:
    what the answer depends on besides the body (`digest_extras`). None: the plan scopes by end user
    and the request names none.
    """
    kind = plan.cache.scope if plan.cache else "tenant"
    if kind == "user" and not user:
        return None
    owner = {"tenant": None, "key": key.id, "user": user}[kind]
    parts = [kind, key.tenant_id, owner, namespace, *([extras] if extras else ())]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def digest_extras(route: Route, forwarded: HeaderPairs) -> str:
    """Return a digest of what a provider is told besides the body; "" where it is nothing.

    Headers and parameters of the upstream, the client's headers that reach it, and the model that
    a wildcard leads to.
    """
    told = digest_pairs(forwarded) if forwarded else ""
    extras, model = route.upstream.extras_digest, route.model if route.served_id else ""
    return f"{extras}/{told}/{model}" if extras or told or model else ""


def exact_key(body: dict[str, Any], *, scope: str, plan: PlanSnapshot, route: Route) -> str:
    """Return the exact-tier key: 64 hex characters.

    `body`: as asked, or with its messages as compressed.
    """
    return _digest_request(
        "exact",
        {name: value for name, value in body.items() if name not in UNREAD_FIELDS},
        scope,
        plan,
        route,
    )


def bucket_key(
    body: dict[str, Any],
    *,
    scope: str,
    plan: PlanSnapshot,
    route: Route,
    context: ContextMatching = "strict",
) -> str:
    """Return the semantic bucket's key: 64 hex characters.

    It covers the request less the final message's text or, under another context than `strict`,
    less the text of all turns.
    """
    kept = {name: value for name, value in body.items() if name not in UNREAD_FIELDS}
    messages = body["messages"]
    if plan.cache is None or context == "strict":
        kept["messages"] = [
            *messages[:-1],
            {"role": messages[-1]["role"], **extract_non_text(messages[-1])},
        ]
        return _digest_request("bucket", kept, scope, plan, route)
    kept["messages"] = _extract_instructions(messages)
    # `-2` separates entries stored before they recorded whether they were asked within a chat.
    return _digest_request(
        f"window-{plan.cache.window}" if context == "window" else f"{context}-2",
        kept,
        scope,
        plan,
        route,
    )


def _extract_instructions(messages: list[Message]) -> list[Any]:
    """Return the non-turn messages, and what turns carry besides their text, such as a name.

    A non-turn message comes with its distance from the end, or 0 before the first turn; what a
    role's turns carry comes once, whenever it changes.
    """
    kept: list[Any] = []
    carried: dict[str, dict[str, Any]] = {}
    for place, message in enumerate(messages):
        role = message["role"]
        if role not in TURN_ROLES:
            kept.append([place - len(messages) if carried else 0, message])
            continue
        rest = extract_non_text(message)
        if rest != carried.setdefault(role, {}):
            carried[role] = rest
            kept.append([role, rest])
    return kept


def _digest_request(
    kind: str, kept: dict[str, Any], scope: str, plan: PlanSnapshot, route: Route
) -> str:
    head = f"{KEY_VERSION}\0{kind}\0{scope}\0{plan.id}\0{plan.answer_digest}\0{route.id}\0{route.version}\0"  # noqa: E501 -- no blank to break it at
    return hashlib.sha256(
        head.encode() + orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)
    ).hexdigest()


def end_user_digest(user: str | None, *, tenant_id: int, pepper: str) -> str:
    """Return an end user's HMAC-SHA256 (RFC 2104), 64 hex characters; "" if none is named.

    The same name at two tenants gives two digests.
    """
    # All that the caches know of an end user: without the pepper nobody can tell who it is.
    return (
        hmac.digest(
            pepper.encode(),
            f"end user\0{tenant_id}\0{user}".encode("utf-8", "surrogatepass"),
            "sha256",
        ).hex()
        if user
        else ""
    )
