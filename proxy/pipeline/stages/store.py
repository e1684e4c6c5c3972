"""Store the answer in the caches, and delete entries that are no longer valid."""

import asyncio
import logging
import time
from dataclasses import replace

import orjson

from proxy.core.answers import CompleteAnswer
from proxy.core.caching.entry_ttl import storage_ttl, ttl_with_jitter
from proxy.core.caching.envelope import (
    Envelope,
    EnvelopeTooLarge,
    encode_in_thread,
    to_storable_text,
)
from proxy.core.errors import ToolUnavailable
from proxy.core.event_loop import run_off_loop
from proxy.core.formats.model_input import has_history
from proxy.core.ports import SemanticEntry
from proxy.core.quality.answer_comparison import extract_answer_text
from proxy.core.verification.chat_reading import ChatReading
from proxy.core.verification.conversation import HISTORY_MARKER, pack_chat
from proxy.pipeline.accounting import count_compared_tokens, removed_tokens
from proxy.pipeline.admission import (
    MAX_INLINE_CHECK_BYTES,
    check_admission,
    count_answer_bytes,
    has_storable_answer,
)
from proxy.pipeline.cache_access import INVALIDATED_REASON
from proxy.pipeline.call import CacheKeys, Call
from proxy.pipeline.ledger_records import build_entry_record
from proxy.pipeline.toolbox import Toolbox

# May the answer be stored? Decided before the record, which says why not.


async def check_storable(call: Call, tools: Toolbox) -> Call:
    """Set `may_be_stored` or `not_stored_reason`; a long answer is checked in a thread."""
    if (
        call.may_be_stored
        or call.not_stored_reason
        or not has_storable_answer(call)
        or count_answer_bytes(call) < MAX_INLINE_CHECK_BYTES
    ):
        return check_admission(call)
    return await asyncio.to_thread(check_admission, call)


# Store a valid answer in both tiers, so that the next identical or similar request costs nothing.

log = logging.getLogger("tokenthrift.proxy")
# Of one entry; without a limit, tags that name a session would pile up on an answer that many
# share.
MAX_ENTRY_TAGS = 32


async def store(call: Call, tools: Toolbox) -> Call:
    """Write the entry to both tiers in parallel; a failure of one does not affect the other."""
    if not _may_store(call) or call.cache_keys is None:
        return call
    envelope = await run_off_loop(
        call.chat_request.size_bytes, _build_envelope, call, call.cache_keys
    )
    try:
        value = await encode_in_thread(envelope, tools.sealer)
        entry = await _build_semantic_entry(call, call.cache_keys, envelope, tools)
    except EnvelopeTooLarge as error:
        log.info("request %s: its answer is not kept: %s", call.request_id, error)
        return call
    assert call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- there are no keys without
    ttl = storage_ttl(call.plan.cache, round(envelope.expires_at - envelope.created_at))
    exact = _list_exact_keys(call, call.cache_keys)
    if not exact and entry is None:
        return call
    pepper = tools.limits.key_pepper
    tools.ledger.record_cache_entry(
        build_entry_record(
            call,
            call.cache_keys,
            envelope,
            exact=exact,
            entry=entry,
            size=len(value),
            ttl=ttl,
            pepper=pepper,
        )
    )
    names, writes = [], []
    for key in exact:
        names.append("exact")
        writes.append(
            tools.breakers["exact"].run(
                tools.exact_cache.set(key, value, ttl), seconds=tools.limits.store_seconds
            )
        )
    if entry is not None:
        backend = tools.select_index(call.plan.cache).caches[call.plan.cache.backend]  # type: ignore[index]  # embed saw to it
        names.append(backend.name)
        writes.append(
            tools.breakers[backend.name].run(backend.add(entry), seconds=tools.limits.store_seconds)
        )
    for name, outcome in zip(
        names, await asyncio.gather(*writes, return_exceptions=True), strict=True
    ):
        if isinstance(outcome, ToolUnavailable):
            log.log(
                outcome.log_level,
                "request %s: its answer is not kept by %s: %s",
                call.request_id,
                name,
                outcome.reason,
            )
        elif isinstance(outcome, BaseException):
            raise outcome
    return call


def _may_store(call: Call) -> bool:
    """Whether `check_storable` admitted the answer and the call ended well."""
    return (
        call.may_be_stored
        and call.writes_cache
        and call.attempts > 0
        and call.outcome == "ok"
        and call.status == 200
    )


def _list_exact_keys(call: Call, keys: CacheKeys) -> list[str]:
    if not call.has_exact_tier:
        return []
    return [keys.exact, keys.compressed] if keys.compressed else [keys.exact]


