"""What a provider billed when it did not say: our own count, flagged, with the discount that it gave other prompts lately."""

from dataclasses import replace

from proxy.core.answers import Stored, Whole
from proxy.core.event_loop import in_thread
from proxy.core.formats.usage import Usage, estimated_usage, usage_of
from proxy.pipeline.call import Call, Live, revise, tenant_of
from proxy.pipeline.toolbox import Toolbox

NOTHING = Usage()


async def count(call: Call, tools: Toolbox) -> Call:
    """Set an estimated usage where the provider answered (in whole or in part) and did not report all of it, or was given up: it has read
    the prompt by then."""
    usage = call.usage
    if isinstance(call.answer, Whole) and call.attempts and usage == NOTHING:  # the client left before it was answered
        usage = usage_of(call.answer.completion, call.target.upstream.provider) or usage
        call = revise(call, usage=usage)
    if usage.prompt and call.attempts and not usage.estimated:
        tools.discounts.tell(tenant_of(call), call.target.id, cut=_is_cut(call), prompt=usage.prompt, cached=usage.cached)
    if not _heard(call) or usage.estimated or (usage.prompt and usage.completion and not _broke_off(call)):
        return call
    guess = await in_thread(estimated_usage, call.messages, call.partial_completion, model=call.target.model)
    if call.outcome == "upstream_error" and not call.given_up and not guess.completion:
        return call  # it said nothing but what went wrong
    if not usage.prompt:
        cached = tools.discounts.expected(tenant_of(call), call.target.id, cut=_is_cut(call), prompt=guess.prompt)
        guess = replace(guess, cached=cached)
    return revise(call, usage=_filled(usage, guess))


def _heard(call: Call) -> bool:
    """Whether there is something to be counted: not where an answer stands in place of a provider that failed."""
    if call.given_up:
        return call.attempts > 0 and not isinstance(call.answer, Stored)
    if isinstance(call.answer, Whole):
        return call.attempts > 0 and call.answer.completion is not None
    return isinstance(call.answer, Live) and (call.attempts > 0 or call.collapsed)


def _filled(said: Usage, guess: Usage) -> Usage:
    """What was said, and our count of what was not. Of a stream that broke off the provider may have said only how it began."""
    if not said.prompt:
        guess = replace(guess, completion=said.completion or guess.completion)
        return replace(guess, charged=said.charged, service_tier=said.service_tier)
    if guess.completion <= 2 * said.completion:  # tokenizers differ
        return said
    return replace(said, completion=guess.completion, estimated=True)


def _is_cut(call: Call) -> bool:
    return call.cut is not None and call.cut.messages is not None


def _broke_off(call: Call) -> bool:
    return call.outcome in ("cut", "client_closed", "upstream_error")
