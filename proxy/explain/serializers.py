"""The JSON of an explanation: its OpenAPI schema and its serialization."""

from typing import Any

from rest_framework import serializers

from proxy.core.ports import Candidate
from proxy.pipeline.call import CandidateVerdict
from proxy.pipeline.explain import Explanation
from proxy.pipeline.stages.verify import effective_threshold
from proxy.plan_resolution.serializers import ResolvedPlanSerializer, serialize_resolved_plan

QUESTION_HELP_TEXT = "null: shown to this tenant's own admin keys only."


class ExplainRequestSerializer(serializers.Serializer[Any]):
    """A request as /v1/chat/completions takes it, with all of its fields.

    The plan is that of the path.
    """

    model = serializers.CharField()
    messages = serializers.ListField(child=serializers.DictField(), min_length=1)
    cache = serializers.DictField(
        required=False, help_text="As on /v1: namespace, no-cache and so on."
    )


class DecisionSerializer(serializers.Serializer[Any]):
    tier = serializers.ChoiceField(choices=("exact", "semantic", "miss", "bypass"))
    reason = serializers.CharField(
        allow_blank=True,
        help_text="As in x-tokenthrift-bypass-reason, or why a near neighbour is not served.",
    )
    would = serializers.CharField(
        allow_blank=True, help_text="Under a plan in shadow: the tier that would have answered."
    )
    entry_id = serializers.CharField(allow_blank=True, help_text="Of what is served, or would be.")
    similarity = serializers.FloatField(allow_null=True, help_text="The cosine.")
    score = serializers.FloatField(
        allow_null=True, help_text="The verifier's; null: it was not asked."
    )
    age = serializers.IntegerField(allow_null=True, help_text="Seconds since the answer was made.")
    failures = serializers.ListField(
        child=serializers.CharField(), help_text="Tools that could not help."
    )
    held_out = serializers.BooleanField(
        allow_null=True,
        help_text=(
            "The plan's holdout would send this chat, from this key, to the provider without "
            "the plan today; all else here is what the plan would do. null: nothing is held "
            "out, or no key is named."
        ),
    )


class ExactSerializer(serializers.Serializer[Any]):
    key = serializers.CharField(
        allow_null=True,
        help_text="Digest of the request as asked; null: the caches stay out of it.",
    )
    sent_key = serializers.CharField(
        allow_null=True, help_text="Digest of what would be sent, where something is cut."
    )


class NeighbourSerializer(serializers.Serializer[Any]):
    entry_id = serializers.CharField()
    question = serializers.CharField(allow_null=True, help_text=QUESTION_HELP_TEXT)
    similarity = serializers.FloatField()
    score = serializers.FloatField(allow_null=True)
    verdict = serializers.CharField(
        help_text="served, the objection to it, below-floor, below-threshold, or not-looked-at."
    )


class SemanticSerializer(serializers.Serializer[Any]):
    eligible = serializers.BooleanField()
    reason = serializers.CharField(
        allow_blank=True, help_text="Why the semantic tier stays out of it."
    )
    backend = serializers.CharField(allow_null=True)
    bucket = serializers.CharField(
        allow_null=True,
        help_text="Digest of all but the question: only within it are questions compared.",
    )
    match = serializers.CharField(allow_null=True, help_text="Which number the threshold is about.")
    threshold = serializers.FloatField(
        allow_null=True, help_text="The plan's, or the request's where that is higher."
    )
    nearest = NeighbourSerializer(many=True)


class ExplainCompressionSerializer(serializers.Serializer[Any]):
    engine = serializers.CharField(help_text="What ran in the end.")
    before = serializers.IntegerField(help_text="Prompt tokens as asked.")
    after = serializers.IntegerField(help_text="Prompt tokens as they would be sent.")
    note = serializers.CharField(allow_blank=True)


