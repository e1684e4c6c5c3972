"""Exclude a share of the conversations from their plan, so that its savings can be measured."""

from dataclasses import replace

from plans.pricing import MILLION
from proxy.core.formats.chat_completions import extract_text
from proxy.core.quality.holdout_assignment import assign
from proxy.core.tokens import CHARACTERS_PER_TOKEN, count_characters
from proxy.pipeline.call import Call, evolve
from proxy.pipeline.toolbox import Toolbox
from stats.events import HOLDOUT_REASON


async def assign_holdout(call: Call, tools: Toolbox) -> Call:
    """Set the holdout assignment, under an active plan with a holdout.

    A held-out request continues under a copy of the plan that does nothing: no stage looks up,
    waits for others, compresses, samples or stores.
    """
    plan, key = call.plan, call.key
    # In shadow and off nothing is saved, so there is nothing to measure. A request that accepts
    # only a cached answer is not assigned either: it would get none, and costs nothing in either
    # arm.
    if (
        plan is None
        or key is None
        or not plan.holdout
        or plan.mode != "active"
        or call.chat_request.cache_controls.only_if_cached
    ):
        return call
    lot = assign(
        _first_user_text(call),
        share=plan.holdout,
        plan=plan.id,
        key=key.id,
        user=call.chat_request.user,
        at=call.at,
        pepper=tools.limits.key_pepper,
    )
    price = call.resolved_route.price
    lot = replace(
        lot,
        size_usd=count_characters(call.chat_request.messages)
        / CHARACTERS_PER_TOKEN
        * float(price.input / MILLION)
        if price
        else 0.0,
    )
    if not lot.is_held_out:
        return evolve(call, holdout=lot)
    without = replace(plan, compression=None, cache=None)
    return evolve(
        call,
        holdout=lot,
        plan=without,
        tier="bypass",
        reason=HOLDOUT_REASON,
        reads_cache=False,
        writes_cache=False,
        cache_keys=None,
    )


def _first_user_text(call: Call) -> str:
    """Return the text of the first user message; "" if it has none."""
    first = next(
        (message for message in call.chat_request.messages if message.get("role") == "user"), None
    )
    return (extract_text(first) if first else None) or ""
