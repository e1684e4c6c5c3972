"""Plans as JSON, and the shapes that the OpenAPI document shows.

What is accepted is decided by `plans.validation` alone.
"""

from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from plans import presets, records, validation
from plans.models import Plan

NAME_HELP = "Unique within its owner. Clients name it in token_saving_plan_id."


class CompressionSerializer(serializers.Serializer[Any]):
    """Shortens a long history before it is sent. Fields left out take their defaults."""

    engine = serializers.CharField(
        default=validation.DEFAULT_COMPRESSION.engine,
        help_text="See GET /token-saving/compression-engines.",
    )
    max_input_tokens = serializers.IntegerField(
        default=validation.DEFAULT_COMPRESSION.max_input_tokens,
        min_value=validation.MIN_INPUT_TOKENS,
        max_value=validation.MAX_INT32,
        help_text="The most prompt tokens to pay for.",
    )
    language = serializers.CharField(
        default=validation.DEFAULT_COMPRESSION.language,
        help_text="See GET /token-saving/compression-engines.",
    )
    min_sentences = serializers.IntegerField(
        default=validation.DEFAULT_COMPRESSION.min_sentences,
        min_value=1,
        max_value=validation.MAX_INT32,
    )
    focus = serializers.ChoiceField(
        choices=validation.FOCUS_CHOICES,
        default=validation.DEFAULT_COMPRESSION.focus,
        help_text=(
            "What is kept of an old chat: what its final question needs, or what says "
            "most whatever is asked. An engine that cannot ask the question has none "
            "only, and none by default."
        ),
    )
    when = serializers.ChoiceField(
        choices=validation.WHEN_CHOICES,
        default=validation.DEFAULT_COMPRESSION.when,
        help_text=(
            "Cut every chat longer than max_input_tokens, or only where it is not cheaper whole, "
            "at the provider's price for what it remembers of a chat."
        ),
    )
    deadline_ms = serializers.IntegerField(
        default=validation.DEFAULT_COMPRESSION.deadline_ms,
        allow_null=True,
        min_value=validation.MIN_DEADLINE_MS,
        max_value=validation.MAX_DEADLINE_MS,
        help_text=(
            "How long a request waits for its chat to be cut; then trim cuts it. null: as long as "
            "the gateway lets any."
        ),
    )


