"""The OpenAPI schema, generated once per process."""

import threading
from typing import Any, Final

from django.http import HttpResponse
from django.urls import get_script_prefix
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request

# Stands for the path prefix in what is kept: it differs from one proxy to the other.
PREFIX_MARK: Final = "/path-prefix-of-the-request"
# It is the same for everybody, and generating it takes longer than most requests. By media type,
# and whether it has a prefix.
_kept_schemas: dict[tuple[str, bool], bytes] = {}
_schema_lock = threading.Lock()


class SchemaView(SpectacularAPIView):
    """drf-spectacular's view with the rendered schema cached by media type."""

    @extend_schema(exclude=True)  # the schema does not describe itself
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        renderer = request.accepted_renderer
        prefix = get_script_prefix().removesuffix("/")
        key = (renderer.media_type, bool(prefix))
        with _schema_lock:
            if key not in _kept_schemas:
                _kept_schemas[key] = self._render_schema(request, has_prefix=bool(prefix))
        return HttpResponse(
            _kept_schemas[key].replace(PREFIX_MARK.encode(), prefix.encode()),
            content_type=f"{renderer.media_type}; charset=utf-8",
        )

    def _render_schema(self, request: Request, *, has_prefix: bool) -> bytes:
        generator: Any = self.generator_class(
            urlconf=self.urlconf, api_version=self.api_version, patterns=self.patterns
        )
        schema = generator.get_schema(request=request, public=self.serve_public)
        if has_prefix:
            schema["servers"] = [{"url": PREFIX_MARK}]
        renderer = request.accepted_renderer
        written = renderer.render(schema, renderer.media_type, {})
        return written.encode() if isinstance(written, str) else bytes(written)
