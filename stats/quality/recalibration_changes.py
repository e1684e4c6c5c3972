"""Apply a proposed threshold to its plan, and revert that."""

from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from plans import services
from plans.models import Plan
from stats.models.recalibration import Recalibration
from stats.quality import tier_switch
from stats.quality.cohorts import find_cohort
from stats.quality.recalibration import MEASURED_FIELDS, clear_proposal

APPLIED_FIELDS = ("applied", "applied_at", "replaced_threshold", "replaced_strictness")


class RecalibrationRefused(Exception):
    """The plan stays as it is, for the reason in the message."""


def find_objection(plan: Plan, row: Recalibration) -> str:
    """Return why the proposal must not be applied; "" if it may be."""
    if row.proposed is None:
        return f"nothing is proposed: {row.note}"
    if not row.held:
        return f"{row.proposed:g} is still in shadow: {row.note}"
    cache = plan.build_snapshot().cache
    if cache is None or find_cohort(plan, cache) != row.basis:
        return "the plan was changed after the proposal"
    # Another threshold would turn it on, and a person is to look first.
    if any(each.off_at for each in tier_switch.load_plan_switches(plan.pk, row.basis).values()):
        return "its semantic tier is off: look at the wrong answers and turn it on first"
    return ""


@transaction.atomic
def apply_proposal(plan: Plan, row: Recalibration) -> None:
    """Set the plan's threshold to the proposal that held, and clear its strictness.

    As any other change of the plan: with its version, and a record in its history. Raises
    RecalibrationRefused, or the ApiError of a plan that was changed meanwhile.
    """
    if objection := find_objection(plan, row):
        raise RecalibrationRefused(objection)
    row.replaced_threshold, row.replaced_strictness = plan.similarity_threshold, plan.strictness
    row.applied, row.applied_at = row.proposed, datetime.now(UTC)
    reason = (
        f"Recalibrated from {plan.threshold:g} to {row.proposed:g}: {row.fresh_wrong} of "
        f"{row.fresh} new pairs wrong, the target is {row.target:.2%}"
    )
    _change_threshold(plan, row.proposed, None, reason)
    clear_proposal(row, note="it was applied, and pairs are measured under it now")
    row.save(update_fields=[*MEASURED_FIELDS, *APPLIED_FIELDS])


@transaction.atomic
def revert_proposal(plan: Plan, row: Recalibration | None) -> None:
    """Give the plan the threshold and the strictness that it had before the last proposal.

    Pairs from before now no longer count for it. Raises RecalibrationRefused, or the ApiError of a
    plan that was changed meanwhile.
    """
    if row is None or row.applied is None or row.replaced_threshold is None:
        raise RecalibrationRefused("no proposal was applied to it")
    if plan.strictness is not None or abs(plan.similarity_threshold - row.applied) > 1e-9:
        raise RecalibrationRefused(
            f"its threshold is no longer the {row.applied:g} that was applied: use its history"
        )
    reason = f"Reverted the recalibration to {row.applied:g}"
    _change_threshold(plan, row.replaced_threshold, row.replaced_strictness, reason)
    row.applied, row.applied_at, row.counted_since = None, None, datetime.now(UTC)
    clear_proposal(row, note="the last proposal was reverted, and only later pairs count")
    row.save(update_fields=[*MEASURED_FIELDS, *APPLIED_FIELDS, "counted_since"])


def _change_threshold(
    plan: Plan, threshold: float | None, strictness: str | None, reason: str
) -> None:
    cache: dict[str, Any] = {"similarity_threshold": threshold}
    if plan.strictness != strictness:
        cache["strictness"] = strictness
    body = {"version": plan.version, "reason": reason, "cache": cache}
    services.change_plan(owner=plan.tenant, name=plan.name, body=body)
