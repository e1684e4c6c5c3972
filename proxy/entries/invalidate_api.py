"""POST /token-saving/plans/{plan}/invalidate."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from plans.api.authentication import Administrator, owner_of
from plans.api.openapi import TENANT, refusals
from plans.errors import Refusal
from plans.invalidation import ALL, invalidate
from plans.selectors import plan_in_sight
from proxy.core.formats.cache_controls import MAX_TAG_LENGTH, is_valid_tag

log = logging.getLogger(__name__)
NAME = OpenApiParameter("plan", str, OpenApiParameter.PATH, description="The plan's name.")
MOST: Final = 100
FIELDS: Final = ("all", "tags")


class BadInvalidation(Refusal):
    """Neither all nor tags, or tags that no entry can carry."""


class InvalidateSerializer(serializers.Serializer[Any]):
    """One of the two."""

    tags = serializers.ListField(
        child=serializers.CharField(max_length=MAX_TAG_LENGTH),
        max_length=MOST,
        required=False,
        help_text="Forget the answers with one of these.",
    )
    all = serializers.BooleanField(
        required=False, help_text="true: forget every answer of the plan."
    )


class InvalidatedSerializer(serializers.Serializer[Any]):
    plan = serializers.CharField()
    tenant = serializers.CharField(
        allow_null=True, help_text="Whose answers; null: those of every tenant that uses the plan."
    )
    all = serializers.BooleanField()
    tags = serializers.ListField(child=serializers.CharField())
    generation = serializers.IntegerField(
        help_text="Answers asked for under an older configuration are served no more."
    )
    invalidated_at = serializers.DateTimeField()


class PlanInvalidateView(APIView):
    """Have a plan's answers forgotten."""

    needs = "change"

    @extend_schema(
        operation_id="plan_invalidate",
        parameters=[NAME, TENANT],
        request=InvalidateSerializer,
        responses={200: InvalidatedSerializer} | refusals(400, 401, 403, 404, 413, 415),
    )
    def post(self, request: Request, plan: str) -> Response:
        """Forget the plan's answers that carry a tag, or all of them. Nothing brings them back.

        Every worker follows within two seconds, also for answers it holds in memory; a request
        under way stores what nobody is served. It takes as long for a million answers as for one. A
        tenant's key under a plan of the platform's, and `?tenant=`, forget the answers of that
        tenant alone.
        """
        owner = owner_of(request)
        row = plan_in_sight(owner, plan)
        tags = _tags(request.data)
        tenant = owner if row.tenant_id is None else row.tenant
        done = invalidate(plan=row, tenant=tenant, tags=tags or [ALL])
        who = request.user.name if isinstance(request.user, Administrator) else request.user
        log.info(
            "plan %s: %s forgotten by %s",
            row.name,
            f"the answers of {len(tags)} tags" if tags else "all answers",
            who,
        )
        return Response(
            {
                "plan": row.name,
                "tenant": tenant.slug if tenant else None,
                "all": not tags,
                "tags": tags,
                "generation": done.generation,
                "invalidated_at": done.at.isoformat(),
            }
        )


def _tags(body: object) -> list[str]:
    """The tags, none of them for all answers. Raises BadInvalidation."""
    if not isinstance(body, Mapping):
        raise BadInvalidation('The body must be an object: {"tags": [...]} or {"all": true}.')
    for name in body:
        if name not in FIELDS:
            raise BadInvalidation(
                f"Unknown field. Accepted here: {', '.join(FIELDS)}.", param=name[:64]
            )
    if "all" in body and body["all"] is not True:
        raise BadInvalidation("Must be true; leave it out to forget by tags.", param="all")
    if ("all" in body) == ("tags" in body):
        raise BadInvalidation('Give one of them: {"tags": [...]} or {"all": true}.', param="tags")
    tags = body.get("tags", [])
    if "tags" in body and not (
        isinstance(tags, list) and 1 <= len(tags) <= MOST and all(map(is_valid_tag, tags))
    ):
        raise BadInvalidation(
            f"Must be a list of 1 to {MOST} printable texts of 1 to {MAX_TAG_LENGTH} characters.",
            param="tags",
        )
    return list(dict.fromkeys(tags))
