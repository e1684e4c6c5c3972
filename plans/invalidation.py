"""Invalidation of a plan's cached answers: one row per tag, however many answers there are."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from plans import selectors
from plans.models import Invalidation, Plan, Tenant

ALL_ANSWERS_TAG = ""
# Invalidated tags stored for each plan and tenant. When one more comes, all answers older than the
# oldest tag's invalidation become invalid, whatever their tags: more than was requested, never
# less.
MAX_REMEMBERED_TAGS = 1000


@dataclass(frozen=True, slots=True)
class InvalidationResult:
    """The result: answers requested under a revision before `generation` are no longer served."""

    generation: int
    invalidated_at: datetime


@transaction.atomic
def invalidate_answers(
    *, plan: Plan, tenant: Tenant | None, tags: Collection[str] = (ALL_ANSWERS_TAG,)
) -> InvalidationResult:
    """Invalidate the plan's answers with one of the tags, by default all; irreversible.

    `tenant` None: the answers of all tenants. Every worker follows within two seconds.
    """
    at = timezone.now()
    rows = [Invalidation(plan=plan, tenant=tenant, tag=tag, at=at) for tag in sorted(set(tags))]
    # This statement's trigger raises the revision to an unused number and locks it until the
    # transaction ends.
    Invalidation.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=("plan", "tenant", "tag"), update_fields=("at",)
    )
    generation = selectors.get_revision()
    marks = Invalidation.objects.filter(plan=plan, tenant=tenant)
    marks.filter(tag__in=tags).update(generation=generation)
    _merge_oldest_tags(plan, tenant, at)
    return InvalidationResult(generation, at)


def _merge_oldest_tags(plan: Plan, tenant: Tenant | None, at: datetime) -> None:
    """Replace the oldest rows beyond MAX_REMEMBERED_TAGS by an invalidation of all answers."""
    tagged = Invalidation.objects.filter(plan=plan, tenant=tenant).exclude(tag=ALL_ANSWERS_TAG)
    beyond = list(tagged.order_by("-generation", "-pk")[MAX_REMEMBERED_TAGS:])
    if not beyond:
        return
    generation = max(row.generation for row in beyond)
    tagged.filter(pk__in=[row.pk for row in beyond]).delete()
    whole, made = Invalidation.objects.get_or_create(
        plan=plan, tenant=tenant, tag=ALL_ANSWERS_TAG, defaults={"generation": generation, "at": at}
    )
    if not made and whole.generation < generation:
        Invalidation.objects.filter(pk=whole.pk).update(generation=generation, at=at)
