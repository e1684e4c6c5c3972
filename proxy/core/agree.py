"""Has the one question the other's answer? The rules first, then the learned check."""

from dataclasses import dataclass

from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Toolbox
from proxy.core.verify.pair import say_the_same
from proxy.core.verify.verdict import SURE, veto

# Questions less alike are about different things, unless they say the same in mistyped words, which an embedder does not know.
NEAR = 0.70
VERIFIER = "verifier"  # the reason against a question whose score is too low


def compared(asked: str, stored: str, similarity: float) -> bool:
    """Whether a neighbour is worth a look: it is near, or says the same."""
    return similarity >= NEAR or say_the_same(asked, stored)


@dataclass(frozen=True, slots=True)
class Agreement:
    """`score`: the verifier's, None when it was not asked; `reason`: against it, "" when the answer may be served."""

    score: float | None
    reason: str


async def agree(
    asked: str,
    stored: str,
    tools: Toolbox,
    *,
    threshold: float,
    seconds: float,
    similarity: float | None = None,
    known_from: float | None = None,
) -> Agreement:
    """Whether both questions may have one answer: texts that read the same may; else no sure rule may object and the score must reach
    `threshold`. `similarity`: the cosine by the embedder of `tools`, where it is known. `known_from`: a score of this or more is no
    mere bound, though it be below the threshold.

    Without a verifier, or when it does not answer within `seconds`, the reason is `unverified`: nothing else is served on trust.
    """
    reason = veto(asked, stored, SURE)
    if reason is not None:
        return Agreement(None, reason)
    if say_the_same(asked, stored):
        return Agreement(1.0, "")
    if tools.verifier is None:
        return Agreement(None, "unverified")
    try:
        known = [similarity] if similarity is not None and tools.embedder.id == tools.verifier.embedder else None
        at_least = threshold if known_from is None else min(threshold, known_from)
        scoring = tools.verifier.score(asked, [stored], similarities=known, at_least=at_least, within=seconds)
        (score,) = await tools.breakers["verifier"].run(scoring, seconds=seconds)
    except ToolUnavailable:
        return Agreement(None, "unverified")
    return Agreement(score, "" if score >= threshold else VERIFIER)
