"""Plans as JSON, and the shapes that the OpenAPI document shows.

What is accepted is decided by `plans.validation` alone.
"""

from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from plans import presets, records, validation
from plans.models import Plan

NAME_HELP = "What clients send as token_saving_plan_id. Unique within its owner."


class CompressionSerializer(serializers.Serializer[Any]):
    """Shortens a long history before it is sent. Fields left out take their defaults."""

    engine = serializers.CharField(
        default=validation.DEFAULT_COMPRESSION.engine,
        help_text=(
            "How the parts of the old chat that are kept are chosen. GET "
            "/token-saving/compression-engines describes each engine."
        ),
    )
    max_input_tokens = serializers.IntegerField(
        default=validation.DEFAULT_COMPRESSION.max_input_tokens,
        min_value=validation.MIN_INPUT_TOKENS,
        max_value=validation.MAX_INT32,
        help_text=(
            "A longer prompt is compressed to at most this many tokens. System messages and the "
            "final turn are never shortened."
        ),
    )
    language = serializers.CharField(
        default=validation.DEFAULT_COMPRESSION.language,
        help_text="The language of the chat: its stop words and its stemmer.",
    )
    min_sentences = serializers.IntegerField(
        default=validation.DEFAULT_COMPRESSION.min_sentences,
        min_value=1,
        max_value=validation.MAX_INT32,
        help_text="Keep at least this many sentences of the shortened part, as far as they fit.",
    )
    focus = serializers.ChoiceField(
        choices=validation.FOCUS_CHOICES,
        default=validation.DEFAULT_COMPRESSION.focus,
        help_text=(
            "What is kept of the old part of a chat. question: what the final question needs. "
            "none: what represents the whole chat best, whatever is asked. Engines that do not "
            "read the question accept only the latter, which is then their default."
        ),
    )
    when = serializers.ChoiceField(
        choices=validation.WHEN_CHOICES,
        default=validation.DEFAULT_COMPRESSION.when,
        help_text=(
            "always: compress every prompt longer than max_input_tokens. saves: only where that is "
            "cheaper than the whole prompt at the provider's price for cached tokens."
        ),
    )
    deadline_ms = serializers.IntegerField(
        default=validation.DEFAULT_COMPRESSION.deadline_ms,
        allow_null=True,
        min_value=validation.MIN_DEADLINE_MS,
        max_value=validation.MAX_DEADLINE_MS,
        help_text=(
            "Milliseconds that a request waits for its compression; then trim shortens it. "
            "null: the limit of the gateway, TOKENTHRIFT_COMPRESSION_DEADLINE_MS."
        ),
    )


