"""Warnings about a plan's settings that are accepted and may still be a mistake. Pure."""

from plans.fields import SETTINGS_BY_COLUMN
from plans.snapshot import CacheSettings, PlanSnapshot
from plans.strictness import get_operating_points


def list_plan_warnings(plan: PlanSnapshot) -> list[str]:
    """List a sentence for each; empty for a plan that is off."""
    if plan.mode == "off" or plan.cache is None or plan.cache.backend is None:
        return []
    return [*_list_unmeasured(plan.cache), *_list_unused_thresholds(plan.cache)]


def is_wide_without_budget(cache: CacheSettings) -> bool:
    """Whether the widest threshold is in use and nobody measures what it serves."""
    return cache.strictness == "wide" and cache.max_error_rate is None


def describe_wide_rates() -> str:
    """Say how much of what wide served of the measured sets was wrong."""
    sets = get_operating_points().points["wide"].question_sets
    low, high = (pick(sets.items(), key=lambda each: each[1].wrong_share) for pick in (min, max))
    return (
        f"{low[1].wrong_share:.1%} ({low[0]}) to {high[1].wrong_share:.1%} ({high[0]}) of what "
        "it serves"
    )


def _list_unmeasured(cache: CacheSettings) -> list[str]:
    if not is_wide_without_budget(cache):
        return []
    return [
        (
            f"cache.strictness wide without an error budget: {describe_wide_rates()} was wrong "
            "when it was measured, and nobody would notice here. Set cache.max_error_rate, such "
            "as 0.05: then answers are checked, and reuse by meaning turns itself off."
        )
    ]


def _list_unused_thresholds(cache: CacheSettings) -> list[str]:
    """Warn of a number that was set, and that a name replaces."""
    default = SETTINGS_BY_COLUMN["similarity_threshold"].default
    if cache.strictness is None or cache.similarity_threshold == default:
        return []
    return [
        (
            f"cache.similarity_threshold {cache.similarity_threshold:g} does nothing while "
            f"cache.strictness is {cache.strictness}, which is {cache.threshold:g}. Set "
            "cache.strictness to null to use the number."
        )
    ]
