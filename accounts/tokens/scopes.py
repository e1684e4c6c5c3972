"""What of the management API a token reaches. Pure apart from the URL configuration."""

from functools import cache
from typing import Final

from django.urls import get_resolver

API_PREFIX: Final = "token-saving/"
# Paths of a plan that are another resource than the plan.
RESOURCE_BY_LAST_PART: Final = {"stats": "stats", "entries": "entries", "invalidate": "entries"}


def name_resource(path: str) -> str:
    """Return the resource of a path such as /token-saving/plans/faq-cache/stats; "" for none."""
    parts = path.strip("/").split("/")
    if f"{parts[0]}/" != API_PREFIX or len(parts) < 2:
        return ""
    return RESOURCE_BY_LAST_PART.get(parts[-1], parts[1]) if len(parts) > 3 else parts[1]


@cache
def list_resources() -> tuple[str, ...]:
    """Return every resource there is, out of the URL configuration."""
    paths = (str(each.pattern) for each in get_resolver().url_patterns)
    found = {name_resource(path) for path in paths if path.startswith(API_PREFIX)}
    return tuple(sorted(name for name in found if name and "<" not in name))
