"""Endpoints for operators: liveness, readiness, metrics."""

import hmac
import ipaddress

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from stats.monitoring import health, metrics


@never_cache
@require_safe
async def livez(request: HttpRequest) -> HttpResponse:
    """Return 200 while the event loop runs."""
    return JsonResponse({"status": "alive"})


@never_cache
@require_safe
async def readyz(request: HttpRequest) -> HttpResponse:
    """Return 200 if requests can be served; 503 before the configuration is loaded.

    200 also without database or Redis. `?detail=0` asks no service; `?detail=1` reports more, to
    those who may read the metrics.
    """
    detail = request.GET.get("detail")
    if detail == "0":
        body: dict[str, object] = {"status": "ready" if health.is_ready() else "not ready"}
    elif detail == "1":
        if refusal := _check_operator_access(request, "Details"):
            return refusal
        body = await health.build_detailed_report()
    else:
        _, body = await health.build_report()
    return JsonResponse(body, status=200 if health.is_ready() else 503)


@never_cache
@require_safe
def metrics_page(request: HttpRequest) -> HttpResponse:
    """Return the metrics in Prometheus' text format.

    Needs TOKENTHRIFT_METRICS_TOKEN as bearer token, or a caller on this machine if it is not set.
    """
    if refusal := _check_operator_access(request, "Metrics"):
        return refusal
    body, content_type = metrics.render_exposition(request.headers.get("accept", ""))
    return HttpResponse(body, content_type=content_type)


def _check_operator_access(request: HttpRequest, what: str) -> HttpResponse | None:
    """Return a refusal if the caller is not an operator, else None."""
    token: str = settings.METRICS_TOKEN
    if token:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            given.strip().encode("utf-8", "replace"), token.encode()
        ):
            return _build_refusal(
                401,
                "Send TOKENTHRIFT_METRICS_TOKEN as: Authorization: Bearer <token>.",
                {"WWW-Authenticate": "Bearer"},
            )
    elif not _is_local_caller(request):
        return _build_refusal(
            403, f"{what} without TOKENTHRIFT_METRICS_TOKEN are for callers on this machine."
        )
    return None


def _build_refusal(
    status: int, message: str, headers: dict[str, str] | None = None
) -> HttpResponse:
    return HttpResponse(
        f"{message}\n", status=status, content_type="text/plain; charset=utf-8", headers=headers
    )


def _is_local_caller(request: HttpRequest) -> bool:
    """Whether the peer is a loopback address and no proxy."""
    # A proxy on this machine forwards requests of others.
    if "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
