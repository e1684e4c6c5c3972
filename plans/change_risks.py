"""Risks of plan changes that could serve other answers. Pure.

A plan that is not active serves nothing.
"""

from collections.abc import Iterator
from dataclasses import replace
from math import inf
from typing import Any

from plans.fields import SETTINGS_IN_RISK_ORDER, PlanHalf, PlanSetting, RiskCondition
from plans.snapshot import CacheSettings, CompressionSettings
from plans.validation import PlanDraft


def list_change_risks(before: PlanDraft, after: PlanDraft) -> list[str]:
    """List a sentence for each risk; empty if no request can get another answer than before."""
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
    # Of thresholds by name their numbers are compared.
    old, new = (replace(each, similarity_threshold=each.threshold) for each in (before, after))
    found = list(_iter_risks("cache", old, new, _find_conditions(before, after)))
    if after.backend and not before.backend:
        found.append(
            "Questions in other words are answered again: some of those answers will be wrong."
        )
    return found


def _find_conditions(before: CacheSettings, after: CacheSettings) -> set[RiskCondition]:
    """Find the conditions whose risks apply to this change of the cache."""
    found: set[RiskCondition] = {"always"}
    if after.exact:
        found.add("exact")
    if not (before.backend and after.backend):
        return found
    found.add("semantic")
    if before.context == after.context == "window":
        found.add("window")
    if after.max_error_rate is not None:
        found.add("measured")
        if before.max_error_rate is not None:
            found.add("judged")
    return found


def _list_compression_risks(
    before: CompressionSettings | None, after: CompressionSettings | None
) -> list[str]:
    if after is None:
        return []
    if before is None:
        return ["Long chats are shortened: what is left out, the model cannot know."]
    # Several settings share a sentence.
    return list(dict.fromkeys(_iter_risks("compression", before, after, {"always"})))


def _iter_risks(
    half: PlanHalf, before: object, after: object, conditions: set[RiskCondition]
) -> Iterator[str]:
    """Yield the risk texts of the half's changed settings, from the table of settings."""
    for setting in SETTINGS_IN_RISK_ORDER:
        if setting.half != half or not setting.name:
            continue
        old, new = (getattr(each, setting.name) for each in (before, after))
        for risk in setting.risks:
            if risk.condition in conditions and is_risky_change(risk.change, setting, old, new):
                yield risk.text


def is_risky_change(change: str, setting: PlanSetting, old: Any, new: Any) -> bool:
    """Whether the value was raised, lowered or changed, as `change` says."""
    if change == "changed":
        return bool(old != new)
    first, second = (new, old) if change == "lowered" else (old, new)
    return _get_rank(setting, first) < _get_rank(setting, second)


def _get_rank(setting: PlanSetting, value: Any) -> float:
    if value is None:
        return inf
    return list(setting.choices).index(value) if setting.choices else float(value)