def _build_envelope(call: Call, keys: CacheKeys) -> Envelope:
    assert call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- there are no keys without
    now, asked = time.time(), call.chat_request
    ttl = ttl_with_jitter(call.plan.cache, keys.exact, asked.cache_controls.ttl)
    return Envelope(
        scope=keys.scope,
        plan_id=call.plan.id,
        created_at=now,
        expires_at=now + ttl,
        completion=call.answer.body
        if isinstance(call.answer, CompleteAnswer)
        else orjson.dumps(call.completion),
        asked_tokens=call.usage.prompt_tokens + removed_tokens(call),
        question_tokens=count_compared_tokens(call),
        completion_tokens=call.usage.completion_tokens,
        estimated=call.usage.is_estimated,
        revision=call.config.revision,
        tags=_merge_tags(call),
        entry_id=keys.exact,
        sent=keys.compressed or "",
    )


def _merge_tags(call: Call) -> tuple[str, ...]:
    """Merge the request's tags with those of the expired entry that it replaces."""
    # A request that revalidates need not know all tags of the answer.
    before = call.stale_answer.envelope.tags if call.stale_answer else ()
    return tuple(dict.fromkeys((*call.chat_request.cache_controls.tags, *before)))[:MAX_ENTRY_TAGS]


async def _build_semantic_entry(
    call: Call, keys: CacheKeys, envelope: Envelope, tools: Toolbox
) -> SemanticEntry | None:
    """Build the semantic entry; None without vector or bucket. Raises EnvelopeTooLarge."""
    if call.vector is None or call.question is None or keys.bucket is None:
        return None
    assert call.plan is not None and call.plan.cache is not None  # noqa: S101, PT018 -- there is no bucket without
    question = to_storable_text(call.question)
    sealed = await encode_in_thread(
        replace(
            envelope,
            bucket=keys.bucket,
            question=question,
            chat=await _pack_conversation(call, tools),
        ),
        tools.sealer,
    )
    return SemanticEntry(
        # The exact key is the id, so the same question replaces its own entry.
        entry_id=keys.exact,
        bucket=keys.bucket,
        scope=keys.scope,
        plan_id=call.plan.id,
        embedder=tools.select_index(call.plan.cache).embedder.id,
        question="" if tools.sealer.encrypts else question,
        vector=call.vector,
        envelope=sealed,
        created_at=envelope.created_at,
        expires_at=envelope.expires_at,
    )


async def _pack_conversation(call: Call, tools: Toolbox) -> bytes:
    """Pack what the entry stores of the conversation, if the plan compares conversations."""
    if call.window is not None:
        reading = await _read_history(call, tools) if call.window.has_history else None
        return pack_chat(call.window, extract_answer_text(call.completion), reading)
    forgets = (
        call.plan is not None
        and call.plan.cache is not None
        and call.plan.cache.context == "last_message"
    )
    return HISTORY_MARKER if forgets and has_history(call.chat_request.messages) else b""


async def _read_history(call: Call, tools: Toolbox) -> ChatReading | None:
    """Read the chat; None if it has too many sentences, or nobody can read it now."""
    if tools.chat_verifier is None:
        return None
    seconds = tools.limits.store_seconds
    reading = tools.chat_verifier.read_chat(call.chat_request.messages, within=seconds)
    try:
        return await tools.breakers["chats"].run(reading, seconds=seconds)
    except ToolUnavailable as error:
        log.log(error.log_level, "request %s: its chat is not read: %s", call.request_id, error)
        return None


# Delete semantic entries that can never be served: invalidated ones, and those that are broken, of
# an older schema or another scope.
#
# A lookup returns only a few neighbours, and they would take the places of valid ones.

INVALID_REASONS = frozenset({INVALIDATED_REASON, "foreign"})


async def evict_invalid(call: Call, tools: Toolbox) -> Call:
    """Delete the candidates that can never be served, before `store` may write one of them anew.

    One that cannot be deleted is never served either.
    """
    dead = [each.entry_id for each in call.candidate_verdicts if each.reason in INVALID_REASONS]
    if not dead:
        return call
    cache = call.plan.cache  # type: ignore[union-attr]  # there are no neighbours without
    backend = tools.select_index(cache).caches[cache.backend]  # type: ignore[arg-type,index,union-attr]  # likewise
    breaker, seconds = tools.breakers[backend.name], tools.limits.store_seconds
    removed = await asyncio.gather(
        *(breaker.run(backend.delete(name), seconds=seconds) for name in dead),
        return_exceptions=True,
    )
    for outcome in removed:
        if isinstance(outcome, ToolUnavailable):
            log.log(
                outcome.log_level,
                "request %s: a dead entry stays in %s: %s",
                call.request_id,
                backend.name,
                outcome.reason,
            )
        elif isinstance(outcome, BaseException):
            raise outcome
    return call
