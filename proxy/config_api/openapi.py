"""How the views of configuration objects stand in the OpenAPI document."""

from collections.abc import Callable
from typing import Any, Final

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    PolymorphicProxySerializer,
    extend_schema,
    extend_schema_view,
)
from rest_framework import serializers

from plans.api.openapi import build_error_responses
from proxy.config_api.parameters import (
    DRY_RUN_PARAMETER,
    IF_MATCH_PARAMETER,
    IF_NONE_MATCH_PARAMETER,
    PAGE_PARAMETERS,
)
from proxy.config_api.serializers import ChangesSerializer

AnySerializer = type[serializers.Serializer[Any]]
Describe = Callable[[type[Any]], type[Any]]

LIST_TEXT: Final = "A page at a time: give a reply's `next` as `after` for the one behind it."
READ_TEXT: Final = "Its ETag guards a change: give it as `If-Match`. Secrets are never returned."
PUT_TEXT: Final = (
    "Fields that are left out take their defaults; secrets that are left out stay. The second "
    "time nothing changes. Every worker follows within two seconds."
)
DELETE_TEXT: Final = "Refused while something refers to it; the message names that."
# What a PUT and a PATCH of each kind may say.
EXAMPLES: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "upstream": (
        {"base_url": "https://api.openai.com/v1", "key": "sk-..."},
        {"read_timeout": 120, "reason": "The provider hangs now and then"},
    ),
    "route": (
        {"upstream": "openai", "model": "gpt-4o-mini", "default_plan": "support-bot"},
        {"model": "gpt-4.1-mini"},
    ),
    "tenant": (
        {"name": "Acme Inc", "routes": ["smart/balanced"], "max_entries": 100000},
        {"default_plan": "support-bot"},
    ),
    "price": ({"input": "1.25", "output": "10", "cached_input": "0.125"}, {"output": "8"}),
    "key": (
        {"routes": ["smart/balanced"], "expires_at": "2027-12-31T00:00:00Z"},
        {"paused": True, "reason": "Seen in a public repository"},
    ),
    "plan": (
        {"preset": "balanced", "cache": {"ttl": 86400}, "holdout": 0.02},
        {"cache": {"ttl": 3600}},
    ),
}


def build_example(kind: str, method: str) -> list[OpenApiExample]:
    """Build the example of a request's body."""
    put, patch = EXAMPLES[kind]
    value = put if method == "put" else patch
    return [OpenApiExample(f"{method} {kind}", value=value, request_only=True)]


def build_list_serializer(one: AnySerializer) -> AnySerializer:
    """Build the shape of a page of objects."""
    fields = {
        "object": serializers.CharField(default="list"),
        "data": one(many=True),
        "has_more": serializers.BooleanField(),
        "next": serializers.CharField(
            allow_null=True, help_text="Say it as `after` for the next page; null: this was it."
        ),
    }
    return type(f"{one.__name__.removesuffix('Serializer')}List", (serializers.Serializer,), fields)


def or_changes(one: AnySerializer) -> PolymorphicProxySerializer:
    """Build the shape of a reply: the object, or the changes of a dry run."""
    return PolymorphicProxySerializer(
        component_name=f"{one.__name__.removesuffix('Serializer')}OrChanges",
        serializers=[one, ChangesSerializer],
        resource_type_field_name=None,
    )


def describe_list(plural: str, one: AnySerializer, *parameters: OpenApiParameter) -> Describe:
    """Put a view that lists objects into the document."""
    return extend_schema_view(
        get=extend_schema(
            operation_id=f"{plural}_list",
            summary=f"List {plural}",
            description=LIST_TEXT,
            parameters=[*PAGE_PARAMETERS, *parameters],
            responses={200: build_list_serializer(one)} | build_error_responses(400, 401, 403, 404),
        )
    )


def describe_object(
    kind: str,
    shapes: tuple[AnySerializer, AnySerializer, AnySerializer],
    *parameters: OpenApiParameter,
    deletion: str = DELETE_TEXT,
) -> Describe:
    """Put the view of one object into the document; `shapes`: read, PUT, PATCH."""
    one, put, patch = shapes
    changing = [DRY_RUN_PARAMETER, IF_MATCH_PARAMETER, *parameters]
    errors = build_error_responses(400, 401, 403, 404, 409, 412, 413, 415)
    return extend_schema_view(
        get=extend_schema(
            operation_id=f"{kind}s_read",
            summary=f"Read the {kind}",
            description=READ_TEXT,
            parameters=[*parameters],
            responses={200: one} | build_error_responses(400, 401, 403, 404),
        ),
        put=extend_schema(
            operation_id=f"{kind}s_put",
            summary=f"Make or replace the {kind}",
            description=PUT_TEXT,
            parameters=[*changing, IF_NONE_MATCH_PARAMETER],
            request=put,
            responses={200: or_changes(one), 201: one} | errors,
            examples=build_example(kind, "put"),
        ),
        patch=extend_schema(
            operation_id=f"{kind}s_change",
            summary=f"Change fields of the {kind}; the others stay",
            parameters=changing,
            request=patch(partial=True),
            responses={200: or_changes(one)} | errors,
            examples=build_example(kind, "patch"),
        ),
        delete=extend_schema(
            operation_id=f"{kind}s_delete",
            summary=f"Delete the {kind}",
            description=deletion,
            parameters=changing,
            responses={200: ChangesSerializer, 204: None}
            | build_error_responses(400, 401, 403, 404, 409, 412),
        ),
    )
