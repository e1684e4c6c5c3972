"""The JSON of configuration objects, made from the lists of fields that files are read by.

A field that is added to a list of `proxy.config_files.fields` is in the API with it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

from django.conf import settings
from django.db import models
from rest_framework import serializers

from plans.api.serializers import PlanSerializer
from plans.capabilities import KeyUsage
from plans.managed_marks import find_mark
from plans.models import ModelPrice, Plan, Tenant, VirtualKey
from plans.records import MAX_REASON_LENGTH
from proxy.config_files.columns import format_value
from proxy.config_files.fields import (
    KEY_FIELDS,
    PRICE_FIELDS,
    ROUTE_FIELDS,
    TENANT_FIELDS,
    UPSTREAM_FIELDS,
    FileField,
)
from proxy.models import Route, Upstream
from proxy.upstreams.secrets import read_present_secrets

Use = Literal["read", "put", "patch"]
NEVER_RETURNED: Final = "Never returned. Left out: the present one stays."
STATES: Final = ("live", "paused", "replaced", "expired", "revoked")


def build_serializer(
    name: str,
    fields: Mapping[str, FileField],
    *,
    use: Use,
    secret_help: Mapping[str, str] | None = None,
    first: Mapping[str, serializers.Field[Any, Any, Any, Any]] | None = None,
    last: Mapping[str, serializers.Field[Any, Any, Any, Any]] | None = None,
) -> type[serializers.Serializer[Any]]:
    """Build the shape of an object as it is read, replaced or changed, for the OpenAPI document.

    `secret_help`: instead of what files say of a secret; `first`, `last`: fields that no file has.
    """
    is_read = use == "read"
    own = {
        field: _build_field(
            each, is_optional=use == "patch", secret_help=(secret_help or {}).get(field)
        )
        for field, each in fields.items()
        # What is no column and no name of another object is told to a change alone.
        if not (is_read and (each.is_never_shown or field == "overlap"))
    }
    reason = serializers.CharField(
        required=False, max_length=MAX_REASON_LENGTH, help_text="One line for the history."
    )
    parts = {**(first or {}), **own, **({} if is_read else {"reason": reason}), **(last or {})}
    return type(name, (serializers.Serializer,), parts)


def _build_field(
    field: FileField, *, is_optional: bool, secret_help: str | None
) -> serializers.Field[Any, Any, Any, Any]:
    kinds = field.schema["type"] if isinstance(field.schema["type"], list) else None
    kind = next(iter(kinds)) if kinds else field.schema["type"]
    options: dict[str, Any] = {
        "required": field.is_required and not field.is_secret and not is_optional,
        "allow_null": bool(kinds and "null" in kinds),
        "help_text": field.help,
    }
    if field.is_never_shown:
        options["write_only"] = True
        options["help_text"] = secret_help or f"{field.help} {NEVER_RETURNED}"
    if kind in ("array", "object"):
        several = serializers.ListField if kind == "array" else serializers.DictField
        return several(child=serializers.CharField(), **options)
    if kind == "boolean":
        return serializers.BooleanField(**options)
    if kind == "integer":
        low, high = field.schema.get("minimum"), field.schema.get("maximum")
        return serializers.IntegerField(min_value=low, max_value=high, **options)
    if kind == "number":
        return (
            serializers.DecimalField(max_digits=14, decimal_places=6, **options)
            if kinds
            else serializers.FloatField(**options)
        )
    if field.schema.get("format") == "date-time":
        return serializers.DateTimeField(**options)
    return serializers.CharField(**options)


class ManagedMarkSerializer(serializers.Serializer[Any]):
    file = serializers.CharField(help_text="The configuration file that names the object.")
    applied_at = serializers.DateTimeField()
    applied_by = serializers.CharField()
    locked = serializers.BooleanField(help_text="Whether changes are refused here (403).")


def _managed_field() -> ManagedMarkSerializer:
    return ManagedMarkSerializer(
        read_only=True, allow_null=True, help_text="null: no configuration file names it."
    )


def _name_field(help_text: str = "") -> serializers.CharField:
    return serializers.CharField(read_only=True, help_text=help_text)


def _names_field() -> serializers.ListField:
    return serializers.ListField(
        child=serializers.CharField(), read_only=True, help_text="Their values are never returned."
    )


def serialize_mark(row: Any) -> dict[str, Any] | None:
    """Serialize which file names the object."""
    mark = find_mark(row)
    if mark is None:
        return None
    return {
        "file": mark.file,
        "applied_at": mark.applied_at.isoformat(),
        "applied_by": mark.applied_by,
        "locked": bool(settings.LOCK_MANAGED),
    }


UPSTREAM_SECRET_HELP: Final = {
    "key": "The provider's key. Never returned. Left out: the present one stays; empty: none is "
    "sent."
}
KEY_SECRET_HELP: Final = {
    "secret": "Of a secret store: tt- and 43 random characters. Never returned. Left out: the "
    "present one stays, and a new key gets one made, which the reply shows this once."
}
UPSTREAM_LAST: Final[dict[str, serializers.Field[Any, Any, Any, Any]]] = {
    "has_key": serializers.BooleanField(read_only=True),
    "has_proxy": serializers.BooleanField(read_only=True),
    "header_names": _names_field(),
    "query_names": _names_field(),
    "managed": _managed_field(),
    "created_at": serializers.DateTimeField(read_only=True),
}
UpstreamSerializer = build_serializer(
    "Upstream", UPSTREAM_FIELDS, use="read", first={"name": _name_field()}, last=UPSTREAM_LAST
)
UpstreamPutSerializer = build_serializer(
    "UpstreamPut", UPSTREAM_FIELDS, use="put", secret_help=UPSTREAM_SECRET_HELP
)
UpstreamPatchSerializer = build_serializer(
    "UpstreamPatch", UPSTREAM_FIELDS, use="patch", secret_help=UPSTREAM_SECRET_HELP
)
RouteSerializer = build_serializer(
    "Route",
    ROUTE_FIELDS,
    use="read",
    first={"name": _name_field("What clients send as `model`.")},
    last={
        "version": serializers.IntegerField(help_text="Grows when the target changes."),
        "managed": _managed_field(),
    },
)
RoutePutSerializer = build_serializer("RoutePut", ROUTE_FIELDS, use="put")
RoutePatchSerializer = build_serializer("RoutePatch", ROUTE_FIELDS, use="patch")
TenantSerializer = build_serializer(
    "Tenant",
    TENANT_FIELDS,
    use="read",
    first={"slug": _name_field("Its name in paths, `?tenant=` and metrics.")},
    last={
        "managed": _managed_field(),
        "created_at": serializers.DateTimeField(read_only=True),
    },
)
TenantPutSerializer = build_serializer("TenantPut", TENANT_FIELDS, use="put")
TenantPatchSerializer = build_serializer("TenantPatch", TENANT_FIELDS, use="patch")
PriceSerializer = build_serializer(
    "Price",
    PRICE_FIELDS,
    use="read",
    first={
        "name": _name_field("<provider>/<model>"),
        "provider": _name_field(),
        "model": _name_field(),
    },
    last={
        "edited": serializers.BooleanField(
            help_text="false: it follows the published price; a PUT sets it to true."
        ),
        "managed": _managed_field(),
        "updated_at": serializers.DateTimeField(read_only=True),
    },
)
PricePutSerializer = build_serializer("PricePut", PRICE_FIELDS, use="put")
PricePatchSerializer = build_serializer("PricePatch", PRICE_FIELDS, use="patch")
KeySerializer = build_serializer(
    "VirtualKey",
    KEY_FIELDS,
    use="read",
    first={
        "id": serializers.IntegerField(read_only=True),
        "name": _name_field(),
        "tenant": _name_field("Its tenant's slug."),
        "prefix": _name_field("The first characters of its secret."),
    },
    last={
        "state": serializers.ChoiceField(
            choices=STATES,
            help_text="replaced: a former secret, which works until `expires_at`.",
        ),
        "replaced_by": serializers.IntegerField(
            allow_null=True, help_text="The id of the key that has the new secret."
        ),
        "requests_24h": serializers.IntegerField(help_text="Of the last 24 hours, by whole hours."),
        "last_used_at": serializers.DateTimeField(
            allow_null=True, help_text="Within 90 days, to some seconds; null: not used."
        ),
        "managed": _managed_field(),
        "created_at": serializers.DateTimeField(read_only=True),
        "revoked_at": serializers.DateTimeField(read_only=True, allow_null=True),
        "secret": serializers.CharField(
            required=False, help_text="Of a key that was just made here, this once."
        ),
    },
)
KeyPutSerializer = build_serializer("KeyPut", KEY_FIELDS, use="put", secret_help=KEY_SECRET_HELP)
KeyPatchSerializer = build_serializer(
    "KeyPatch", KEY_FIELDS, use="patch", secret_help=KEY_SECRET_HELP
)


class FieldDifferenceSerializer(serializers.Serializer[Any]):
    before = serializers.JSONField()
    after = serializers.JSONField()


class ObjectChangeSerializer(serializers.Serializer[Any]):
    action = serializers.ChoiceField(choices=("create", "update", "delete", "revoke"))
    kind = serializers.CharField()
    name = serializers.CharField()
    fields = serializers.DictField(  # type: ignore[assignment]  # a field, which the metaclass takes away
        child=FieldDifferenceSerializer(), help_text="What differs; empty for a new object."
    )


class ChangesSerializer(serializers.Serializer[Any]):
    """What a dry run would change."""

    dry_run = serializers.BooleanField(default=True)
    changes = ObjectChangeSerializer(many=True)
    unchanged = serializers.IntegerField(help_text="1: it is as the request says already.")


def serialize_columns(row: models.Model, fields: Mapping[str, FileField]) -> dict[str, Any]:
    """Serialize the plain columns and the default plan of an object."""
    found = {
        name: format_value(getattr(row, field.column))
        for name, field in fields.items()
        if field.column
    }
    if "default_plan" in fields:
        plan = getattr(row, "default_plan", None)
        found["default_plan"] = plan.name if plan else None
    return found


def serialize_upstream(row: Upstream) -> dict[str, Any]:
    """Serialize an upstream without its secrets; of those that nobody can decrypt, no name."""
    secrets, _ = read_present_secrets(row)
    return {
        "name": row.name,
        **serialize_columns(row, UPSTREAM_FIELDS),
        "has_key": bool(row.encrypted_key),
        "has_proxy": bool(row.encrypted_proxy_url),
        "header_names": sorted(secrets.headers),
        "query_names": sorted(secrets.query),
        "managed": serialize_mark(row),
        "created_at": row.created_at.isoformat(),
    }


def serialize_route(row: Route) -> dict[str, Any]:
    return {
        "name": row.name,
        "upstream": row.upstream.name,
        **serialize_columns(row, ROUTE_FIELDS),
        "version": row.version,
        "managed": serialize_mark(row),
    }


def serialize_tenant(row: Tenant) -> dict[str, Any]:
    return {
        "slug": row.slug,
        **serialize_columns(row, TENANT_FIELDS),
        "managed": serialize_mark(row),
        "created_at": row.created_at.isoformat(),
    }


def serialize_price(row: ModelPrice) -> dict[str, Any]:
    return {
        "name": str(row),
        "provider": row.provider,
        "model": row.model,
        **serialize_columns(row, PRICE_FIELDS),
        "edited": row.edited,
        "managed": serialize_mark(row),
        "updated_at": row.updated_at.isoformat(),
    }


def serialize_plan(row: Plan) -> dict[str, Any]:
    """Serialize a plan; which file names it, only if one does."""
    mark = serialize_mark(row)
    return dict(PlanSerializer(row).data) | ({"managed": mark} if mark else {})


def serialize_key(row: VirtualKey, use: KeyUsage | None) -> dict[str, Any]:
    """Serialize a key without its secret; `use`: of late, None if there was none."""
    return {
        "id": row.pk,
        "name": row.name,
        "tenant": row.tenant.slug,
        "prefix": row.prefix,
        **serialize_columns(row, KEY_FIELDS),
        "state": row.state,
        "replaced_by": row.successor_id,
        "requests_24h": use.requests if use else 0,
        "last_used_at": _format_time(use.last_at if use else None),
        "managed": serialize_mark(row),
        "created_at": row.created_at.isoformat(),
        "revoked_at": _format_time(row.revoked_at),
    }


def _format_time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
