"""Give those who wait the answer; and what was heard of another's call is a hit, with nothing billed for it."""

import time

import orjson

from proxy.core.envelope import Envelope
from proxy.core.errors import UpstreamInvalid
from proxy.core.exchange import Answer, Call, Live, Refused, Stored, Usage, Whole, revise
from proxy.core.flights import Landing
from proxy.core.ports import Toolbox
from proxy.core.replies import Followed
from proxy.core.worth import worth


async def land(call: Call, tools: Toolbox) -> Call:
    """Settle a followed stream as the exact hit it is, and land the flight that this request leads."""
    shared = call
    if call.collapsed and isinstance(call.answer, Live):
        call = _as_hit(call)
    if call.flight is not None and call.leads:
        answer = call.answer if isinstance(call.answer, Stored) else _answer(shared)
        called = call.collapsed or call.attempts > 0
        call.flight.land(Landing(alone=True) if _is_alone(shared) else Landing(answer, called=called))
    return call


def _is_alone(call: Call) -> bool:
    """Whether the provider's answer was passed on as it came and not understood: nobody else can be given it."""
    if isinstance(call.answer, Whole):
        return not call.answer.sound
    return isinstance(call.answer, Live) and call.outcome == "ok" and call.completion is None


def _as_hit(call: Call) -> Call:
    """A followed stream that came to its end is served like a stored answer; of one that did not, nothing was billed either."""
    if call.outcome != "ok" or call.keys is None:
        return revise(call, usage=Usage())
    return revise(call, answer=Stored(_envelope(call, call.keys.scope), "exact", _asked(call)), usage=Usage())


def _answer(call: Call) -> Stored | Whole | Refused | None:
    """The answer for everybody. A completion goes to all who asked for it, whether it may be kept or not; a stream that broke off is an
    error to those who could not hear it; None when the provider was not asked to the end."""
    answer: Answer | None = call.answer
    if isinstance(answer, Refused) or (isinstance(answer, Whole) and answer.completion is None):
        return answer
    if answer is None or call.keys is None or call.outcome == "client_closed":
        return None
    if isinstance(answer, Live) and call.outcome != "ok":
        return call.fault or Refused(UpstreamInvalid("The upstream's stream broke off."))
    return Stored(_envelope(call, call.keys.scope), "exact", _asked(call))


def _asked(call: Call) -> int:
    """Prompt tokens as asked: as billed, and what was cut before."""
    reply = call.answer.reply if isinstance(call.answer, Live) else None
    if isinstance(reply, Followed) and not call.usage.estimated:  # else we counted the whole prompt ourselves
        return call.usage.prompt + reply.flight.cut
    return worth(call).asked


def _envelope(call: Call, scope: str) -> Envelope:
    """The answer as a hit is served from. It is never stored, so it has no life of its own."""
    assert call.plan is not None  # noqa: S101 -- nothing is shared without a plan
    now = time.time()
    return Envelope(
        scope=scope,
        plan_id=call.plan.id,
        created_at=now,
        expires_at=now,
        completion=call.answer.body if isinstance(call.answer, Whole) else orjson.dumps(call.completion or {}),
        asked_tokens=_asked(call),
        question_tokens=0,
        completion_tokens=call.usage.completion,
        estimated=call.usage.estimated,
        revision=call.directory.revision,
        tags=call.asked.controls.tags,
    )
