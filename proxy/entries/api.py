"""GET and DELETE /token-saving/plans/{plan}/entries."""

from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from plans import selectors
from plans.api.authentication import Administrator, get_plan_owner
from plans.api.openapi import TENANT_PARAMETER, build_error_responses
from plans.api_errors import ApiError
from plans.models import Tenant
from plans.untrusted_text.whole_numbers import parse_positive
from proxy.core.caching.cache_keys import end_user_digest
from stats.ledger import deletions
from stats.models.cache_entries import CacheEntry

MAX_FILTER_LENGTH: Final = 512
FILTERS: Final[Mapping[str, str]] = {
    "entry_id": "One entry, as the ledger and this list name it.",
    "namespace": "What requests of this `cache.namespace` stored.",
    "model": "What requests for this model, as clients name it, stored.",
    "end_user": (
        "What this end user's requests stored: the `user` they sent. With the platform's key "
        "it takes ?tenant=."
    ),
}
DELETION_WAIT_SECONDS: Final = 2.0  # by then the workers have usually emptied the stores
MAX_LISTED_ENTRIES: Final = 100


def _build_query_parameter(name: str, text: str, kind: type = str) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=text)


FILTER_PARAMETERS = [
    OpenApiParameter("plan", str, OpenApiParameter.PATH, description="The plan's name."),
    TENANT_PARAMETER,
    *(_build_query_parameter(name, text) for name, text in FILTERS.items()),
]
ALL_PARAMETER = _build_query_parameter(
    "all", "true: every entry of the plan. Needed where no other filter is given.", bool
)
LIMIT_PARAMETER = _build_query_parameter(
    "limit", f"At most so many, 1 to {MAX_LISTED_ENTRIES}.", int
)


class BadFilter(ApiError):
    """A query parameter is unknown, empty, too long, or missing."""


class EntrySerializer(serializers.Serializer[CacheEntry]):
    """A cached answer, without its text."""

    entry_id = serializers.CharField()
    tenant = serializers.CharField()
    model = serializers.CharField(source="route", help_text="As clients name it.")
    namespace = serializers.CharField(allow_blank=True)
    exact = serializers.BooleanField(help_text="Whether identical requests find it.")
    backend = serializers.CharField(
        allow_blank=True,
        help_text="Where it is found by meaning, former backends too; empty: nowhere.",
    )
    bytes = serializers.IntegerField(help_text="In all stores together.")
    hits = serializers.IntegerField(help_text="At least so many.")
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    used_at = serializers.DateTimeField(help_text="To some ten seconds.")


class EntryListSerializer(serializers.Serializer[Any]):
    object = serializers.CharField(default="list")
    total = serializers.IntegerField()
    data = EntrySerializer(many=True)  # type: ignore[assignment]  # a field, which the metaclass takes away


class DeletedSerializer(serializers.Serializer[Any]):
    deleted = serializers.IntegerField(help_text="How many entries were found and deleted.")
    pending = serializers.IntegerField(
        help_text=(
            "How many of them wait for a store that does not answer now. They go "
            "as soon as it does."
        )
    )


class PlanEntriesView(APIView):
    """The answers cached for a plan.

    A tenant's key lists and deletes its own, also under a plan of the platform.
    """

    @extend_schema(
        operation_id="plan_entries",
        parameters=[*FILTER_PARAMETERS, LIMIT_PARAMETER],
        responses={200: EntryListSerializer} | build_error_responses(400, 401, 403, 404),
    )
    def get(self, request: Request, plan: str) -> Response:
        """List the cached answers that match every given filter, newest first, without their text.

        A new entry is listed within a second.
        """
        found = deletions.find_entries(_parse_filter(request, plan, beside=("limit",)))
        page = found.order_by("-created_at")[: _parse_limit(request)]
        return Response(
            {
                "object": "list",
                "total": found.count(),
                "data": [EntrySerializer(row).data for row in page],
            }
        )

    @extend_schema(
        operation_id="plan_entries_delete",
        parameters=[*FILTER_PARAMETERS, ALL_PARAMETER],
        responses={200: DeletedSerializer} | build_error_responses(400, 401, 403, 404),
    )
    def delete(self, request: Request, plan: str) -> Response:
        """Delete the cached answers that match every given filter, from all stores and workers.

        When the reply arrives they are gone from every store and from the memory of every worker,
        except those that it reports as pending.
        """
        given = {name for name in FILTERS if name in request.query_params}
        if not given and request.query_params.get("all") != "true":
            raise BadFilter(
                (
                    f"Name what to delete: {', '.join(FILTERS)}, or all=true for every "
                    "entry of the plan."
                ),
                param="all",
            )
        deleted, mark = deletions.erase_entries(
            _parse_filter(request, plan, beside=("all",)), by=_describe_requester(request)
        )
        return Response(
            {
                "deleted": deleted,
                "pending": deletions.wait_until_removed(mark, seconds=DELETION_WAIT_SECONDS)
                if deleted
                else 0,
            }
        )


def _parse_filter(request: Request, plan: str, *, beside: tuple[str, ...]) -> deletions.EntryFilter:
    """Build the entry filter from the query, limited to what the caller may see.

    Raises PlanNotFound, TenantNotFound or BadFilter.
    """
    owner = get_plan_owner(request)
    row = selectors.find_visible_plan(owner, plan)
    for name in request.query_params:
        if name not in (*FILTERS, "tenant", *beside):
            raise BadFilter(
                f"Unknown parameter. Accepted here: {', '.join((*FILTERS, 'tenant', *beside))}.",
                param=name[:64],
            )
    given = {
        name: _parse_filter_value(request, name) for name in FILTERS if name in request.query_params
    }
    return deletions.EntryFilter(
        tenant_id=owner.pk if owner else row.tenant_id,
        plan_id=row.pk,
        entry_id=given.get("entry_id", ""),
        route=given.get("model", ""),
        namespace=given.get("namespace", ""),
        end_user=_digest_end_user(given["end_user"], owner) if "end_user" in given else "",
    )


def _parse_filter_value(request: Request, name: str) -> str:
    value = request.query_params[name]
    if not 0 < len(value) <= MAX_FILTER_LENGTH or not value.isprintable():
        raise BadFilter(f"Must be 1 to {MAX_FILTER_LENGTH} printable characters.", param=name)
    return value


def _digest_end_user(user: str, owner: Tenant | None) -> str:
    """Return the digest of an end user. Raises BadFilter without a tenant."""
    # Two tenants may have end users of the same name.
    if owner is None:
        raise BadFilter("Name the end user's tenant too: ?tenant=.", param="tenant")
    return end_user_digest(user, tenant_id=owner.pk, pepper=settings.KEY_PEPPER)


def _parse_limit(request: Request) -> int:
    text = request.query_params.get("limit", str(MAX_LISTED_ENTRIES))
    limit = parse_positive(text, maximum=MAX_LISTED_ENTRIES)
    if limit is None:
        raise BadFilter(f"Must be a whole number from 1 to {MAX_LISTED_ENTRIES}.", param="limit")
    return limit


def _describe_requester(request: Request) -> str:
    """Return who sent the request, for the deletion record."""
    user: Any = request.user
    return f"admin key {user.name}" if isinstance(user, Administrator) else user.get_username()
