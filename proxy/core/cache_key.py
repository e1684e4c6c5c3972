"""Which requests may share an answer.

The exact key is SHA-256 over canonical JSON (keys sorted) of the whole body less a short deny-list, so a parameter we have
never heard of still separates answers. It also holds the scope, the plan with a digest of its answer-changing fields, and the
route's version. The semantic bucket is the same with what is compared by meaning left out: the final message, or under another context
than `strict` all that user and assistant said.
"""

import hashlib
from typing import Any

import orjson

from plans.snapshot import Context, KeySnapshot, PlanSnapshot
from proxy.core.directory import Route
from proxy.core.ports import Message

DENIED = frozenset({"metadata", "prompt_cache_key", "safety_identifier", "service_tier", "store", "stream", "stream_options", "user"})
VERSION = "1"


def scope_digest(plan: PlanSnapshot, key: KeySnapshot, *, user: str | None, namespace: str | None) -> str | None:
    """Hex digest of who may share this answer: from the authenticated key alone, narrowed by the plan and the request's namespace.

    None when the plan scopes by end user and the request names none: no scope, no cache.
    """
    kind = plan.cache.scope if plan.cache else "tenant"
    if kind == "user" and not user:
        return None
    owner = {"tenant": None, "key": key.id, "user": user}[kind]
    return hashlib.sha256(orjson.dumps([kind, key.tenant_id, owner, namespace])).hexdigest()


def exact_key(body: dict[str, Any], *, scope: str, plan: PlanSnapshot, route: Route) -> str:
    """64 hex characters. `body` as asked, or with the messages as they would be sent."""
    return _digest("exact", {name: value for name, value in body.items() if name not in DENIED}, scope, plan, route)


def bucket_key(body: dict[str, Any], *, scope: str, plan: PlanSnapshot, route: Route, context: Context = "strict") -> str:
    """64 hex characters: everything of the request but its final message or, under another context than `strict`, but its turns."""
    kept = {name: value for name, value in body.items() if name not in DENIED}
    if plan.cache is None or context == "strict":
        kept["messages"] = body["messages"][:-1]
        return _digest("bucket", kept, scope, plan, route)
    kept["messages"] = _instructions(body["messages"])
    return _digest(f"window-{plan.cache.window}" if context == "window" else context, kept, scope, plan, route)


def _instructions(messages: list[Message]) -> list[Any]:
    """The messages that are no turns, with their distance from the end once the chat has begun; and once each, what turns carry besides
    their words, such as a name."""
    kept: list[Any] = []
    begun = False
    for place, message in enumerate(messages):
        turn = message["role"] in ("user", "assistant")
        begun = begun or turn
        rest = {name: value for name, value in message.items() if value and name not in ("role", "content")} if turn else message
        found = [message["role"], rest] if turn else [place - len(messages) if begun else 0, rest]
        if rest and found not in kept:
            kept.append(found)
    return kept


def _digest(kind: str, kept: dict[str, Any], scope: str, plan: PlanSnapshot, route: Route) -> str:
    head = f"{VERSION}\0{kind}\0{scope}\0{plan.id}\0{plan.answer_digest}\0{route.id}\0{route.version}\0"
    return hashlib.sha256(head.encode() + orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)).hexdigest()
