"""Plans as JSON, and the request and response shapes of the OpenAPI document.

Request bodies are validated by `plans.validation` alone.
"""

from typing import Any, ClassVar, Final

from rest_framework import serializers

from plans import presets, records, validation
from plans.fields import SETTINGS_BY_COLUMN, PlanHalf, PlanSetting, list_settings
from plans.models import Plan
from plans.plan_warnings import list_plan_warnings

# They come before the plan's own settings.
_FIRST_FIELDS: Final = ("plan_name", "preset", "mode", "compression", "cache")
NAME_HELP = "What clients send as token_saving_plan_id. Unique within its owner."


def build_setting_field(setting: PlanSetting) -> "serializers.Field[Any, Any, Any, Any]":
    """Build the serializer field that documents a setting."""
    options: dict[str, Any] = {"default": setting.default}
    if setting.description:
        options["help_text"] = setting.description
    if setting.nullable:
        options["allow_null"] = True
    match setting.kind:
        case "whole":
            low, high = int(setting.low), int(setting.high)
            return serializers.IntegerField(**options, min_value=low, max_value=high)
        case "number":
            return serializers.FloatField(**options, min_value=setting.low, max_value=setting.high)
        case "choice":
            return serializers.ChoiceField(**options, choices=tuple(setting.choices))
        case "flag":
            return serializers.BooleanField(**options)
        case _:
            return serializers.CharField(**options)


class _HalfSerializer(serializers.Serializer[Any]):
    """The settings of one half of a plan, then its declared fields."""

    half: ClassVar[PlanHalf]

    def get_fields(self) -> dict[str, Any]:
        settings = {each.name: build_setting_field(each) for each in list_settings(self.half)}
        return settings | super().get_fields()


class CompressionSerializer(_HalfSerializer):
    """Shortens a long history before it is sent. Fields left out take their defaults."""

    half = "compression"


class CacheSerializer(_HalfSerializer):
    """Answers a repeated question without paying for it again.

    Fields left out take their defaults.
    """

    half = "cache"
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
    mode = build_setting_field(SETTINGS_BY_COLUMN["mode"])
    compression = CompressionSerializer(required=False, allow_null=True)
    cache = CacheSerializer(required=False, allow_null=True)
    notes = serializers.ListField(
        child=serializers.CharField(),
        read_only=True,
        required=False,
        help_text=(
            "Settings that are accepted and may be a mistake; of a new plan's preset also what "
            "could not be as it says. Absent: none."
        ),
    )
    version = serializers.IntegerField(read_only=True, help_text="Grows with each change.")
    tenant = serializers.CharField(
        read_only=True,
        allow_null=True,
        help_text="The owner's slug; null: the platform's, open to all.",
    )
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)

    def get_fields(self) -> dict[str, Any]:
        """Return the declared fields, with the plan's own settings after its halves."""
        declared = super().get_fields()
        own = {each.name: build_setting_field(each) for each in list_settings("")}
        own["mode"] = declared["mode"]
        before = {name: declared.pop(name) for name in tuple(declared) if name in _FIRST_FIELDS}
        return before | own | declared

    def to_representation(self, instance: Plan) -> dict[str, Any]:
        plan = instance.build_snapshot()
        own = {each.name: getattr(plan, each.name) for each in list_settings("")}
        warnings = list_plan_warnings(plan)
        return {
            "plan_name": plan.name,
            "mode": own.pop("mode"),
            "compression": _read_settings("compression", plan.compression),
            "cache": _read_settings("cache", plan.cache),
            **own,
            **({"notes": warnings} if warnings else {}),
            "version": plan.version,
            "tenant": instance.tenant.slug if instance.tenant else None,
            "created_at": instance.created_at.isoformat(),
            "updated_at": instance.updated_at.isoformat(),
        }


def _read_settings(half: PlanHalf, settings: object | None) -> dict[str, Any] | None:
    if settings is None:
        return None
    return {each.name: getattr(settings, each.name) for each in list_settings(half)}


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
    """The body of every error response under /token-saving."""

    error = ErrorDetailSerializer()