class CacheSerializer(serializers.Serializer[Any]):
    """Answers a repeated question without paying for it again.

    Fields left out take their defaults.
    """

    exact = serializers.BooleanField(
        default=validation.DEFAULT_CACHE.exact,
        help_text="Reuse the answer of an identical request.",
    )
    backend = serializers.CharField(
        default=validation.DEFAULT_CACHE.backend,
        allow_null=True,
        help_text=(
            "Where questions are compared by meaning: see GET /token-saving/cache-engines. null: "
            "identical requests only."
        ),
    )
    match = serializers.ChoiceField(
        choices=validation.MATCH_CHOICES,
        default=validation.DEFAULT_CACHE.match,
        help_text=(
            "What similarity_threshold is compared with: the verifier's score, the probability "
            "that both questions have the same answer; or the cosine of their embeddings."
        ),
    )
    similarity_threshold = serializers.FloatField(
        default=validation.DEFAULT_CACHE.similarity_threshold, min_value=0, max_value=1
    )
    max_error_rate = serializers.FloatField(
        default=validation.DEFAULT_CACHE.max_error_rate,
        allow_null=True,
        min_value=validation.MIN_ERROR_RATE,
        max_value=validation.MAX_ERROR_RATE,
        help_text=(
            "The share of wrong answers accepted among those reused by meaning. It is "
            "measured; when it is exceeded for certain, the semantic tier turns itself off. "
            "null: not measured."
        ),
    )
    sample_rate = serializers.FloatField(
        default=validation.DEFAULT_CACHE.sample_rate,
        min_value=0,
        max_value=1,
        help_text=(
            "The share of those answers that the provider is asked for too, "
            "afterwards, to measure it."
        ),
    )
    judge_model = serializers.CharField(
        default=validation.DEFAULT_CACHE.judge_model,
        allow_null=True,
        help_text=(
            "The route whose model says whether the stored and the fresh answer are the same. It "
            "is sent the question and both answers; its calls are spent on saving. null: rules "
            "judge. Needs max_error_rate."
        ),
    )
    ttl = serializers.IntegerField(
        default=validation.DEFAULT_CACHE.ttl,
        min_value=1,
        max_value=validation.MAX_INT32,
        help_text="Seconds.",
    )
    ttl_jitter = serializers.FloatField(
        default=validation.DEFAULT_CACHE.ttl_jitter,
        min_value=0,
        max_value=validation.MAX_TTL_JITTER,
        help_text=(
            "The share of ttl by which an entry's life may be shorter, so that entries written at "
            "once do not expire at once."
        ),
    )
    stale_while_revalidate = serializers.IntegerField(
        default=validation.DEFAULT_CACHE.stale_while_revalidate,
        min_value=0,
        max_value=validation.MAX_INT32,
        help_text=(
            "For so many seconds after its time to live an identical request is given the expired "
            "answer at once, while one request fetches a new one (RFC 5861). 0: never."
        ),
    )
    stale_if_error = serializers.IntegerField(
        default=validation.DEFAULT_CACHE.stale_if_error,
        min_value=0,
        max_value=validation.MAX_INT32,
        help_text=(
            "For so many seconds after its time to live an identical request is given the expired "
            "answer where the provider fails (RFC 5861). 0: never."
        ),
    )
    scope = serializers.ChoiceField(
        choices=validation.SCOPE_CHOICES,
        default=validation.DEFAULT_CACHE.scope,
        help_text="Who shares answers within a tenant.",
    )
    tool_calls = serializers.ChoiceField(
        choices=validation.TOOL_CALLS_CHOICES,
        default=validation.DEFAULT_CACHE.tool_calls,
        help_text=(
            "Which answers that call tools are kept for identical requests: none; output, those "
            "to requests that force a call (`tool_choice` is `required` or names a tool), where "
            "the call is the structured output itself; or all. Only calls whose arguments are "
            "what the tool takes are kept. A call given again is carried out again by the client."
        ),
    )
    max_temperature = serializers.FloatField(
        default=validation.DEFAULT_CACHE.max_temperature,
        min_value=0,
        max_value=validation.MAX_TEMPERATURE,
        help_text="Requests above it use the exact tier only.",
    )
    time_sensitive = serializers.BooleanField(
        default=validation.DEFAULT_CACHE.time_sensitive,
        help_text="Compare questions about now by meaning too.",
    )
    personal = serializers.BooleanField(
        default=validation.DEFAULT_CACHE.personal,
        help_text="Compare personal questions by meaning too.",
    )
    context = serializers.ChoiceField(  # type: ignore[assignment]  # a field, which the metaclass takes away
        choices=validation.CONTEXT_CHOICES,
        default=validation.DEFAULT_CACHE.context,
        help_text=(
            "What of a chat before its final message must agree, for an answer given by meaning: "
            "all of it to the letter (strict), the user's turns by meaning and the replies "
            "(window), or nothing (last_message, for bots without memory). last_message is "
            "refused where chats used the plan in the last 7 days."
        ),
    )
    window = serializers.IntegerField(
        default=validation.DEFAULT_CACHE.window,
        min_value=1,
        max_value=validation.MAX_WINDOW_TURNS,
        help_text=(
            "Under window: how many turns of the user before the question are compared as a whole "
            "with it. Details are compared over the whole chat."
        ),
    )
    force = serializers.BooleanField(
        write_only=True,
        required=False,
        help_text="Set last_message though chats use the plan. Not kept: say it with the change.",
    )


