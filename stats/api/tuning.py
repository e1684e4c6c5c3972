"""GET /token-saving/plans/{plan}/tuning."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from plans import selectors
from plans.api.authentication import owner_of
from plans.api.openapi import TENANT, refusals
from plans.errors import Refusal
from plans.models import Plan
from stats.api.serializers import USD
from stats.quality.tuning import Row, Tuning, tuning
from stats.reports import selectors as reports_selectors

NAME = OpenApiParameter("plan", str, OpenApiParameter.PATH, description="The plan's name.")
MOST_DAYS: Final = 365
DAYS: Final = 30
PERIOD = OpenApiParameter(
    "days",
    int,
    OpenApiParameter.QUERY,
    description=f"How far to look back, 1 to {MOST_DAYS}; default {DAYS}.",
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
    saved_usd = serializers.CharField(allow_null=True, help_text=f"By semantic hits. {USD}")
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
    """What other thresholds would have meant for the plan's own requests,
    those in shadow included."""

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


class BadPeriod(Refusal):
    status = 400


class PlanTuningView(APIView):
    @extend_schema(
        operation_id="plan_tuning",
        parameters=[NAME, TENANT, PERIOD],
        responses={200: TuningSerializer} | refusals(400, 401, 403, 404),
    )
    def get(self, request: Request, plan: str) -> Response:
        """Hit rate, rate of wrong hits and dollars at 0.75, 0.80, 0.85, 0.90, 0.95 and above,
        by this plan's own requests.

        The rate of wrong hits is measured or null, never guessed. A tenant's key sees its own
        requests.
        """
        owner = owner_of(request)
        row = selectors.plan_in_sight(owner, plan)
        days = _days(request)
        found = tuning(
            reports_selectors.wanted_of(row, owner, start=datetime.now(UTC) - timedelta(days=days)),
            row,
        )
        return Response(tuning_body(found, row, days))


def _days(request: Request) -> int:
    """Raises BadPeriod."""
    given = request.query_params.get("days", str(DAYS))
    if not (
        given.isascii() and given.isdigit() and len(given) <= 3 and 1 <= int(given) <= MOST_DAYS
    ):
        raise BadPeriod(f"Must be a whole number of days, 1 to {MOST_DAYS}.", param="days")
    return int(given)


def tuning_body(found: Tuning, plan: Plan, days: int) -> dict[str, Any]:
    """`TuningSerializer`'s shape."""
    return {
        "object": "tuning",
        "plan_name": plan.name,
        "number": found.number,
        "days": days,
        "requests": found.requests,
        "exact_hits": found.exact,
        "measured": found.measured,
        "thresholds": [_row(row) for row in found.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    low, high = row.interval or (None, None)
    return {
        "threshold": row.threshold,
        "in_force": row.in_force,
        "hit_rate": row.hit_rate,
        "semantic_hits": row.semantic,
        "unjudged": row.unjudged,
        "saved_usd": None if row.saved is None else f"{row.saved:f}",
        "wrong_rate": _share(row.wrong_rate),
        "wrong_low": _share(low),
        "wrong_high": _share(high),
        "samples": row.samples,
        "reported_wrong": row.reported,
        "note": NO_EVIDENCE if row.wrong_rate is None else "",
    }


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
