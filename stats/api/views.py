"""The statistics API.

GET /token-saving/plans/{plan}/stats, GET /token-saving/stats, POST
/token-saving/plans/{plan}/semantic-tier/on.
"""

from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from plans import selectors as plans_selectors
from plans.access import REPORT_PERMISSIONS
from plans.api.authentication import get_own_tenant, get_plan_owner
from plans.api.openapi import TENANT_PARAMETER, build_error_responses
from plans.api_errors import ApiError, TenantNotFound
from plans.models import Plan, Tenant
from stats.api.serializers import (
    ErrorBudgetSerializer,
    PlanStatsSerializer,
    StatsResult,
    build_error_budget_body,
    build_recalibration_body,
    build_stats_body,
)
from stats.quality import tier_switch
from stats.quality.error_budget_report import load_plan_error_budget
from stats.reports import selectors, visibility
from stats.reports.csv_export import REPORT_RENDERERS, FormatNegotiation, build_csv_response
from stats.reports.filters import GRANULARITIES, GROUP_NAMES, parse_filter
from stats.reports.holdout_report import measure_holdout
from stats.reports.periods import RANGE_NAMES
from stats.reports.rollup_query import RollupQuery
from stats.reports.rows import build_group_rows, build_series_rows, build_total_row, list_columns
from stats.reports.totals import compute_totals

PLAN_PARAMETER = OpenApiParameter(
    "plan", str, OpenApiParameter.PATH, description="The plan's name."
)


def _build_query_parameter(
    name: str, text: str, kind: Any = str, enum: tuple[str, ...] = ()
) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=text, enum=enum or None)


REPORT_PARAMETERS = [
    _build_query_parameter(
        "from",
        "RFC 3339: a date (its first moment, UTC) or a time, moved to the start of its minute.",
    ),
    _build_query_parameter("to", "Likewise, not included; a date is its end. Default: now."),
    _build_query_parameter(
        "range", "Instead of from and to; days are UTC days, today included.", enum=RANGE_NAMES
    ),
    _build_query_parameter(
        "granularity",
        "Fills detail.series, 2,000 points at most. Minutes are kept for 7 days.",
        enum=GRANULARITIES,
    ),
    _build_query_parameter(
        "group_by",
        "Fills detail.groups; with granularity, detail.series by group too.",
        enum=GROUP_NAMES,
    ),
    _build_query_parameter("key", "Of one virtual key, by its number.", int),
    _build_query_parameter("route", "Of one route, by the name that clients use."),
    _build_query_parameter("model", "Of one model, as the provider calls it."),
    _build_query_parameter("format", "Or the header Accept: text/csv.", enum=("json", "csv")),
]
STATS_RESPONSES = {
    (200, "application/json"): PlanStatsSerializer,
    (200, "text/csv"): OpenApiTypes.STR,
} | build_error_responses(400, 401, 403, 404)