class CacheSerializer(serializers.Serializer[Any]):
    """Answers a repeated question without paying for it again.

    Fields left out take their defaults.
    """

    exact = serializers.BooleanField(
        default=validation.DEFAULT_CACHE.exact,
        help_text="Exact tier: answer an identical request with the stored answer.",
    )
    backend = serializers.CharField(
        default=validation.DEFAULT_CACHE.backend,
        allow_null=True,
        help_text=(
            "Semantic tier: the store in which questions are compared by meaning. GET "
            "/token-saving/cache-engines says which ones run. null: no semantic tier."
        ),
    )
    match = serializers.ChoiceField(
        choices=validation.MATCH_CHOICES,
        default=validation.DEFAULT_CACHE.match,
        help_text=(
            "What similarity_threshold is compared with. verified: the verifier's score, the "
            "probability that both questions have the same answer. cosine: the cosine similarity "
            "of their embeddings."
        ),
    )
    similarity_threshold = serializers.FloatField(
        default=validation.DEFAULT_CACHE.similarity_threshold,
        min_value=0,
        max_value=1,
        help_text=(
            "The score or cosine that a stored question must reach for its answer to be served. A "
            "request may raise it, not lower it."
        ),
    )
    max_error_rate = serializers.FloatField(
        default=validation.DEFAULT_CACHE.max_error_rate,
        allow_null=True,
        min_value=validation.MIN_ERROR_RATE,
        max_value=validation.MAX_ERROR_RATE,
        help_text=(
            "Error budget: the share of wrong answers accepted among semantic hits. It is "
            "measured; when it is exceeded for certain, the semantic tier turns itself off. null: "
            "not measured."
        ),
    )
    sample_rate = serializers.FloatField(
        default=validation.DEFAULT_CACHE.sample_rate,
        min_value=0,
        max_value=1,
        help_text=(
            "The share of semantic hits for which the provider is called too, after the reply, to "
            "check the stored answer. Does something only with max_error_rate."
        ),
    )
    judge_model = serializers.CharField(
        default=validation.DEFAULT_CACHE.judge_model,
        allow_null=True,
        help_text=(
            "The route whose model decides whether the stored and the fresh answer say the same. "
            "null: rules decide. Needs max_error_rate."
        ),
    )
    ttl = serializers.IntegerField(
        default=validation.DEFAULT_CACHE.ttl,
        min_value=1,
        max_value=validation.MAX_INT32,
        help_text="Time to live of an answer, in seconds.",
    )
    ttl_jitter = serializers.FloatField(
        default=validation.DEFAULT_CACHE.ttl_jitter,
        min_value=0,
        max_value=validation.MAX_TTL_JITTER,
        help_text=(
            "Each entry lives up to this share shorter than ttl, so that entries stored together "
            "do not all expire together."
        ),
    )
    stale_while_revalidate = serializers.IntegerField(
        default=validation.DEFAULT_CACHE.stale_while_revalidate,
        min_value=0,
        max_value=validation.MAX_INT32,
        help_text=(
            "For this many seconds after ttl an identical request gets the expired answer at once, "
            "while a new one is fetched in the background (RFC 5861). 0: never."
        ),
    )
    stale_if_error = serializers.IntegerField(
        default=validation.DEFAULT_CACHE.stale_if_error,
        min_value=0,
        max_value=validation.MAX_INT32,
        help_text=(
            "For this many seconds after ttl an identical request gets the expired answer when the "
            "provider fails (RFC 5861). 0: never."
        ),
    )
    scope = serializers.ChoiceField(
        choices=validation.SCOPE_CHOICES,
        default=validation.DEFAULT_CACHE.scope,
        help_text=(
            "Who shares answers. tenant: everybody in the tenant. key: each virtual key for "
            "itself. user: each end user for themselves, by the request's `user` field."
        ),
    )
    tool_calls = serializers.ChoiceField(
        choices=validation.TOOL_CALLS_CHOICES,
        default=validation.DEFAULT_CACHE.tool_calls,
        help_text=(
            "Which answers that call tools are stored, for identical requests only. none: no such "
            "answer. output: those to requests that force a call (`tool_choice` is `required` or "
            "names a tool). all: also calls that the model chose to make."
        ),
    )
    max_temperature = serializers.FloatField(
        default=validation.DEFAULT_CACHE.max_temperature,
        min_value=0,
        max_value=validation.MAX_TEMPERATURE,
        help_text="Requests with a higher temperature use the exact tier only.",
    )
    time_sensitive = serializers.BooleanField(
        default=validation.DEFAULT_CACHE.time_sensitive,
        help_text=(
            "true: the semantic tier also answers questions about the present, such as “is it open "
            "right now?”. false: the exact tier only."
        ),
    )
    personal = serializers.BooleanField(
        default=validation.DEFAULT_CACHE.personal,
        help_text=(
            "true: the semantic tier also answers personal questions, such as “where is my order "
            "1234?”. false: the exact tier only."
        ),
    )
    context = serializers.ChoiceField(  # type: ignore[assignment]  # a field, which the metaclass takes away
        choices=validation.CONTEXT_CHOICES,
        default=validation.DEFAULT_CACHE.context,
        help_text=(
            "Which earlier turns of a chat must agree before the semantic tier answers. strict: "
            "all, to the letter. window: the user's turns by meaning, the replies to the letter. "
            "last_message: none; refused where chats used the plan in the last 7 days."
        ),
    )
    window = serializers.IntegerField(
        default=validation.DEFAULT_CACHE.window,
        min_value=1,
        max_value=validation.MAX_WINDOW_TURNS,
        help_text=(
            "How many turns of the user before the question are embedded with it, under context "
            "window. Numbers, names and dates are compared over the whole chat."
        ),
    )
    force = serializers.BooleanField(
        write_only=True,
        required=False,
        help_text=("true: set context last_message although chats use the plan. It is not stored."),
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
            "Settings to start from; fields of the body win. What cannot run here is left out, and "
            "the reply shows what was set. It is not stored. "
        )
        + " ".join(
            f"{each.name}: {each.risk} {each.measured}" for each in presets.PRESETS.values()
        ),
    )
    mode = serializers.ChoiceField(
        choices=validation.MODE_CHOICES,
        default="active",
        help_text=(
            "active: cache and compress. shadow: send every request whole to the provider and "
            "count what the plan would have saved. off: pass every request through."
        ),
    )
    compression = CompressionSerializer(required=False, allow_null=True)
    cache = CacheSerializer(required=False, allow_null=True)
    holdout = serializers.FloatField(
        default=0.0,
        min_value=0,
        max_value=validation.MAX_HOLDOUT_SHARE,
        help_text=(
            "The share of chats, chosen at random, that go to the provider without the plan, so "
            "that the saving is measured and not only modelled. 0: not measured. Mode active only."
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
        help_text="One line for the plan's history.",
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
