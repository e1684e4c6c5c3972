"""The JSON of a plan's resolution: its OpenAPI schema and its serialization."""

from typing import Any, Final, get_args

from rest_framework import serializers

from proxy.core.plan_resolution import PlanLevel, PlanReason, ResolvedPlan
from proxy.plan_resolution.service import PlanResolution

LEVELS: Final = get_args(PlanLevel)
REASONS: Final = get_args(PlanReason)


class LevelSerializer(serializers.Serializer[Any]):
    level = serializers.ChoiceField(choices=LEVELS)
    says = serializers.CharField(
        allow_null=True,
        help_text="The plan asked for, or the default plan; null: this level says nothing.",
    )
    decides = serializers.BooleanField()


class ResolvedPlanSerializer(serializers.Serializer[Any]):
    """The plan that applies, and which level says so."""

    plan_name = serializers.CharField(allow_null=True, help_text="null: no plan applies.")
    level = serializers.ChoiceField(
        choices=LEVELS, allow_null=True, help_text="Which level decides; null: none says anything."
    )
    reason = serializers.ChoiceField(
        choices=REASONS,
        allow_blank=True,
        help_text="As in x-tokenthrift-bypass-reason; empty: a plan applies and is not off.",
    )


class PlanResolutionSerializer(ResolvedPlanSerializer):
    object = serializers.CharField(default="plan_resolution")
    tenant = serializers.CharField(help_text="The key's.")
    key_id = serializers.IntegerField()
    key = serializers.CharField(help_text="The key's name.")
    model = serializers.CharField()
    mode = serializers.CharField(allow_null=True, help_text="Of the plan that applies.")
    explanation = serializers.CharField(help_text="The same in a sentence.")
    levels = LevelSerializer(many=True, help_text="What each level says, the first one first.")


def serialize_resolved_plan(resolved: ResolvedPlan) -> dict[str, Any]:
    """Serialize the decision as `ResolvedPlanSerializer` describes it."""
    return {
        "plan_name": resolved.plan.name if resolved.plan else None,
        "level": resolved.level,
        "reason": resolved.reason,
    }


def serialize_resolution(found: PlanResolution) -> dict[str, Any]:
    """Serialize a resolution as `PlanResolutionSerializer` describes it."""
    plan = found.resolved.plan
    return {
        "object": "plan_resolution",
        "tenant": found.key.tenant,
        "key_id": found.key.id,
        "key": found.key.name,
        "model": found.model,
        **serialize_resolved_plan(found.resolved),
        "mode": plan.mode if plan else None,
        "explanation": found.explanation,
        "levels": [
            {"level": each.level, "says": each.says, "decides": each.decides}
            for each in found.levels
        ],
    }
