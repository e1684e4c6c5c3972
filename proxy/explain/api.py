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
    """Leaves the body unparsed: it is parsed as `/v1` does, with the same limits and errors."""

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
    """Explain why a request would be answered from a cache, or why not."""

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
        """Run a request through every decision of the plan, in the gateway's own stages.

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
        """Answer errors of the request itself as /v1 does."""
        if isinstance(exc, GatewayError):
            return Response(exc.error_object(), status=exc.status)
        return super().handle_exception(exc)


def _can_read_questions(request: Request, found: Explanation) -> bool:
    """Return whether the caller may read other questions: only the tenant's own admin keys may."""
    user: Any = request.user
    tenant = user.tenant if isinstance(user, Administrator) else None
    return (
        tenant is not None
        and found.decided_call.key is not None
        and tenant.pk == found.decided_call.key.tenant_id
    )
