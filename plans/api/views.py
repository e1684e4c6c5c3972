"""Views of the management API: the engines that plans can name."""

from dataclasses import asdict
from typing import NoReturn

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from plans import capabilities
from plans.api.openapi import build_error_responses
from plans.api.serializers import CacheEngineListSerializer, CompressionEngineListSerializer


class CacheEnginesView(APIView):
    @extend_schema(
        operation_id="cache_engines",
        responses={200: CacheEngineListSerializer} | build_error_responses(401, 403),
    )
    def get(self, request: Request) -> Response:
        """List the engines that `cache.backend` can name, and whether each is available now."""
        return Response(
            {
                "object": "list",
                "data": [
                    asdict(engine)
                    for engine in capabilities.get_capabilities().list_cache_engines()
                ],
            }
        )


class CompressionEnginesView(APIView):
    @extend_schema(
        operation_id="compression_engines",
        responses={200: CompressionEngineListSerializer} | build_error_responses(401, 403),
    )
    def get(self, request: Request) -> Response:
        """List the values of `compression.engine` and `compression.language`."""
        system = capabilities.get_capabilities()
        engines = [asdict(engine) for engine in system.list_compression_engines()]
        return Response({"object": "list", "data": engines, "languages": system.list_languages()})


@extend_schema(exclude=True)
class UnknownPathView(APIView):
    """Answer 404 with the error object for all other paths under /token-saving.

    The caller must be authenticated.
    """

    def _raise_not_found(self, request: Request, path: str = "") -> NoReturn:
        raise NotFound("There is nothing at this path. See /api/docs.")

    get = post = put = patch = delete = _raise_not_found