class PlanSerializer(serializers.Serializer[Plan]):
    """A token-saving plan.

    Fields left out inside a half (`compression`, `cache`) take their defaults. A half left out is
    off when the other one is given; a plan that gives neither takes both with their defaults. null
    turns a half off.
    """

    plan_name = serializers.RegexField(
        rf"^{validation.PLAN_NAME_PATTERN.pattern}$", help_text=NAME_HELP
    )
    preset = serializers.ChoiceField(
        choices=tuple(presets.PRESETS),
        write_only=True,
        required=False,
        help_text=(
            "Settings to begin with; what the body says itself wins, field by field. What cannot "
            "run here is left out, and the reply shows what was set. Not kept. "
        )
        + " ".join(
            f"{each.name}: {each.risk} {each.measured}" for each in presets.PRESETS.values()
        ),
    )
    mode = serializers.ChoiceField(choices=validation.MODE_CHOICES, default="active")
    compression = CompressionSerializer(required=False, allow_null=True)
    cache = CacheSerializer(required=False, allow_null=True)
    holdout = serializers.FloatField(
        default=0.0,
        min_value=0,
        max_value=validation.MAX_HOLDOUT_SHARE,
        help_text=(
            "The share of chats that go to the provider as if they had no plan, so that the "
            "saving is measured and not only modelled. They save nothing. 0: not measured. It "
            "does something in mode active only."
        ),
    )
    notes = serializers.ListField(
        child=serializers.CharField(),
        read_only=True,
        required=False,
        help_text="Of a preset: what could not be as it says, and why.",
    )
    version = serializers.IntegerField(read_only=True, help_text="Grows with each change.")
    tenant = serializers.CharField(
        read_only=True,
        allow_null=True,
        help_text="The owner's slug; null: the platform's, open to all.",
    )
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)

    def to_representation(self, instance: Plan) -> dict[str, Any]:
        plan = instance.build_snapshot()
        return {
            "plan_name": plan.name,
            "mode": plan.mode,
            "compression": asdict(plan.compression) if plan.compression else None,
            "cache": {name: getattr(plan.cache, name) for name in validation.CACHE_FIELD_CHECKS}
            if plan.cache
            else None,
            "holdout": plan.holdout,
            "version": plan.version,
            "tenant": instance.tenant.slug if instance.tenant else None,
            "created_at": instance.created_at.isoformat(),
            "updated_at": instance.updated_at.isoformat(),
        }


class PlanChangeSerializer(PlanSerializer):
    """Fields to change; the others stay.

    null turns a half off; an object on a half that is off turns it on with the defaults.
    """

    preset = None  # type: ignore[assignment]  # for new plans alone
    reason = serializers.CharField(
        write_only=True,
        required=False,
        max_length=records.MAX_REASON_LENGTH,
        help_text="One line, kept in the plan's history.",
    )
    version = serializers.IntegerField(
        required=False,
        help_text="Refuse the change (409) unless this is the plan's present version.",
    )


class PlanListSerializer(serializers.Serializer[Any]):
    object = serializers.CharField(default="list")
    data = PlanSerializer(many=True)  # type: ignore[assignment]  # a field, which the metaclass takes away


class EngineSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="What a plan says.")
    title = serializers.CharField()
    available = serializers.BooleanField(help_text="Checked as you ask.")
    reason = serializers.CharField(allow_blank=True, help_text="Why it is not available.")


class CacheEngineListSerializer(serializers.Serializer[Any]):
    object = serializers.CharField(default="list")
    data = EngineSerializer(many=True)  # type: ignore[assignment]  # likewise


class CompressionEngineSerializer(EngineSerializer):
    focus = serializers.ListField(
        child=serializers.ChoiceField(choices=validation.FOCUS_CHOICES),
        help_text="What compression.focus may be with this engine, its default first.",
    )


class CompressionEngineListSerializer(serializers.Serializer[Any]):
    object = serializers.CharField(default="list")
    data = CompressionEngineSerializer(many=True)  # type: ignore[assignment]  # likewise
    languages = serializers.ListField(
        child=serializers.CharField(), help_text="What compression.language may be."
    )


class ErrorDetailSerializer(serializers.Serializer[Any]):
    message = serializers.CharField()
    type = serializers.CharField()
    param = serializers.CharField(
        allow_null=True, help_text="The field at fault, dotted, such as cache.ttl."
    )
    code = serializers.CharField(allow_null=True)


class ErrorSerializer(serializers.Serializer[Any]):
    """Every refusal under /token-saving."""

    error = ErrorDetailSerializer()
