"""Which changes of a plan could serve other answers than before; those are asked about.

A plan that does not act serves nothing. Pure.
"""

from collections.abc import Mapping
from typing import Final

from plans.snapshot import CacheSettings, CompressionSettings
from plans.validation import PlanDraft

CONTEXT_ORDER: Final = (
    "strict",
    "window",
    "last_message",
)  # the wider, the less of a chat must agree
TOOL_CALLS_ORDER: Final = ("none", "output", "all")
SCOPE_ORDER: Final = ("user", "key", "tenant")
RISKS_WHEN_RAISED: Final = {
    "ttl": "Answers live longer: they may be older than before.",
    "exact": "Identical requests get their stored answer.",
}
# They do something beside answers of identical requests, or of near ones, alone.
EXACT_RISKS_WHEN_RAISED: Final = {
    "stale_while_revalidate": "Expired answers are served for longer.",
    "stale_if_error": "Expired answers are served for longer when the provider fails.",
}
SEMANTIC_RISKS_WHEN_RAISED: Final = {
    "max_temperature": "Requests that ask for more variety are answered by meaning too.",
    "time_sensitive": "Questions about now may get old news.",
    "personal": "Personal questions may get another person's facts.",
}


def list_change_risks(before: PlanDraft, after: PlanDraft) -> list[str]:
    """A sentence for each; empty: nobody can get another answer than before."""
    if after.mode != "active":
        return []
    acted = before.mode == "active"
    found = [] if acted else ["The plan becomes active: from now on its answers reach your users."]
    found += _list_cache_risks(before.cache, after.cache)
    found += _list_compression_risks(before.compression, after.compression)
    return found


def _list_cache_risks(before: CacheSettings | None, after: CacheSettings | None) -> list[str]:
    if after is None:
        return []
    if before is None:
        return ["Answers are cached and given again."]
    found = _list_raised(RISKS_WHEN_RAISED, before, after)
    if after.exact:
        found += _list_raised(EXACT_RISKS_WHEN_RAISED, before, after)
    if SCOPE_ORDER.index(after.scope) > SCOPE_ORDER.index(before.scope):
        found.append("A wider circle shares answers.")
    if TOOL_CALLS_ORDER.index(after.tool_calls) > TOOL_CALLS_ORDER.index(before.tool_calls):
        found.append(
            "More answers that call tools are given again: clients carry those calls out again."
        )
    return found + (_list_semantic_risks(before, after) if after.backend else [])


def _list_measurement_risks(before: CacheSettings, after: CacheSettings) -> list[str]:
    """List what may let more wrong answers pass before anybody notices."""
    found = []
    if before.max_error_rate is not None and (
        after.max_error_rate is None or after.max_error_rate > before.max_error_rate
    ):
        found.append("More wrong answers are accepted before reuse by meaning turns itself off.")
    if after.max_error_rate is not None and after.sample_rate < before.sample_rate:
        found.append("Fewer reused answers are checked with the provider.")
    if None not in (before.max_error_rate, after.max_error_rate) and (
        after.judge_model != before.judge_model
    ):
        found.append("Somebody else says which reused answers were wrong.")
    return found


def _list_raised(
    risks: Mapping[str, str], before: CacheSettings, after: CacheSettings
) -> list[str]:
    """List what comes with the settings that were raised or turned on."""
    return [text for name, text in risks.items() if getattr(after, name) > getattr(before, name)]


def _list_semantic_risks(before: CacheSettings, after: CacheSettings) -> list[str]:
    if not before.backend:
        return ["Questions in other words are answered again: some of those answers will be wrong."]
    found = _list_raised(SEMANTIC_RISKS_WHEN_RAISED, before, after)
    if before.context == after.context == "window" and after.window < before.window:
        found.append("Fewer earlier turns of a chat are compared as a whole.")
    if after.backend != before.backend:
        found.append("Questions are compared elsewhere, among other stored answers.")
    if after.match != before.match:
        found.append("The threshold is about another number, so other questions count as the same.")
    if after.match == "cosine" != before.match:
        found.append(
            "The verifier is off: rules alone stand between a near question and a wrong answer."
        )
    if after.similarity_threshold < before.similarity_threshold:
        found.append("A lower threshold reuses more answers, and more of them will be wrong.")
    if CONTEXT_ORDER.index(after.context) > CONTEXT_ORDER.index(before.context):
        found.append("Less of the earlier chat must agree: answers of other chats may be given.")
    return found + _list_measurement_risks(before, after)


def _list_compression_risks(
    before: CompressionSettings | None, after: CompressionSettings | None
) -> list[str]:
    if after is None:
        return []
    if before is None:
        return ["Long chats are shortened: what is left out, the model cannot know."]
    found = []
    if after.max_input_tokens < before.max_input_tokens:
        found.append("More of long chats is left out: what is left out, the model cannot know.")
    if (after.engine, after.focus, after.language, after.min_sentences) != (
        before.engine,
        before.focus,
        before.language,
        before.min_sentences,
    ):
        found.append("Other sentences of long chats are chosen.")
    if (before.when, after.when) == ("saves", "always"):
        found.append("Chats are shortened also where that does not pay.")
    if after.deadline_ms is not None and (
        before.deadline_ms is None or after.deadline_ms < before.deadline_ms
    ):
        found.append("More long chats are cut by `trim`, because the engine has less time.")
    return found
