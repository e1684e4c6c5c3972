"""The shapes of configuration objects in the OpenAPI document.

Made from the lists of fields that files are read by: a field that is added to a list of
`proxy.config_files.fields` is in the API with it.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from rest_framework import serializers

from plans.records import MAX_REASON_LENGTH
from proxy.config_files.fields import (
    KEY_FIELDS,
    PRICE_FIELDS,
    ROUTE_FIELDS,
    TENANT_FIELDS,
    UPSTREAM_FIELDS,
    FileField,
)

Use = Literal["read", "put", "patch"]
NEVER_RETURNED: Final = (
    "Never returned. Left out: the present one stays; empty: it is removed, and none is sent."
)
SECRET_HELP: Final = {
    "secret": "Of a secret store: tt- and 43 random characters. Never returned. Left out: the "
    "present one stays, and a new key gets one made, which the reply shows this once.",
    "secret_sha256": "In place of secret: the SHA-256, in hex, of a key made elsewhere. Never "
    "returned.",
}
STATES: Final = ("live", "paused", "replaced", "expired", "revoked")


# By type of JSON Schema.
FIELDS_BY_TYPE: Final[Mapping[str, type[serializers.Field[Any, Any, Any, Any]]]] = {
    "array": serializers.ListField,
    "boolean": serializers.BooleanField,
    "integer": serializers.IntegerField,
    "number": serializers.FloatField,
    "object": serializers.DictField,
    "string": serializers.CharField,
}


def build_serializer(
    name: str,
    fields: Mapping[str, FileField],
    *,
    use: Use,
    first: Mapping[str, serializers.Field[Any, Any, Any, Any]] | None = None,
    last: Mapping[str, serializers.Field[Any, Any, Any, Any]] | None = None,
) -> type[serializers.Serializer[Any]]:
    """Build the shape of an object as it is read, replaced or changed, for the OpenAPI document.

    `first`, `last`: fields that no file has.
    """
    is_read = use == "read"
    own = {
        field: _build_field(field, each, is_optional=use == "patch")
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
    name: str, field: FileField, *, is_optional: bool
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
        options["help_text"] = SECRET_HELP.get(name, NEVER_RETURNED)
    if "enum" in field.schema:
        options["choices"] = [each for each in field.schema["enum"] if each is not None]
        return serializers.ChoiceField(**options)
    if kind in ("array", "object"):
        options["child"] = serializers.CharField()
    elif kind == "integer":
        options["min_value"] = field.schema.get("minimum")
        options["max_value"] = field.schema.get("maximum")
    elif kind == "number" and kinds:  # an amount, which may be text
        return serializers.DecimalField(max_digits=14, decimal_places=6, **options)
    elif field.schema.get("format") == "date-time":
        return serializers.DateTimeField(**options)
    return FIELDS_BY_TYPE[str(kind)](**options)


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
UpstreamPutSerializer = build_serializer("UpstreamPut", UPSTREAM_FIELDS, use="put")
UpstreamPatchSerializer = build_serializer("UpstreamPatch", UPSTREAM_FIELDS, use="patch")
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
KeyPutSerializer = build_serializer("KeyPut", KEY_FIELDS, use="put")
KeyPatchSerializer = build_serializer("KeyPatch", KEY_FIELDS, use="patch")


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
