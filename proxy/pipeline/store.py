"""Keep a good answer in both tiers, so that the next one asked the same costs nothing."""

import asyncio
import logging
import time

import orjson

from proxy.core.eligibility import admissible
from proxy.core.envelope import Envelope, encode
from proxy.core.errors import ToolUnavailable
from proxy.core.exchange import Call, Keys, Whole
from proxy.core.ports import SemanticEntry, Toolbox
from proxy.core.tokens import count_text, encoding_for
from proxy.core.worth import tokens_cut

log = logging.getLogger("tokenthrift.proxy")


async def store(call: Call, tools: Toolbox) -> Call:
    """Write the entry, in parallel, each tier for itself: one being down does not keep the other from it."""
    if not _storable(call) or call.keys is None:
        return call
    envelope = _envelope(call, call.keys)
    value = encode(envelope)
    ttl = max(1, round(envelope.expires_at - envelope.created_at))
    names, writes = [], []
    for key in _exact_keys(call, call.keys):
        names.append("exact")
        writes.append(tools.breakers["exact"].run(tools.exact.set(key, value, ttl), seconds=tools.limits.store_budget))
    if entry := _entry(call, call.keys, envelope, value, embedder=tools.embedder.id):
        backend = tools.semantic[call.plan.cache.backend]  # type: ignore[union-attr,index]  # embed saw to it
        names.append(backend.name)
        writes.append(tools.breakers[backend.name].run(backend.add(entry), seconds=tools.limits.store_budget))
    for name, outcome in zip(names, await asyncio.gather(*writes, return_exceptions=True), strict=True):
        if isinstance(outcome, ToolUnavailable):
            log.log(outcome.log_level, "request %s: its answer is not kept by %s: %s", call.request_id, name, outcome.reason)
        elif isinstance(outcome, BaseException):
            raise outcome
    return call


def _storable(call: Call) -> bool:
    """Only a whole, non-empty answer that finished by itself; never an error, a truncated, filtered or partial one."""
    return call.writes and call.attempts > 0 and call.outcome == "ok" and call.status == 200 and admissible(call.completion)


def _exact_keys(call: Call, keys: Keys) -> list[str]:
    if not call.exact_tier:
        return []
    return [keys.exact, keys.sent] if keys.sent else [keys.exact]


def _envelope(call: Call, keys: Keys) -> Envelope:
    assert call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- there are no keys without
    now, asked = time.time(), call.asked
    ttl = min(asked.controls.ttl or call.plan.cache.ttl, call.plan.cache.ttl)
    encoding, _ = encoding_for(call.target.model)
    return Envelope(
        scope=keys.scope,
        plan_id=call.plan.id,
        created_at=now,
        expires_at=now + ttl,
        completion=call.answer.body if isinstance(call.answer, Whole) else orjson.dumps(call.completion),
        asked_tokens=call.usage.prompt + tokens_cut(call),
        question_tokens=count_text(call.question, encoding) if call.question else 0,
        completion_tokens=call.usage.completion,
        estimated=call.usage.estimated,
    )


def _entry(call: Call, keys: Keys, envelope: Envelope, value: bytes, *, embedder: str) -> SemanticEntry | None:
    """The semantic entry; None where the semantic tier stays out of it. Its id is the exact key: the same question replaces itself."""
    if call.vector is None or call.question is None or keys.bucket is None or call.plan is None:
        return None
    return SemanticEntry(
        entry_id=keys.exact,
        bucket=keys.bucket,
        scope=keys.scope,
        plan_id=call.plan.id,
        embedder=embedder,
        question=call.question,
        vector=call.vector,
        envelope=value,
        created_at=envelope.created_at,
        expires_at=envelope.expires_at,
    )
