"""GET /token-saving/plans/{plan}/stats, GET /token-saving/stats,
POST /token-saving/plans/{plan}/semantic-tier/on."""

from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from plans import selectors as plans_selectors
from plans.access import NUMBERS
from plans.api.authentication import own_tenant, owner_of
from plans.api.openapi import TENANT, refusals
from plans.errors import Refusal, TenantUnknown
from plans.models import Plan, Tenant
from stats.api.serializers import (
    ErrorBudgetSerializer,
    Found,
    PlanStatsSerializer,
    budget_body,
    stats_body,
)
from stats.quality import tier_switch
from stats.quality.error_budget import budget_of
from stats.reports import selectors, visibility
from stats.reports.csv_export import RENDERERS, Formats, csv_reply
from stats.reports.filters import GRANULARITIES, GROUPS, asked
from stats.reports.holdout import measured
from stats.reports.periods import RANGES
from stats.reports.rollup_query import Wanted
from stats.reports.rows import columns, group_rows, series_rows, whole_row
from stats.reports.totals import totals

NAME = OpenApiParameter("plan", str, OpenApiParameter.PATH, description="The plan's name.")


def _query(name: str, text: str, kind: Any = str, enum: tuple[str, ...] = ()) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=text, enum=enum or None)


REPORT = [
    _query(
        "from",
        "RFC 3339: a date (its first moment, UTC) or a time, moved to the start of its minute.",
    ),
    _query("to", "Likewise, not included; a date is its end. Default: now."),
    _query("range", "Instead of from and to; days are UTC days, today included.", enum=RANGES),
    _query(
        "granularity",
        "Fills detail.series, 2,000 points at most. Minutes are kept for 7 days.",
        enum=GRANULARITIES,
    ),
    _query(
        "group_by",
        "Fills detail.groups; with granularity, detail.series by group too.",
        enum=GROUPS,
    ),
    _query("key", "Of one virtual key, by its number.", int),
    _query("route", "Of one route, by the name that clients use."),
    _query("model", "Of one model, as the provider calls it."),
    _query("format", "Or the header Accept: text/csv.", enum=("json", "csv")),
]
REPLIES = {
    (200, "application/json"): PlanStatsSerializer,
    (200, "text/csv"): OpenApiTypes.STR,
} | refusals(400, 401, 403, 404)


class Report(APIView):
    """Numbers as JSON, or as CSV: one row for the whole, or one for each point or group."""

    allows = NUMBERS
    renderer_classes = RENDERERS
    content_negotiation_class = Formats

    def reply(
        self, request: Request, wanted: Wanted, tenant: Tenant | None, plan: Plan | None = None
    ) -> Response | HttpResponseBase:
        """`wanted`: everything so far, which the query narrows."""
        question = asked(
            request.query_params, tenant=tenant, since=selectors.since(wanted), also=("format",)
        )
        if plan:
            question = question.of_plan(plan.pk)
        csv = request.accepted_renderer.format == "csv"
        narrowed = (
            question.wanted if csv or set(request.query_params) - {"format", "tenant"} else wanted
        )
        series = series_rows(question) if "granularity" in request.query_params else None
        groups = group_rows(question) if question.group_by else None
        sums = totals(narrowed)
        if csv:
            rows = (
                series
                if series is not None
                else groups
                if groups is not None
                else [whole_row(question, sums)]
            )
            return csv_reply(
                columns(question), rows, name=f"stats-{question.start:%Y%m%d}-{question.end:%Y%m%d}"
            )
        found = Found(
            totals=sums,
            reasons=None if question.narrow else selectors.reasons(narrowed),
            unpriced=selectors.unpriced(narrowed) if sums.unpriced else {},
            outcome_unknown=selectors.unknown_of(narrowed),
            budget=budget_of(plan, narrowed) if plan else None,
            holdout=None if question.narrow else measured(narrowed),
            asked=question if narrowed is not wanted else None,
            series=series,
            groups=groups,
        )
        return Response(stats_body(found))

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """What is not streamed is JSON: refusals too, whatever was asked for."""
        if isinstance(response, Response):
            request.accepted_renderer, request.accepted_media_type = (
                JSONRenderer(),
                JSONRenderer.media_type,
            )
        return super().finalize_response(request, response, *args, **kwargs)


class PlanStatsView(Report):
    @extend_schema(operation_id="plan_stats", parameters=[NAME, TENANT, *REPORT], responses=REPLIES)
    def get(self, request: Request, plan: str) -> Response | HttpResponseBase:
        """What the plan saved since it was made, or in the period asked for.

        Requests show up within two seconds. A tenant's key sees its own requests, also under a plan
        of the platform's.
        """
        owner = owner_of(request)
        row = plans_selectors.plan_in_sight(owner, plan)
        if "plan" in request.query_params:
            raise Refusal("The path names the plan.", param="plan")
        return self.reply(request, selectors.wanted_of(row, owner), owner, row)


class AllStatsView(Report):
    @extend_schema(
        operation_id="stats",
        parameters=[
            _query("tenant", "Of one tenant, by its slug."),
            _query("plan", "Of one plan, by its number.", int),
            *REPORT,
        ],
        responses=REPLIES,
    )
    def get(self, request: Request) -> Response | HttpResponseBase:
        """What all plans together saved: the tenant's for its keys and people,
        everybody's for the platform's."""
        own = own_tenant(request)
        slug = request.query_params.get("tenant", "")
        return self.reply(request, Wanted(tenant_id=visibility.tenant_id(slug, own)), own)


class NoBudget(Refusal):
    status = 409
    code = "no_error_budget"


class SemanticTierView(APIView):
    needs = "change"

    @extend_schema(
        operation_id="plan_semantic_tier_on",
        parameters=[
            NAME,
            TENANT,
            _query(
                "for_tenant",
                "For the requests of this tenant alone, by its slug. Default: for all.",
            ),
        ],
        request=None,
        responses={200: ErrorBudgetSerializer} | refusals(401, 403, 404, 409),
    )
    def post(self, request: Request, plan: str) -> Response:
        """Turn the semantic tier on again, after it turned itself off for the plan's error budget
        and you looked at why.

        It is on within two seconds. Measuring begins anew: samples from before do not count. On a
        tier that is on this changes nothing.
        """
        owner = owner_of(request)
        row = plans_selectors.find_plan(owner, plan)
        try:
            tenant = visibility.tenant_id(request.query_params.get("for_tenant", ""), owner)
        except TenantUnknown as error:
            raise TenantUnknown(error.message, param="for_tenant") from None
        tier_switch.turn_on(
            row.pk, by=str(getattr(request.user, "name", "") or request.user), tenant=tenant
        )
        budget = budget_of(row, selectors.wanted_of(row, owner))
        if budget is None:
            raise NoBudget(
                "The plan has no error budget (cache.max_error_rate), so its semantic tier never "
                "turns itself off."
            )
        return Response(budget_body(budget))
