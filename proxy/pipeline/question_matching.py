"""Whether a stored question may answer this one, and the vector that finds it."""

import asyncio
from dataclasses import dataclass

from proxy.core.errors import ToolUnavailable
from proxy.core.text.normalize import fold_text
from proxy.core.types import Vector
from proxy.core.verification.equivalence import equivalent
from proxy.core.verification.rules.registry import SURE_RULES, veto_question
from proxy.pipeline.cache_access import cache_seconds_left
from proxy.pipeline.call import Call, get_tenant_id
from proxy.pipeline.toolbox import Toolbox

# Has the one question the other's answer? The rules first, then the learned check.

# Questions less alike are about different things, unless they say the same in mistyped words, which
# an embedder does not know.
MIN_COMPARED_SIMILARITY = 0.70
VERIFIER_REASON = "verifier"  # the reason against a question whose score is too low


def worth_comparing(asked: str, stored: str, similarity: float) -> bool:
    """Whether a neighbour is worth a look: it is near, or says the same."""
    return similarity >= MIN_COMPARED_SIMILARITY or equivalent(asked, stored)


@dataclass(frozen=True, slots=True)
class MatchResult:
    """`score`: the verifier's, None when it was not asked;
    `reason`: against it, "" when the answer may be served."""

    score: float | None
    reason: str


async def match_questions(
    asked: str,
    stored: str,
    tools: Toolbox,
    *,
    threshold: float,
    seconds: float,
    similarity: float | None = None,
    known_from: float | None = None,
) -> MatchResult:
    """Whether both questions may have one answer: texts that read the same may;
    else no sure rule may object and the score must reach `threshold`. `similarity`: the cosine by
    the embedder of `tools`, where it is known. `known_from`: a score of this or more is no mere
    bound, though it be below the threshold.

    Without a verifier, or when it does not answer within `seconds`, the reason is `unverified`:
    nothing else is served on trust.
    """
    reason = veto_question(asked, stored, SURE_RULES)
    if reason is not None:
        return MatchResult(None, reason)
    if equivalent(asked, stored):
        return MatchResult(1.0, "")
    if tools.verifier is None:
        return MatchResult(None, "unverified")
    try:
        known = (
            [similarity]
            if similarity is not None and tools.embedder.id == tools.verifier.embedder
            else None
        )
        at_least = threshold if known_from is None else min(threshold, known_from)
        scoring = tools.verifier.score_questions(
            asked, [stored], similarities=known, at_least=at_least, within=seconds
        )
        (score,) = await tools.breakers["verifier"].run(scoring, seconds=seconds)
    except ToolUnavailable:
        return MatchResult(None, "unverified")
    return MatchResult(score, "" if score >= threshold else VERIFIER_REASON)


# Texts to vectors within what is left of a request's time.


async def embed_texts(call: Call, tools: Toolbox, *texts: str, share: float = 1.0) -> list[Vector]:
    """One unit vector a text, folded, for which `share` of the time left may be used.

    Raises ToolUnavailable.
    """
    left = cache_seconds_left(call)
    return await tools.breakers["embedder"].run(
        _embed_all(tools, texts, tenant=get_tenant_id(call), within=share * left), seconds=left
    )


async def is_in_vocabulary(call: Call, tools: Toolbox, text: str) -> bool:
    """Whether the embedder's vocabulary holds most of the text. Raises ToolUnavailable."""
    return await tools.breakers["embedder"].run(
        tools.embedder.has_vocabulary_for(fold_text(text)), seconds=cache_seconds_left(call)
    )


async def _embed_all(
    tools: Toolbox, texts: tuple[str, ...], *, tenant: int, within: float
) -> list[Vector]:
    return await asyncio.gather(
        *(tools.embedder.embed(fold_text(text), tenant=tenant, within=within) for text in texts)
    )
