"""Whether plans may choose `qdrant_semantic` now: its client is installed, a server is configured, and it answers."""

from importlib.util import find_spec
from typing import Final
from urllib.parse import urlsplit

import httpx
from django.conf import settings

DEADLINE: Final = 0.5  # seconds for each step
NO_SERVER: Final = (
    "No Qdrant server is configured: set QDRANT_URL. Without a server each worker would have entries of its own, which others cannot see."
)
NO_CLIENT: Final = "The package qdrant-client is not installed: pip install -r requirements-qdrant.txt."


def refusal() -> str | None:
    """Why not; None when it can serve."""
    url = settings.QDRANT_URL
    if not url:
        return NO_SERVER
    if find_spec("qdrant_client") is None:
        return NO_CLIENT
    headers = {"api-key": settings.QDRANT_API_KEY} if settings.QDRANT_API_KEY else {}
    try:
        where = urlsplit(url)
        at = f"{where.hostname}:{where.port or 6333}"  # the client's own default, whatever the scheme
        reply = httpx.get(f"{where.scheme}://{at}{where.path.rstrip('/')}/collections", headers=headers, timeout=DEADLINE)
        if reply.status_code in (401, 403):
            return f"Qdrant at {at} refuses the key of TOKENTHRIFT_QDRANT_API_KEY ({reply.status_code})."
        reply.raise_for_status().json()["result"]["collections"]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError) as error:
        return f"No Qdrant answers at the address of QDRANT_URL ({type(error).__name__})."
    return None
