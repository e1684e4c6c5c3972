"""POST /token-saving/plans/{plan}/replay."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from plans import capabilities, services, validation
from plans.api.authentication import get_plan_owner
from plans.api.openapi import TENANT_PARAMETER, build_error_responses
from plans.api.serializers import PlanChangeSerializer
from plans.selectors import find_visible_plan
from proxy.core.replay import Totals
from proxy.replay.service import PlanReplay, estimate_wrong_hits, replay_plan
from stats.analysis.error_rate import ErrorRateEstimate

PLAN_PARAMETER: Final = OpenApiParameter(
    "plan", str, OpenApiParameter.PATH, description="The plan's name."
)
USD_HELP_TEXT: Final = "US dollars as a decimal string."


class SideSerializer(serializers.Serializer[Any]):
    exact_hits = serializers.IntegerField()
    semantic_hits = serializers.FloatField(help_text="A fraction where it is expected.")
    saved_usd = serializers.CharField(help_text=USD_HELP_TEXT)
    paid_usd = serializers.CharField(help_text=USD_HELP_TEXT)
    wrong_rate = serializers.FloatField(
        allow_null=True, help_text="Of sampled semantic hits at this threshold; null: no evidence."
    )
    wrong_low = serializers.FloatField(
        allow_null=True, help_text="Lower end of the 95 % interval (Wilson)."
    )
    wrong_high = serializers.FloatField(allow_null=True, help_text="Upper end.")
    samples = serializers.IntegerField()
    expected_wrong = serializers.FloatField(
        allow_null=True, help_text="So many wrong answers in these requests."
    )


class ReplaySerializer(serializers.Serializer[Any]):
    """What a draft would have done with the plan's recent requests, beside what happened."""

    object = serializers.CharField(default="replay")
    plan_name = serializers.CharField()
    days = serializers.IntegerField(help_text="How far back is looked; 0: no imprints are kept.")
    since = serializers.DateTimeField(allow_null=True, help_text="The oldest request replayed.")
    requests = serializers.IntegerField()
    more = serializers.BooleanField(help_text="There were more: the latest 50,000 were replayed.")
    now = SideSerializer()
    then = SideSerializer()
    hits_gained = serializers.FloatField()
    hits_lost = serializers.FloatField()
    other_answer = serializers.IntegerField(help_text="Requests that get another stored answer.")
    guessed = serializers.FloatField(
        help_text="Of the hits: by pairs as near, as nobody judged these."
    )
    open = serializers.IntegerField(
        help_text="Near questions of which nothing can be said; counted as misses."
    )
    keys = serializers.IntegerField(help_text="Virtual keys with requests.")
    keys_touched = serializers.IntegerField(
        help_text="Of them with a request that is answered otherwise."
    )
    unpriced = serializers.IntegerField(help_text="Requests in no sum of money.")
    not_replayed = serializers.ListField(
        child=serializers.CharField(), help_text="What the draft changes besides."
    )


class PlanReplayView(APIView):
    needs = "view"

    @extend_schema(
        operation_id="plan_replay",
        parameters=[PLAN_PARAMETER, TENANT_PARAMETER],
        request=PlanChangeSerializer,
        responses={200: ReplaySerializer} | build_error_responses(400, 401, 403, 404, 415, 503),
    )
    def post(self, request: Request, plan: str) -> Response:
        """Replay the last days' requests under this change of the plan.

        Returns hits, dollars, wrong answers and which keys are affected. The body is that of a
        PATCH; nothing is saved. Two caches are simulated side by side over digests and vectors of
        the requests, never over their text. A tenant's key sees its own requests.
        """
        owner = get_plan_owner(request)
        row = find_visible_plan(owner, plan)
        draft = validation.validate_plan(
            request.data,
            capabilities=capabilities.get_tenant_capabilities(row.tenant),
            base=services.build_draft(row),
        )
        return Response(serialize_replay(row.name, replay_plan(row, draft, owner)))


def serialize_replay(name: str, found: PlanReplay) -> dict[str, Any]:
    """Serialize a replay as `ReplaySerializer` describes it."""
    done = found.result
    return {
        "object": "replay",
        "plan_name": name,
        "days": found.days,
        "since": found.since,
        "requests": done.requests,
        "more": found.is_truncated,
        "now": _serialize_totals(done.now, found.wrong_now),
        "then": _serialize_totals(done.then, found.wrong_then),
        "hits_gained": round(done.gained, 2),
        "hits_lost": round(done.lost, 2),
        "other_answer": done.other,
        "guessed": round(done.guessed, 2),
        "open": done.open,
        "keys": found.keys,
        "keys_touched": len(done.keys),
        "unpriced": found.unpriced,
        "not_replayed": list(found.not_replayed),
    }


def _serialize_totals(side: Totals, wrong: ErrorRateEstimate) -> dict[str, Any]:
    told, expected = wrong.rate is not None, estimate_wrong_hits(side.semantic, wrong)
    return {
        "exact_hits": round(side.exact),
        "semantic_hits": round(side.semantic, 2),
        "saved_usd": f"{side.saved:f}",
        "paid_usd": f"{side.paid:f}",
        "wrong_rate": round(wrong.rate, 4) if wrong.rate is not None else None,
        "wrong_low": round(wrong.lower, 4) if told else None,
        "wrong_high": round(wrong.upper, 4) if told else None,
        "samples": wrong.samples,
        "expected_wrong": round(expected[0], 2) if expected else None,
    }
