"""The OpenAPI schema, generated once per process."""

import threading
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request

# It is the same for everybody, and generating it takes longer than most requests.
_schema_by_media_type: dict[str, bytes] = {}
_schema_lock = threading.Lock()


class SchemaView(SpectacularAPIView):
    """drf-spectacular's view with the rendered schema cached by media type."""

    @extend_schema(exclude=True)  # the schema does not describe itself
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        renderer = request.accepted_renderer
        generator: Any
        with _schema_lock:
            if renderer.media_type not in _schema_by_media_type:
                generator = self.generator_class(
                    urlconf=self.urlconf, api_version=self.api_version, patterns=self.patterns
                )
                schema = generator.get_schema(request=request, public=self.serve_public)
                written = renderer.render(schema, renderer.media_type, {})
                _schema_by_media_type[renderer.media_type] = (
                    written.encode() if isinstance(written, str) else written
                )
        return HttpResponse(
            _schema_by_media_type[renderer.media_type],
            content_type=f"{renderer.media_type}; charset=utf-8",
        )
