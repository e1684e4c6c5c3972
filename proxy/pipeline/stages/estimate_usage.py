"""Estimate the usage that a provider did not report.

Our own token count, flagged as estimated, with the cached share recently seen on the route.
"""

from dataclasses import replace

from proxy.core.answers import CachedAnswer, CompleteAnswer
from proxy.core.event_loop import run_in_thread
from proxy.core.formats.usage import Usage, count_usage, find_usage
from proxy.pipeline.call import Call, StreamingAnswer, evolve, get_tenant_id
from proxy.pipeline.toolbox import Toolbox

NO_USAGE = Usage()


async def estimate_usage(call: Call, tools: Toolbox) -> Call:
    """Set an estimated usage if the provider answered without reporting all of it.

    Also for an abandoned call: by then the provider has read the prompt.
    """
    usage = call.usage
    # The client disconnected before it was answered.
    if isinstance(call.answer, CompleteAnswer) and call.attempts and usage == NO_USAGE:
        usage = find_usage(call.answer.completion, call.resolved_route.upstream.provider) or usage
        call = evolve(call, usage=usage)
    if usage.prompt_tokens and call.attempts and not usage.is_estimated:
        tools.cached_shares.observe(
            get_tenant_id(call),
            call.resolved_route.memory_id,
            cut=_is_compressed(call),
            prompt=usage.prompt_tokens,
            cached=usage.cached_tokens,
        )
    if (
        not _has_usage(call)
        or usage.is_estimated
        or (usage.prompt_tokens and usage.completion_tokens and not _was_interrupted(call))
    ):
        return call
    guess = await run_in_thread(
        count_usage,
        call.outgoing_messages,
        call.partial_completion,
        model=call.resolved_route.model,
    )
    if call.outcome == "upstream_error" and not call.abandoned and not guess.completion_tokens:
        return call  # it answered with nothing but an error
    if not usage.prompt_tokens:
        cached = tools.cached_shares.estimate(
            get_tenant_id(call),
            call.resolved_route.memory_id,
            cut=_is_compressed(call),
            prompt=guess.prompt_tokens,
        )
        guess = replace(guess, cached_tokens=cached)
    return evolve(call, usage=_merge_estimate(usage, guess))


def _has_usage(call: Call) -> bool:
    """Whether the provider's answer has a usage; not if a stored one replaced a failed answer."""
    if call.abandoned:
        return call.attempts > 0 and not isinstance(call.answer, CachedAnswer)
    if isinstance(call.answer, CompleteAnswer):
        return call.attempts > 0 and call.answer.completion is not None
    return isinstance(call.answer, StreamingAnswer) and (call.attempts > 0 or call.coalesced)


def _merge_estimate(said: Usage, guess: Usage) -> Usage:
    """Complete the reported usage with the estimate of what was not reported."""
    if not said.prompt_tokens:
        guess = replace(guess, completion_tokens=said.completion_tokens or guess.completion_tokens)
        return replace(guess, charged_usd=said.charged_usd, service_tier=said.service_tier)
    # Of a stream that broke off the provider may have reported only the beginning.
    if guess.completion_tokens <= 2 * said.completion_tokens:  # tokenizers differ
        return said
    return replace(said, completion_tokens=guess.completion_tokens, is_estimated=True)


def _is_compressed(call: Call) -> bool:
    return call.compression is not None and call.compression.messages is not None


def _was_interrupted(call: Call) -> bool:
    return call.outcome in ("cut", "client_closed", "upstream_error")
