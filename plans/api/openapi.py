"""Additions to the OpenAPI document: authentication, the tenant parameter, error responses."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiParameter

from plans.api.serializers import ErrorSerializer

TENANT_PARAMETER = OpenApiParameter(
    "tenant",
    str,
    OpenApiParameter.QUERY,
    description=(
        "Owner's slug, for the platform's administrators. Default: the platform's own plans."
    ),
)


class AdminKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "plans.api.authentication.AdminKeyAuthentication"
    name = "adminKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An admin key: manage.py create_admin_key, or TOKENTHRIFT_ADMIN_KEY.",
        }


def build_error_responses(*statuses: int) -> dict[int, type[ErrorSerializer]]:
    """Map each status to the error object."""
    return dict.fromkeys(statuses, ErrorSerializer)


def without_trailing_slash(
    endpoints: list[tuple[str, str, str, Any]], **_: Any
) -> list[tuple[str, str, str, Any]]:
    """Preprocessing hook: list each path once, though it works with and without a final slash."""
    return [endpoint for endpoint in endpoints if not endpoint[0].endswith("/")]
