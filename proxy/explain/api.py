"""POST /token-saving/plans/{plan}/explain."""

from collections.abc import Mapping
from typing import IO, Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from plans.api.authentication import Administrator, get_plan_owner
from plans.api.openapi import TENANT_PARAMETER, build_error_responses
from plans.selectors import find_visible_plan
from proxy.conf import conf
from proxy.core.errors import BodyTooLarge, GatewayError
from proxy.explain.serializers import (
    ExplainRequestSerializer,
    ExplanationSerializer,
    serialize_explanation,
)
from proxy.explain.service import explain_raw_request
from proxy.pipeline.explain import Explanation

PLAN_PARAMETER = OpenApiParameter(
    "plan", str, OpenApiParameter.PATH, description="The plan's name."
)
KEY_PARAMETER = OpenApiParameter(
    "key",
    str,
    OpenApiParameter.QUERY,
    description="Id or name of the virtual key that would be asking. Default: any of the tenant's.",
)


class BytesParser(BaseParser):
    """The body as it is: `/v1` reads it, with its own limits and refusals."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        limit = conf.limits.max_body_bytes
        body: bytes = stream.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLarge(f"The body is larger than the {limit} bytes accepted.")
        return body


class PlanExplainView(APIView):
    """Why a request would be answered from a cache, or why not."""

    needs = "view"
    parser_classes = (BytesParser,)

    @extend_schema(
        operation_id="plan_explain",
        parameters=[PLAN_PARAMETER, TENANT_PARAMETER, KEY_PARAMETER],
        request=ExplainRequestSerializer,
        responses={200: ExplanationSerializer}
        | build_error_responses(400, 401, 403, 404, 409, 413, 415, 503),
    )
    def post(self, request: Request, plan: str) -> Response:
        """Runs a request through every decision of the plan, in the gateway's own stages.

        No model is called, and nothing is stored, recorded or logged. A tenant's key may also ask
        about the platform's plans.
        """
        owner = get_plan_owner(request)
        row = find_visible_plan(owner, plan)
        body: Any = request.data
        found = explain_raw_request(
            body if isinstance(body, bytes) else b"",
            row,
            owner,
            request.query_params.get("key", ""),
        )
        return Response(serialize_explanation(found, texts=_can_read_questions(request, found)))

    def handle_exception(self, exc: Exception) -> Response:
        """What /v1 would refuse is refused as it does."""
        if isinstance(exc, GatewayError):
            return Response(exc.error_object(), status=exc.status)
        return super().handle_exception(exc)


def _can_read_questions(request: Request, found: Explanation) -> bool:
    """What a tenant's clients asked is for that tenant's own admin keys."""
    user: Any = request.user
    tenant = user.tenant if isinstance(user, Administrator) else None
    return (
        tenant is not None
        and found.decided_call.key is not None
        and tenant.pk == found.decided_call.key.tenant_id
    )
