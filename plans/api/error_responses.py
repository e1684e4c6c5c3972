"""Error responses of the management API as OpenAI's error object, Django's own errors included."""

import logging
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from plans.api_errors import ApiError
from plans.client_snippets import build_base_url

log = logging.getLogger(__name__)
API_PREFIX = "/token-saving"
CODE_BY_STATUS = {
    400: None,
    401: "invalid_api_key",
    403: "permission_denied",
    404: "unknown_url",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "request_too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
}


def build_error_object(
    status: int, message: str, *, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """Build the body of an error response (platform.openai.com/docs/guides/error-codes)."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def as_error_object(error: Exception, context: dict[str, Any]) -> Response:
    """REST framework's exception handler.

    An ApiError or framework error keeps its status, a database that does not answer gives 503,
    anything else is logged and gives 500.
    """
    set_rollback()
    if isinstance(error, ApiError):
        return Response(
            build_error_object(error.status, error.message, param=error.param, code=error.code),
            status=error.status,
        )
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, exceptions.APIException):
        return _build_framework_error(error)
    if isinstance(error, OperationalError | InterfaceError):
        log.error("management call failed: the database does not answer (%s)", type(error).__name__)
        return Response(
            build_error_object(
                503, "The database does not answer: try again soon.", code="database_unavailable"
            ),
            status=503,
        )
    log.error("management call failed", exc_info=error)
    return Response(
        build_error_object(500, "Something broke on our side.", code="internal_error"), status=500
    )


def _build_framework_error(error: exceptions.APIException) -> Response:
    headers = {}
    if auth_header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = f"{wait:.0f}"
    param, message = _find_first_detail(error.detail)
    body = build_error_object(
        error.status_code, message, param=param, code=CODE_BY_STATUS.get(error.status_code)
    )
    return Response(body, status=error.status_code, headers=headers)


def _find_first_detail(detail: Any) -> tuple[str | None, str]:
    """Return the first field and message of a framework error: a text, a list or a dict of them."""
    if isinstance(detail, dict):
        name, inner = next(iter(detail.items()))
        param, message = _find_first_detail(inner)
        own = None if name == "non_field_errors" else str(name)
        return (f"{own}.{param}" if own and param else own or param), message
    if isinstance(detail, list):
        return _find_first_detail(detail[0])
    return None, str(detail)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler400, for requests rejected before a view runs.

    Such as a wrong Host header, or a form of megabytes (413).
    """
    if reply := _build_api_error(request, 400):
        return reply
    if isinstance(exception, RequestDataTooBig):
        return render(
            request, "admin/too_large.html", {"title": "This is too much at once"}, status=413
        )
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler403."""
    return _build_api_error(request, 403) or defaults.permission_denied(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler404; JSON for the API and for every method but GET and HEAD."""
    # A client with a wrong base URL gets an error its SDK can read, and the right URL.
    if request.method not in ("GET", "HEAD"):
        says = (
            f"{request.path_info[:200]} is not served. The base URL of the API is "
            f"{build_base_url(request)}: POST /v1/chat/completions."
        )
        return JsonResponse(build_error_object(404, says, code="unknown_url"), status=404)
    return _build_api_error(request, 404) or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django's handler500."""
    return _build_api_error(request, 500) or defaults.server_error(request)


def _build_api_error(request: HttpRequest, status: int) -> HttpResponse | None:
    if request.path_info != API_PREFIX and not request.path_info.startswith(f"{API_PREFIX}/"):
        return None
    code = CODE_BY_STATUS.get(status, "internal_error")
    return JsonResponse(
        build_error_object(status, HTTPStatus(status).phrase, code=code), status=status
    )
