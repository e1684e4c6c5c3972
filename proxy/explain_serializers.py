"""The shapes of an explanation that the OpenAPI document shows; `proxy.explanation` fills them."""

from typing import Any

from rest_framework import serializers

TEXT = "null: shown to this tenant's own admin keys only."


class ExplainRequestSerializer(serializers.Serializer[Any]):
    """A request as /v1/chat/completions takes it, every field of it; the plan is that of the path."""

    model = serializers.CharField()
    messages = serializers.ListField(child=serializers.DictField(), min_length=1)
    cache = serializers.DictField(required=False, help_text="As on /v1: namespace, no-cache and so on.")


class DecisionSerializer(serializers.Serializer[Any]):
    tier = serializers.ChoiceField(choices=("exact", "semantic", "miss", "bypass"))
    reason = serializers.CharField(allow_blank=True, help_text="As in x-tokenthrift-bypass-reason, or why a near neighbour is not served.")
    would = serializers.CharField(allow_blank=True, help_text="Under a plan in shadow: the tier that would have answered.")
    entry_id = serializers.CharField(allow_blank=True, help_text="Of what is served, or would be.")
    similarity = serializers.FloatField(allow_null=True, help_text="The cosine.")
    score = serializers.FloatField(allow_null=True, help_text="The verifier's; null: it was not asked.")
    age = serializers.IntegerField(allow_null=True, help_text="Seconds since the answer was made.")
    failures = serializers.ListField(child=serializers.CharField(), help_text="Tools that could not help.")
    held_out = serializers.BooleanField(
        allow_null=True,
        help_text="The plan's holdout would send this chat, from this key, to the provider without the plan today; all else here is what "
        "the plan would do. null: nothing is held out, or no key is named.",
    )


class ExactSerializer(serializers.Serializer[Any]):
    key = serializers.CharField(allow_null=True, help_text="Digest of the request as asked; null: the caches stay out of it.")
    sent_key = serializers.CharField(allow_null=True, help_text="Digest of what would be sent, where something is cut.")


class NeighbourSerializer(serializers.Serializer[Any]):
    entry_id = serializers.CharField()
    question = serializers.CharField(allow_null=True, help_text=TEXT)
    similarity = serializers.FloatField()
    score = serializers.FloatField(allow_null=True)
    verdict = serializers.CharField(help_text="served, the objection to it, below-floor, below-threshold, or not-looked-at.")


class SemanticSerializer(serializers.Serializer[Any]):
    eligible = serializers.BooleanField()
    reason = serializers.CharField(allow_blank=True, help_text="Why the semantic tier stays out of it.")
    backend = serializers.CharField(allow_null=True)
    bucket = serializers.CharField(allow_null=True, help_text="Digest of all but the question: only within it are questions compared.")
    match = serializers.CharField(allow_null=True, help_text="Which number the threshold is about.")
    threshold = serializers.FloatField(allow_null=True, help_text="The plan's, or the request's where that is higher.")
    nearest = NeighbourSerializer(many=True)


class ExplainCompressionSerializer(serializers.Serializer[Any]):
    engine = serializers.CharField(help_text="What ran in the end.")
    before = serializers.IntegerField(help_text="Prompt tokens as asked.")
    after = serializers.IntegerField(help_text="Prompt tokens as they would be sent.")
    note = serializers.CharField(allow_blank=True)


class ExplanationSerializer(serializers.Serializer[Any]):
    """What would become of a request, and why. Nothing was sent anywhere or stored."""

    object = serializers.CharField(default="explanation")
    plan_name = serializers.CharField()
    version = serializers.IntegerField()
    mode = serializers.CharField()
    tenant = serializers.CharField()
    key = serializers.CharField(allow_null=True, help_text="The virtual key that would be asking; null: any of the tenant's.")
    route = serializers.CharField()
    scope = serializers.CharField(allow_null=True, help_text="Digest of who may share the answer.")
    decision = DecisionSerializer()
    exact = ExactSerializer()
    semantic = SemanticSerializer()
    compression = ExplainCompressionSerializer(allow_null=True, help_text="What it would do were there no stored answer; null: nothing.")
