"""POST /token-saving/plans/{plan}/preview."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import IO, Any, Final, cast

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from plans import selectors
from plans.api.authentication import get_plan_owner
from plans.api.openapi import TENANT_PARAMETER, build_error_responses
from plans.api_errors import ApiError
from proxy.conf import conf
from proxy.core.errors import BadRequest, BodyTooLarge, GatewayError, ToolUnavailable
from proxy.core.formats import chat_completions
from proxy.core.types import Message
from proxy.preview.serializers import PreviewRequestSerializer, PreviewSerializer, serialize_preview
from proxy.preview.service import build_priced_preview, resolve_compression_settings
from proxy.upstreams.selectors import find_model

PLAN_PARAMETER = OpenApiParameter(
    "plan", str, OpenApiParameter.PATH, description="The plan's name."
)
ACCEPTED_FIELDS: Final = ("messages", "model", "compression")
# Twice what the engines read: a preview returns the whole chat again.
MAX_BODY_BYTES: Final = 2_000_000


class PreviewUnavailable(ApiError):
    status = 503
    code = "preview_unavailable"


class ChatParser(BaseParser):
    """Parses a chat as /v1 does, with the same limits and errors."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        limit = min(MAX_BODY_BYTES, conf.limits.max_body_bytes)
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLarge(f"The body is larger than the {limit} bytes accepted.")
        return chat_completions.load_json_object(body, depth=conf.limits.body_limits.depth)


class PlanPreviewView(APIView):
    """Preview what a plan would do to a chat."""

    needs = "view"
    parser_classes = (ChatParser,)

    @extend_schema(
        operation_id="plan_preview",
        parameters=[PLAN_PARAMETER, TENANT_PARAMETER],
        request=PreviewRequestSerializer,
        responses={200: PreviewSerializer}
        | build_error_responses(400, 401, 403, 404, 413, 415, 503),
    )
    def post(self, request: Request, plan: str) -> Response:
        """Show what the plan would send of a chat, sentence by sentence, and both costs.

        The costs are those of the prompt as asked and as sent. Nothing is sent anywhere, stored or
        logged.
        """
        row = selectors.find_plan(get_plan_owner(request), plan)
        messages, name, draft = _parse_body(cast(dict[str, Any], request.data))
        settings, model = resolve_compression_settings(row, draft), find_model(name, row.tenant)
        try:
            found = build_priced_preview(messages, settings, model)
        except ToolUnavailable as error:
            raise PreviewUnavailable(
                f"This chat cannot be compressed ({error.reason}): it would go out whole."
            ) from None
        return Response(
            serialize_preview(row.build_snapshot(), asdict(settings), model, found, messages)
        )

    def handle_exception(self, exc: Exception) -> Response:
        """Answer errors of the chat itself as /v1 does."""
        if isinstance(exc, GatewayError):
            return Response(exc.error_object(), status=exc.status)
        return super().handle_exception(exc)


def _parse_body(body: dict[str, Any]) -> tuple[list[Message], str | None, dict[str, Any]]:
    """Return the messages, the model's name and the draft: `compression` or nothing.

    Raises BadRequest.
    """
    for name in body:
        if name not in ACCEPTED_FIELDS:
            raise BadRequest(
                f"Unknown field. Accepted here: {', '.join(ACCEPTED_FIELDS)}.", param=name[:64]
            )
    model = body.get("model")
    if model is not None and not (isinstance(model, str) and model):
        raise BadRequest(
            "model must be the name of a route or of a model; leave it out for the first route.",
            param="model",
        )
    draft = {"compression": body["compression"]} if "compression" in body else {}
    return chat_completions.validate_messages(body.get("messages")), model, draft
