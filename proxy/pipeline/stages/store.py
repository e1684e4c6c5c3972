"""Store the answer in the caches, or take out what is no longer valid."""

import asyncio
import logging
import time
from dataclasses import replace

import orjson

from proxy.core.answers import Whole
from proxy.core.caching.envelope import Envelope, TooLarge, encode_aside, storable
from proxy.core.caching.freshness import fresh_seconds, kept_seconds
from proxy.core.errors import ToolUnavailable
from proxy.core.event_loop import off_loop
from proxy.core.formats.model_input import has_history
from proxy.core.ports import SemanticEntry
from proxy.core.quality.answer_comparison import answer_text
from proxy.core.verification.conversation import BEGUN, pack
from proxy.pipeline.accounting import compared_tokens, tokens_cut
from proxy.pipeline.admission import QUICK_BYTES, admission, answer_bytes, is_storable
from proxy.pipeline.cache_access import FORGOTTEN
from proxy.pipeline.call import Call, Keys
from proxy.pipeline.ledger_records import kept_of
from proxy.pipeline.toolbox import Toolbox

# May the answer be stored? Said before the record, which tells why not.


async def check_storable(call: Call, tools: Toolbox) -> Call:
    """Set `admitted` or `not_kept`. A long answer is judged in a thread."""
    if call.admitted or call.not_kept or not is_storable(call) or answer_bytes(call) < QUICK_BYTES:
        return admission(call)
    return await asyncio.to_thread(admission, call)


# Keep a good answer in both tiers, so that the next one asked the same costs nothing.

log = logging.getLogger("tokenthrift.proxy")
MOST_TAGS = 32  # of one entry; without an end, tags that name a session would pile up on an answer that many share


async def store(call: Call, tools: Toolbox) -> Call:
    """Write the entry, in parallel, each tier for itself: one being down does not keep the other from it."""
    if not _storable(call) or call.keys is None:
        return call
    envelope = await off_loop(call.asked.size, _envelope, call, call.keys)
    try:
        value = await encode_aside(envelope, tools.sealer)
        entry = await _entry(call, call.keys, envelope, tools)
    except TooLarge as error:
        log.info("request %s: its answer is not kept: %s", call.request_id, error)
        return call
    assert call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- there are no keys without
    ttl = kept_seconds(call.plan.cache, round(envelope.expires_at - envelope.created_at))
    exact = _exact_keys(call, call.keys)
    if not exact and entry is None:
        return call
    pepper = tools.limits.key_pepper
    tools.ledger.kept(kept_of(call, call.keys, envelope, exact=exact, entry=entry, size=len(value), ttl=ttl, pepper=pepper))
    names, writes = [], []
    for key in exact:
        names.append("exact")
        writes.append(tools.breakers["exact"].run(tools.exact.set(key, value, ttl), seconds=tools.limits.store_budget))
    if entry is not None:
        backend = tools.semantic[call.plan.cache.backend]  # type: ignore[index]  # embed saw to it
        names.append(backend.name)
        writes.append(tools.breakers[backend.name].run(backend.add(entry), seconds=tools.limits.store_budget))
    for name, outcome in zip(names, await asyncio.gather(*writes, return_exceptions=True), strict=True):
        if isinstance(outcome, ToolUnavailable):
            log.log(outcome.log_level, "request %s: its answer is not kept by %s: %s", call.request_id, name, outcome.reason)
        elif isinstance(outcome, BaseException):
            raise outcome
    return call


def _storable(call: Call) -> bool:
    """Only what `check_storable` let through; never an error, a truncated, filtered or partial answer."""
    return call.admitted and call.writes and call.attempts > 0 and call.outcome == "ok" and call.status == 200


def _exact_keys(call: Call, keys: Keys) -> list[str]:
    if not call.exact_tier:
        return []
    return [keys.exact, keys.sent] if keys.sent else [keys.exact]


def _envelope(call: Call, keys: Keys) -> Envelope:
    assert call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- there are no keys without
    now, asked = time.time(), call.asked
    ttl = fresh_seconds(call.plan.cache, keys.exact, asked.controls.ttl)
    return Envelope(
        scope=keys.scope,
        plan_id=call.plan.id,
        created_at=now,
        expires_at=now + ttl,
        completion=call.answer.body if isinstance(call.answer, Whole) else orjson.dumps(call.completion),
        asked_tokens=call.usage.prompt + tokens_cut(call),
        question_tokens=compared_tokens(call),
        completion_tokens=call.usage.completion,
        estimated=call.usage.estimated,
        revision=call.directory.revision,
        tags=_tags(call),
        entry_id=keys.exact,
        sent=keys.sent or "",
    )


def _tags(call: Call) -> tuple[str, ...]:
    """The request's, then those of the entry that this one replaces: who refreshes an answer need not know all it depends on."""
    before = call.fallback.envelope.tags if call.fallback else ()
    return tuple(dict.fromkeys((*call.asked.controls.tags, *before)))[:MOST_TAGS]


async def _entry(call: Call, keys: Keys, envelope: Envelope, tools: Toolbox) -> SemanticEntry | None:
    """The semantic entry; None where the semantic tier stays out of it. Its id is the exact key: the same question replaces itself.
    Raises TooLarge."""
    if call.vector is None or call.question is None or keys.bucket is None or call.plan is None:
        return None
    question = storable(call.question)
    sealed = await encode_aside(replace(envelope, bucket=keys.bucket, question=question, chat=_chat(call)), tools.sealer)
    return SemanticEntry(
        entry_id=keys.exact,
        bucket=keys.bucket,
        scope=keys.scope,
        plan_id=call.plan.id,
        embedder=tools.embedder.id,
        question="" if tools.sealer.encrypts else question,
        vector=call.vector,
        envelope=sealed,
        created_at=envelope.created_at,
        expires_at=envelope.expires_at,
    )


def _chat(call: Call) -> bytes:
    """What the entry keeps of the chat, where chats are compared."""
    if call.window is not None:
        return pack(call.window, answer_text(call.completion))
    forgets = call.plan is not None and call.plan.cache is not None and call.plan.cache.context == "last_message"
    return BEGUN if forgets and has_history(call.asked.messages) else b""


# Remove near entries that can never be served: forgotten ones, and those that are broken, of an
# older schema or another scope.
#
# A look-up returns a few neighbours only, and they would take the places of living ones.

DEAD = frozenset({FORGOTTEN, "foreign"})


async def forget(call: Call, tools: Toolbox) -> Call:
    """Delete them, after the answer and before `store`, which may write one of them anew. What cannot be deleted is never served either."""
    dead = [each.entry_id for each in call.judged if each.reason in DEAD]
    if not dead:
        return call
    backend = tools.semantic[call.plan.cache.backend]  # type: ignore[union-attr,index]  # there are no neighbours without
    breaker, seconds = tools.breakers[backend.name], tools.limits.store_budget
    removed = await asyncio.gather(*(breaker.run(backend.delete(name), seconds=seconds) for name in dead), return_exceptions=True)
    for outcome in removed:
        if isinstance(outcome, ToolUnavailable):
            log.log(outcome.log_level, "request %s: a dead entry stays in %s: %s", call.request_id, backend.name, outcome.reason)
        elif isinstance(outcome, BaseException):
            raise outcome
    return call
