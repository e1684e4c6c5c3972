"""What a provider billed when it did not say: our own count, flagged,
with the discount that it gave other prompts lately."""

from dataclasses import replace

from proxy.core.answers import CachedAnswer, CompleteAnswer
from proxy.core.event_loop import run_in_thread
from proxy.core.formats.usage import Usage, count_usage, find_usage
from proxy.pipeline.call import Call, StreamingAnswer, evolve, get_tenant_id
from proxy.pipeline.toolbox import Toolbox

NO_USAGE = Usage()


async def estimate_usage(call: Call, tools: Toolbox) -> Call:
    """Set an estimated usage where the provider answered (in whole or in part)
    and did not report all of it, or was given up: it has read the prompt by then."""
    usage = call.usage
    # The client left before it was answered.
    if isinstance(call.answer, CompleteAnswer) and call.attempts and usage == NO_USAGE:
        usage = find_usage(call.answer.completion, call.resolved_route.upstream.provider) or usage
        call = evolve(call, usage=usage)
    if usage.prompt_tokens and call.attempts and not usage.is_estimated:
        tools.cached_shares.observe(
            get_tenant_id(call),
            call.resolved_route.id,
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
        return call  # it said nothing but what went wrong
    if not usage.prompt_tokens:
        cached = tools.cached_shares.estimate(
            get_tenant_id(call),
            call.resolved_route.id,
            cut=_is_compressed(call),
            prompt=guess.prompt_tokens,
        )
        guess = replace(guess, cached_tokens=cached)
    return evolve(call, usage=_merge_estimate(usage, guess))


def _has_usage(call: Call) -> bool:
    """Whether there is something to be counted: not where an answer stands in place of a provider
    that failed."""
    if call.abandoned:
        return call.attempts > 0 and not isinstance(call.answer, CachedAnswer)
    if isinstance(call.answer, CompleteAnswer):
        return call.attempts > 0 and call.answer.completion is not None
    return isinstance(call.answer, StreamingAnswer) and (call.attempts > 0 or call.coalesced)


def _merge_estimate(said: Usage, guess: Usage) -> Usage:
    """What was said, and our count of what was not.

    Of a stream that broke off the provider may have said only how it began.
    """
    if not said.prompt_tokens:
        guess = replace(guess, completion_tokens=said.completion_tokens or guess.completion_tokens)
        return replace(guess, charged_usd=said.charged_usd, service_tier=said.service_tier)
    if guess.completion_tokens <= 2 * said.completion_tokens:  # tokenizers differ
        return said
    return replace(said, completion_tokens=guess.completion_tokens, is_estimated=True)


def _is_compressed(call: Call) -> bool:
    return call.compression is not None and call.compression.messages is not None


def _was_interrupted(call: Call) -> bool:
    return call.outcome in ("cut", "client_closed", "upstream_error")
