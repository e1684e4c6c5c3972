"""Whether a stored question may answer this one, and what a model makes of texts."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Embedder
from proxy.core.replay import BOUNDED_REASON
from proxy.core.text.normalize import fold_text
from proxy.core.types import Vector
from proxy.core.verification.equivalence import equivalent, may_be_equivalent
from proxy.core.verification.rules.rule_registry import (
    RULES,
    SURE_RULES,
    Rule,
    veto_question_of,
)
from proxy.pipeline.cache_access import cache_seconds_left
from proxy.pipeline.call import Call, get_tenant_id
from proxy.pipeline.toolbox import Toolbox

# May one question have the other's answer? The rules decide first, then the learned verifier.

VERIFIER_REASON = "verifier"  # the reason against a question whose score is too low
UNVERIFIED_REASON = "unverified"  # against one that nobody scored in time
WORDS_REASON = BOUNDED_REASON  # against one whose words alone tell that its score would be


@dataclass(frozen=True, slots=True)
class MatchResult:
    """The outcome of matching two questions.

    `score`: the verifier's, None if it was not asked; `reason`: why they do not match, "" if they
    do.
    """

    score: float | None
    reason: str


async def match_questions(
    asked: str,
    stored: str,
    tools: Toolbox,
    *,
    threshold: float,
    seconds: float,
    reading_seconds: float = math.inf,
    tenant: int | None = None,
) -> MatchResult:
    """Decide whether both questions may have one answer: equivalent texts may.

    Otherwise no sure rule may object and the verifier's score must reach `threshold`. The reason is
    `unverified` without a verifier, if it does not answer within `seconds`, or if others' readings
    would hold up its own for more than `reading_seconds`.
    """
    reason = find_objection(asked, stored, tools, match="verified", rules=SURE_RULES)
    if reason is not None:
        return MatchResult(None, reason)
    if equivalent(asked, stored):
        return MatchResult(1.0, "")
    if tools.verifier is None:
        return MatchResult(None, UNVERIFIED_REASON)
    try:
        scoring = tools.verifier.score_questions(
            asked, [stored], within=min(seconds, reading_seconds), tenant=tenant
        )
        (score,) = await tools.breakers["verifier"].run(scoring, seconds=seconds)
    except ToolUnavailable:
        return MatchResult(None, UNVERIFIED_REASON)
    return MatchResult(score, "" if score >= threshold else VERIFIER_REASON)


def find_objection(
    asked: str,
    stored: str,
    tools: Toolbox,
    *,
    match: str,
    rules: Mapping[str, Rule] = RULES,
) -> str | None:
    """Return why rules say that the questions have different answers, or None.

    In languages besides English only where a model of the operator's own decides under `match`.
    """
    return veto_question_of(tools.foreign_languages.get(match, ()), asked, stored, rules)


async def find_hopeless(
    asked: str, stored: str, tools: Toolbox, *, threshold: float, tenant: int | None = None
) -> MatchResult | None:
    """Return a mismatch if words alone tell that `match_questions` would find one, else None.

    Its score is a bound. Takes some ten microseconds, where the rules take some hundred and the
    verifier a thousand.
    """
    if tools.verifier is None or may_be_equivalent(asked, stored):
        return None
    try:
        bound = await tools.verifier.bound_score(asked, stored, tenant=tenant)
    except ToolUnavailable:
        return None
    return MatchResult(bound, WORDS_REASON) if bound < threshold else None


# Embed texts within the time left for the request.


async def embed_texts(
    call: Call,
    tools: Toolbox,
    *texts: str,
    embedder: Embedder | None = None,
    share: float = 1.0,
) -> list[Vector]:
    """Embed the folded texts as unit vectors, using at most `share` of the time left.

    `embedder`: None is the model's. Raises ToolUnavailable.
    """
    left = cache_seconds_left(call)
    work = _embed_all(
        embedder or tools.embedder, texts, tenant=get_tenant_id(call), within=share * left
    )
    return await tools.breakers["embedder"].run(work, seconds=left)


async def is_in_vocabulary(call: Call, tools: Toolbox, embedder: Embedder, text: str) -> bool:
    """Whether the embedder's vocabulary covers most of the text. Raises ToolUnavailable."""
    return await tools.breakers["embedder"].run(
        embedder.has_vocabulary_for(fold_text(text)), seconds=cache_seconds_left(call)
    )


async def _embed_all(
    embedder: Embedder, texts: tuple[str, ...], *, tenant: int, within: float
) -> list[Vector]:
    return await asyncio.gather(
        *(embedder.embed(fold_text(text), tenant=tenant, within=within) for text in texts)
    )
