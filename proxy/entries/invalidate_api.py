"""POST /token-saving/plans/{plan}/invalidate."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from plans.api.authentication import Administrator, get_plan_owner
from plans.api.openapi import TENANT_PARAMETER, build_error_responses
from plans.api_errors import ApiError
from plans.invalidation import ALL_ANSWERS_TAG, invalidate_answers
from plans.selectors import find_visible_plan
from proxy.core.formats.cache_controls import MAX_TAG_LENGTH, is_valid_tag

log = logging.getLogger(__name__)
PLAN_PARAMETER = OpenApiParameter(
    "plan", str, OpenApiParameter.PATH, description="The plan's name."
)
MAX_TAGS: Final = 100
ACCEPTED_FIELDS: Final = ("all", "tags")


class BadInvalidation(ApiError):
    """Neither `all` nor `tags`, or tags that no entry can carry."""


class InvalidateSerializer(serializers.Serializer[Any]):
    """Either `tags` or `all`."""

    tags = serializers.ListField(
        child=serializers.CharField(max_length=MAX_TAG_LENGTH),
        max_length=MAX_TAGS,
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
    """Invalidate a plan's cached answers."""

    needs = "change"

    @extend_schema(
        operation_id="plan_invalidate",
        parameters=[PLAN_PARAMETER, TENANT_PARAMETER],
        request=InvalidateSerializer,
        responses={200: InvalidatedSerializer}
        | build_error_responses(400, 401, 403, 404, 413, 415),
    )
    def post(self, request: Request, plan: str) -> Response:
        """Invalidate the plan's cached answers that carry one of the tags, or all of them.

        This cannot be undone. Every worker follows within two seconds, also for answers it holds in
        memory; what a request in flight stores is not served. It takes as long for a million
        answers as for one. A tenant's key under a plan of the platform, and `?tenant=`, invalidate
        the answers of that tenant only.
        """
        owner = get_plan_owner(request)
        row = find_visible_plan(owner, plan)
        tags = _parse_tags(request.data)
        tenant = owner if row.tenant_id is None else row.tenant
        done = invalidate_answers(plan=row, tenant=tenant, tags=tags or [ALL_ANSWERS_TAG])
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
                "invalidated_at": done.invalidated_at.isoformat(),
            }
        )


def _parse_tags(body: object) -> list[str]:
    """Return the tags, an empty list for all answers. Raises BadInvalidation."""
    if not isinstance(body, Mapping):
        raise BadInvalidation('The body must be an object: {"tags": [...]} or {"all": true}.')
    for name in body:
        if name not in ACCEPTED_FIELDS:
            raise BadInvalidation(
                f"Unknown field. Accepted here: {', '.join(ACCEPTED_FIELDS)}.", param=name[:64]
            )
    if "all" in body and body["all"] is not True:
        raise BadInvalidation("Must be true; leave it out to forget by tags.", param="all")
    if ("all" in body) == ("tags" in body):
        raise BadInvalidation('Give one of them: {"tags": [...]} or {"all": true}.', param="tags")
    tags = body.get("tags", [])
    if "tags" in body and not (
        isinstance(tags, list) and 1 <= len(tags) <= MAX_TAGS and all(map(is_valid_tag, tags))
    ):
        raise BadInvalidation(
            f"Must be a list of 1 to {MAX_TAGS} printable texts of 1 to {MAX_TAG_LENGTH} "
            "characters.",
            param="tags",
        )
    return list(dict.fromkeys(tags))
