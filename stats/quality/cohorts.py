"""The cohorts of a plan in the ledger: under which settings its samples were taken.

The request path names them; it says how when it starts.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from plans.models import Plan
from plans.snapshot import CacheSettings
from stats.models.requests import RequestEvent

CohortFunction = Callable[[CacheSettings], str]


@dataclass(slots=True)
class _CohortState:
    cohort_function: CohortFunction | None = None


_state = _CohortState()


def set_cohort_function(basis: CohortFunction | None) -> None:
    """Set the function that names a plan's cohort; called once when the request path starts."""
    _state.cohort_function = basis


@contextmanager
def use_cohort_function(basis: CohortFunction) -> Iterator[None]:
    """Name cohorts by this function within the block, in a process without the request path."""
    former = _state.cohort_function
    set_cohort_function(basis)
    try:
        yield
    finally:
        set_cohort_function(former)


def find_cohort(plan: Plan, cache: CacheSettings) -> str:
    """Return the plan's cohort as the request path names it."""
    if _state.cohort_function is not None:
        return _state.cohort_function(cache)
    # In a process without the request path: that of the newest sample.
    rows = (
        RequestEvent.objects.filter(plan_id=plan.pk)
        .exclude(sample="")
        .exclude(basis="")
        .order_by("-at")
    )
    return rows.values_list("basis", flat=True).first() or ""


def list_threshold_cohorts(plan: Plan, cache: CacheSettings) -> set[str]:
    """Return the plan's cohort and those that differ from it in a former threshold alone.

    Their scores mean the same: scorer, match, context, window and judge are the present ones.
    """
    former = plan.history.values_list("similarity_threshold", "strictness").distinct().order_by()
    settings = [
        replace(cache, similarity_threshold=threshold, strictness=strictness)
        for threshold, strictness in former
    ]
    return {find_cohort(plan, each) for each in (cache, *settings)}
