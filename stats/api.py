"""GET /token-saving/plans/{plan}/stats."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from plans.authentication import owner_of
from plans.openapi import TENANT, refusals
from stats import selectors
from stats.serializers import PlanStatsSerializer, stats_body
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
        events = selectors.events_of(row, owner)
        return Response(stats_body(totals(events, latencies=True), selectors.reasons(events), selectors.unknown_of(row, owner)))
