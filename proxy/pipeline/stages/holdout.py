"""A share of the chats goes without its plan, so that what the plan saves is measured."""

from dataclasses import replace

from plans.pricing import MILLION
from proxy.core.formats.chat_completions import text_of
from proxy.core.quality.holdout import draw
from proxy.core.tokens import PER_TOKEN, characters
from proxy.pipeline.call import Call, revise
from proxy.pipeline.toolbox import Toolbox
from stats.events import HOLDOUT


async def hold(call: Call, tools: Toolbox) -> Call:
    """Set the lot, under a plan with a holdout that is active. A request that is held out goes on under a plan of that name that does
    nothing: no stage looks up, waits for others, cuts, samples or stores.

    In shadow and off nothing is saved, so there is nothing to measure. A request that takes a stored answer or none is not drawn either:
    it would get none, and costs nothing on either side."""
    plan, key = call.plan, call.key
    if plan is None or key is None or not plan.holdout or plan.mode != "active" or call.asked.controls.only_if_cached:
        return call
    lot = draw(
        _opening(call), share=plan.holdout, plan=plan.id, key=key.id, user=call.asked.user, at=call.at, pepper=tools.limits.key_pepper
    )
    price = call.target.price
    lot = replace(lot, size=characters(call.asked.messages) / PER_TOKEN * float(price.input / MILLION) if price else 0.0)
    if not lot.held:
        return revise(call, lot=lot)
    without = replace(plan, compression=None, cache=None)
    return revise(call, lot=lot, plan=without, tier="bypass", reason=HOLDOUT, reads=False, writes=False, keys=None)


def _opening(call: Call) -> str:
    """What the user said first; "" where that is no text."""
    first = next((message for message in call.asked.messages if message.get("role") == "user"), None)
    return (text_of(first) if first else None) or ""
