"""GET /token-saving/resolve."""

from typing import Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from plans.api.authentication import get_plan_owner
from plans.api.openapi import TENANT_PARAMETER, build_error_responses
from plans.api_errors import ApiError
from proxy.plan_resolution.serializers import PlanResolutionSerializer, serialize_resolution
from proxy.plan_resolution.service import resolve_for_key

PARAMETERS: Final = [
    OpenApiParameter(
        "key", str, required=True, description="Id or name of the virtual key that would ask."
    ),
    OpenApiParameter("model", str, required=True, description="Name of the route it would use."),
    OpenApiParameter(
        "plan",
        str,
        description=(
            "The plan that the request names, in its body, its metadata or the header; none: it "
            "asks for no plan. Absent or empty: it names none."
        ),
    ),
    TENANT_PARAMETER,
]


class PlanResolutionView(APIView):
    """Say which plan applies to requests of a key."""

    @extend_schema(
        operation_id="plan_resolve",
        parameters=PARAMETERS,
        responses={200: PlanResolutionSerializer} | build_error_responses(400, 401, 403, 404),
    )
    def get(self, request: Request) -> Response:
        """Say which plan applies to requests of a key for a model, and which level decides.

        The request comes first, then the defaults of key, tenant and route. As the configuration
        is stored: every worker follows within two seconds.
        """
        found = resolve_for_key(
            owner=get_plan_owner(request),
            key=_read_parameter(request, "key"),
            model=_read_parameter(request, "model"),
            asked=request.query_params.get("plan") or None,
        )
        return Response(serialize_resolution(found))


def _read_parameter(request: Request, name: str) -> str:
    value: str = request.query_params.get(name, "")
    if not value:
        raise ApiError(f"{name} is required.", param=name)
    return value