class ExplanationSerializer(serializers.Serializer[Any]):
    """What would happen to a request, and why. Nothing was sent anywhere or stored."""

    object = serializers.CharField(default="explanation")
    plan_name = serializers.CharField()
    version = serializers.IntegerField()
    mode = serializers.CharField()
    tenant = serializers.CharField()
    key = serializers.CharField(
        allow_null=True,
        help_text="The virtual key that would be asking; null: any of the tenant's.",
    )
    route = serializers.CharField()
    scope = serializers.CharField(allow_null=True, help_text="Digest of who may share the answer.")
    as_sent = ResolvedPlanSerializer(
        help_text=(
            "The plan that would apply to this request without this explanation, which is that of "
            "the path in all else."
        )
    )
    decision = DecisionSerializer()
    exact = ExactSerializer()
    semantic = SemanticSerializer()
    compression = ExplainCompressionSerializer(
        allow_null=True, help_text="What it would do were there no stored answer; null: nothing."
    )


def serialize_explanation(found: Explanation, *, texts: bool) -> dict[str, Any]:
    """Serialize an explanation as `ExplanationSerializer` describes it.

    `texts`: whether the reader may see what others asked.
    """
    decided, looked = found.decided_call, found.full_lookup
    plan, key, keys = decided.plan, decided.key, looked.cache_keys
    assert plan is not None and key is not None  # noqa: S101, PT018 -- explained with both
    return {
        "object": "explanation",
        "plan_name": plan.name,
        "version": plan.version,
        "mode": plan.mode,
        "tenant": key.tenant,
        "key": key.name or None,
        "route": decided.resolved_route.name,
        "scope": keys.scope if keys else None,
        "as_sent": serialize_resolved_plan(found.as_sent),
        "decision": _serialize_decision(found),
        "exact": {
            "key": keys.exact if keys else None,
            "sent_key": keys.compressed if keys else None,
        },
        "semantic": _serialize_semantic(found, texts=texts),
        "compression": None
        if looked.compression is None
        else {
            name: getattr(looked.compression, name)
            for name in ("engine", "before", "after", "note")
        },
    }


def _serialize_decision(found: Explanation) -> dict[str, Any]:
    call, hit = found.decided_call, found.hit
    veto = call.vetoes[0] if call.tier == "miss" and call.vetoes else ""
    return {
        "tier": call.tier,
        "reason": call.reason or veto,
        "would": call.shadow_hit.tier if call.shadow_hit else "",
        "entry_id": hit.entry_id if hit else "",
        "similarity": hit.similarity if hit else None,
        "score": hit.score if hit else None,
        "age": hit.envelope.age_seconds(call.at) if hit else None,
        "failures": list(call.failures),
        "held_out": found.is_held_out,
    }


def _serialize_semantic(found: Explanation, *, texts: bool) -> dict[str, Any]:
    call = found.full_lookup
    cache = call.plan.cache if call.plan else None
    bucket = call.cache_keys.bucket if call.cache_keys else None
    backend = cache.backend if cache else None
    why = (
        call.vetoes[0]
        if call.vetoes
        else next(iter(call.failures), call.reason)
        if backend
        else "no-backend"
    )
    return {
        "eligible": bucket is not None,
        "reason": "" if bucket else why,
        "backend": backend,
        "bucket": bucket,
        "match": cache.match if cache else None,
        "threshold": effective_threshold(call) if cache and backend else None,
        "nearest": [
            _serialize_neighbour(each, found, texts=texts) for each in found.nearest_candidates
        ],
    }


def _serialize_neighbour(
    candidate: Candidate, found: Explanation, *, texts: bool
) -> dict[str, Any]:
    judged = next(
        (
            each
            for each in found.full_lookup.candidate_verdicts
            if each.entry_id == candidate.entry_id
        ),
        None,
    )
    return {
        "entry_id": candidate.entry_id,
        "question": candidate.question if texts else None,
        "similarity": round(candidate.similarity, 4),
        "score": judged.score if judged else None,
        "verdict": _describe_verdict(candidate, judged, found),
    }


def _describe_verdict(
    candidate: Candidate, judged: CandidateVerdict | None, found: Explanation
) -> str:
    call = found.full_lookup
    if judged is not None:
        return judged.reason or "served"
    if candidate.similarity < found.min_similarity:
        return "below-floor"
    looked_at = any(each.entry_id == candidate.entry_id for each in call.candidates)
    return (
        "below-threshold"
        if looked_at and candidate.similarity < effective_threshold(call)
        else "not-looked-at"
    )
