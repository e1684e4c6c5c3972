"""GET /token-saving/plans/{plan}/tuning."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from plans import selectors
from plans.api.authentication import get_plan_owner
from plans.api.openapi import TENANT_PARAMETER, build_error_responses
from plans.api_errors import ApiError
from plans.models import Plan
from plans.untrusted_text.whole_numbers import parse_positive
from stats.api.serializers import USD_NOTE
from stats.quality.threshold_tuning import ThresholdRow, TuningReport, build_tuning_report
from stats.reports import selectors as reports_selectors

PLAN_PARAMETER = OpenApiParameter(
    "plan", str, OpenApiParameter.PATH, description="The plan's name."
)
MAX_PERIOD_DAYS: Final = 365
DEFAULT_PERIOD_DAYS: Final = 30
PERIOD_PARAMETER = OpenApiParameter(
    "days",
    int,
    OpenApiParameter.QUERY,
    description=f"How far to look back, 1 to {MAX_PERIOD_DAYS}; default {DEFAULT_PERIOD_DAYS}.",
)
NO_EVIDENCE: Final = "no evidence yet"


class TuningRowSerializer(serializers.Serializer[Any]):
    threshold = serializers.FloatField()
    in_force = serializers.BooleanField(help_text="The plan's own.")
    hit_rate = serializers.FloatField(help_text="Exact and semantic hits over requests.")
    semantic_hits = serializers.IntegerField()
    unjudged = serializers.IntegerField(
        help_text=(
            "Of those: below the threshold in force, so that no rule was asked. At most so many."
        )
    )
    saved_usd = serializers.CharField(allow_null=True, help_text=f"By semantic hits. {USD_NOTE}")
    wrong_rate = serializers.FloatField(
        allow_null=True, help_text="By samples compared with the provider's answer; null: none."
    )
    wrong_low = serializers.FloatField(
        allow_null=True, help_text="Lower end of the 95 % interval (Wilson)."
    )
    wrong_high = serializers.FloatField(allow_null=True, help_text="Upper end.")
    samples = serializers.IntegerField(help_text="That the rate rests on.")
    reported_wrong = serializers.IntegerField(
        help_text="Hits that somebody said were wrong: nobody reports all."
    )
    note = serializers.CharField(allow_blank=True)


class TuningSerializer(serializers.Serializer[Any]):
    """What other thresholds would have meant for the plan's requests, shadow mode included."""

    object = serializers.CharField(default="tuning")
    plan_name = serializers.CharField()
    number = serializers.ChoiceField(
        choices=("cosine", "score"), help_text="What the thresholds are about, by the plan's match."
    )
    days = serializers.IntegerField()
    requests = serializers.IntegerField()
    exact_hits = serializers.IntegerField(help_text="At any threshold.")
    measured = serializers.IntegerField(
        help_text="Requests that had a neighbour with such a number."
    )
    thresholds = TuningRowSerializer(many=True)


class InvalidPeriod(ApiError):
    status = 400


class PlanTuningView(APIView):
    @extend_schema(
        operation_id="plan_tuning",
        parameters=[PLAN_PARAMETER, TENANT_PARAMETER, PERIOD_PARAMETER],
        responses={200: TuningSerializer} | build_error_responses(400, 401, 403, 404),
    )
    def get(self, request: Request, plan: str) -> Response:
        """Hit rate, wrong hits and dollars at other thresholds, by the plan's own requests.

        The thresholds are 0.75, 0.80, 0.85, 0.90, 0.95 and above. The rate of wrong hits is
        measured or null, never estimated. A tenant's key sees its own requests.
        """
        owner = get_plan_owner(request)
        row = selectors.find_visible_plan(owner, plan)
        days = _parse_days(request)
        found = build_tuning_report(
            reports_selectors.build_plan_query(
                row, owner, start=datetime.now(UTC) - timedelta(days=days)
            ),
            row,
        )
        return Response(build_tuning_body(found, row, days))


def _parse_days(request: Request) -> int:
    """Parse the parameter `days`. Raises InvalidPeriod."""
    given = request.query_params.get("days", str(DEFAULT_PERIOD_DAYS))
    days = parse_positive(given, maximum=MAX_PERIOD_DAYS)
    if days is None:
        raise InvalidPeriod(
            f"Must be a whole number of days, 1 to {MAX_PERIOD_DAYS}.", param="days"
        )
    return days


def build_tuning_body(found: TuningReport, plan: Plan, days: int) -> dict[str, Any]:
    """Build the body of `TuningSerializer`."""
    return {
        "object": "tuning",
        "plan_name": plan.name,
        "number": found.number,
        "days": days,
        "requests": found.requests,
        "exact_hits": found.exact,
        "measured": found.measured,
        "thresholds": [_build_row_body(row) for row in found.rows],
    }


def _build_row_body(row: ThresholdRow) -> dict[str, Any]:
    low, high = row.interval or (None, None)
    return {
        "threshold": row.threshold,
        "in_force": row.in_force,
        "hit_rate": row.hit_rate,
        "semantic_hits": row.semantic,
        "unjudged": row.unjudged,
        "saved_usd": None if row.saved is None else f"{row.saved:f}",
        "wrong_rate": _round_share(row.wrong_rate),
        "wrong_low": _round_share(low),
        "wrong_high": _round_share(high),
        "samples": row.samples,
        "reported_wrong": row.reported,
        "note": NO_EVIDENCE if row.wrong_rate is None else "",
    }


def _round_share(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