class ReportView(APIView):
    """Statistics as JSON, or as CSV: one row in total, or one per point or group."""

    allows = REPORT_PERMISSIONS
    renderer_classes = REPORT_RENDERERS
    content_negotiation_class = FormatNegotiation

    def build_reply(
        self, request: Request, wanted: RollupQuery, tenant: Tenant | None, plan: Plan | None = None
    ) -> Response | HttpResponseBase:
        """Build the response for all of `wanted`, or for what the query parameters narrow it to."""
        question = parse_filter(
            request.query_params,
            tenant=tenant,
            since=selectors.find_first_day(wanted),
            also=("format",),
        )
        if plan:
            question = question.for_plan(plan.pk)
        csv = request.accepted_renderer.format == "csv"
        narrowed = (
            question.rollup_query
            if csv or set(request.query_params) - {"format", "tenant"}
            else wanted
        )
        series = build_series_rows(question) if "granularity" in request.query_params else None
        groups = build_group_rows(question) if question.group_by else None
        sums = compute_totals(narrowed)
        if csv:
            rows = (
                series
                if series is not None
                else groups
                if groups is not None
                else [build_total_row(question, sums)]
            )
            return build_csv_response(
                list_columns(question),
                rows,
                name=f"stats-{question.start:%Y%m%d}-{question.end:%Y%m%d}",
            )
        found = StatsResult(
            totals=sums,
            reasons=None if question.needs_full_cut else selectors.count_reasons(narrowed),
            unpriced_models=selectors.count_unpriced_models(narrowed) if sums.unpriced else {},
            unknown_outcomes=selectors.count_unknown_outcomes(narrowed),
            error_budget=load_plan_error_budget(plan, narrowed) if plan else None,
            # The pairs of a platform plan are of all tenants.
            recalibration=build_recalibration_body(plan)
            if plan and (tenant is None or plan.tenant_id is not None)
            else None,
            holdout=None if question.needs_full_cut else measure_holdout(narrowed),
            report_filter=question if narrowed is not wanted else None,
            series=series,
            groups=groups,
        )
        return Response(build_stats_body(found))

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Render everything but streams as JSON."""
        # Error responses too, whatever format was requested.
        if isinstance(response, Response):
            request.accepted_renderer, request.accepted_media_type = (
                JSONRenderer(),
                JSONRenderer.media_type,
            )
        return super().finalize_response(request, response, *args, **kwargs)


class PlanStatsView(ReportView):
    @extend_schema(
        operation_id="plan_stats",
        parameters=[PLAN_PARAMETER, TENANT_PARAMETER, *REPORT_PARAMETERS],
        responses=STATS_RESPONSES,
    )
    def get(self, request: Request, plan: str) -> Response | HttpResponseBase:
        """What the plan saved since it was created, or in the requested period.

        Requests are included within two seconds. A tenant's key sees its own requests, also under a
        plan of the platform.
        """
        owner = get_plan_owner(request)
        row = plans_selectors.find_visible_plan(owner, plan)
        if "plan" in request.query_params:
            raise ApiError("The path names the plan.", param="plan")
        return self.build_reply(request, selectors.build_plan_query(row, owner), owner, row)


class AllStatsView(ReportView):
    @extend_schema(
        operation_id="stats",
        parameters=[
            _build_query_parameter("tenant", "Of one tenant, by its slug."),
            _build_query_parameter("plan", "Of one plan, by its number.", int),
            *REPORT_PARAMETERS,
        ],
        responses=STATS_RESPONSES,
    )
    def get(self, request: Request) -> Response | HttpResponseBase:
        """What all plans together saved.

        A tenant's keys and users see its own requests, those of the platform see everything.
        """
        own = get_own_tenant(request)
        slug = request.query_params.get("tenant", "")
        return self.build_reply(
            request, RollupQuery(tenant_id=visibility.resolve_tenant_id(slug, own)), own
        )


class NoErrorBudget(ApiError):
    status = 409
    code = "no_error_budget"


class SemanticTierView(APIView):
    needs = "change"

    @extend_schema(
        operation_id="plan_semantic_tier_on",
        parameters=[
            PLAN_PARAMETER,
            TENANT_PARAMETER,
            _build_query_parameter(
                "for_tenant",
                "For the requests of this tenant alone, by its slug. Default: for all.",
            ),
        ],
        request=None,
        responses={200: ErrorBudgetSerializer} | build_error_responses(401, 403, 404, 409),
    )
    def post(self, request: Request, plan: str) -> Response:
        """Turn the semantic tier on again after the plan's error budget turned it off.

        Look at the reason first. The tier is on within two seconds. Measuring starts anew: earlier
        samples do not count. If the tier is on, this changes nothing.
        """
        owner = get_plan_owner(request)
        row = plans_selectors.find_plan(owner, plan)
        try:
            tenant = visibility.resolve_tenant_id(request.query_params.get("for_tenant", ""), owner)
        except TenantNotFound as error:
            raise TenantNotFound(error.message, param="for_tenant") from None
        tier_switch.turn_tier_on(
            row.pk, by=str(getattr(request.user, "name", "") or request.user), tenant=tenant
        )
        budget = load_plan_error_budget(row, selectors.build_plan_query(row, owner))
        if budget is None:
            raise NoErrorBudget(
                "The plan has no error budget (cache.max_error_rate), so its semantic tier never "
                "turns itself off."
            )
        return Response(build_error_budget_body(budget))
