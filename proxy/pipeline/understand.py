"""What the judge said."""

from proxy.core.errors import UpstreamInvalid
from proxy.core.exchange import Call, Refused, revise
from proxy.core.judge_model import opinion
from proxy.core.ports import Toolbox
from proxy.core.same_answer import answer_text


async def understand(call: Call, tools: Toolbox) -> Call:
    """Set the verdict: *unclear*, and a failure of the judge, where its reply is none of the words it was given."""
    if call.outcome != "ok" or call.completion is None:
        return call
    if word := opinion(answer_text(call.completion)):
        return revise(call, verdict=word)
    error = UpstreamInvalid("The judge replied with something else than SAME, DIFFERENT or UNSURE.")
    return revise(call, verdict="unclear", answer=Refused(error), outcome="upstream_error", status=error.status)
