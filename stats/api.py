"""GET /token-saving/plans/{plan}/stats, POST /token-saving/plans/{plan}/semantic-tier/on."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from plans import selectors as plan_selectors
from plans.authentication import owner_of
from plans.errors import Refusal
from plans.openapi import TENANT, refusals
from stats import selectors, switches
from stats.budgets import budget_of
from stats.serializers import ErrorBudgetSerializer, PlanStatsSerializer, budget_body, stats_body
from stats.totals import totals

NAME = OpenApiParameter("plan", str, OpenApiParameter.PATH, description="The plan's name.")


class PlanStatsView(APIView):
    @extend_schema(operation_id="plan_stats", parameters=[NAME, TENANT], responses={200: PlanStatsSerializer} | refusals(401, 403, 404))
    def get(self, request: Request, plan: str) -> Response:
        """What the plan saved since it was made.

        Requests show up within two seconds. A tenant's key sees its own requests, also under a plan of the platform's.
        """
        owner = owner_of(request)
        row = selectors.plan_in_sight(owner, plan)
        wanted = selectors.wanted_of(row, owner)
        sums, reasons = totals(wanted), selectors.reasons(wanted)
        return Response(stats_body(sums, reasons, selectors.unknown_of(row, owner), budget_of(row, wanted)))


class NoBudget(Refusal):
    status = 409
    code = "no_error_budget"


class SemanticTierView(APIView):
    needs = "change"

    @extend_schema(
        operation_id="plan_semantic_tier_on",
        parameters=[NAME, TENANT],
        request=None,
        responses={200: ErrorBudgetSerializer} | refusals(401, 403, 404, 409),
    )
    def post(self, request: Request, plan: str) -> Response:
        """Turn the semantic tier on again, after it turned itself off for the plan's error budget and you looked at why.

        It is on within two seconds. Measuring begins anew: samples from before do not count. On a tier that is on this changes nothing.
        """
        owner = owner_of(request)
        row = plan_selectors.find_plan(owner, plan)
        switches.turn_on(row.pk, by=str(getattr(request.user, "name", "") or request.user))
        budget = budget_of(row, selectors.wanted_of(row, owner))
        if budget is None:
            raise NoBudget("The plan has no error budget (cache.max_error_rate), so its semantic tier never turns itself off.")
        return Response(budget_body(budget))
