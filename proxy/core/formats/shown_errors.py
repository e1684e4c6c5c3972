"""Build the errors clients see from a provider's errors, without API keys and addresses."""

import logging
from dataclasses import dataclass, replace
from typing import Any, Final

from proxy.core.config import ProviderEndpoint
from proxy.core.errors import UpstreamAuthFailed
from proxy.core.formats import sse
from proxy.core.formats.provider_errors import ProviderError, find_error, find_text_error
from proxy.core.formats.provider_json import parse_json, write_json
from proxy.core.formats.provider_secrets import ProviderSecrets, get_provider_secrets

log = logging.getLogger("tokenthrift.proxy")
KEY_REFUSED_STATUSES: Final = (401, 403)
MAX_ERROR_BYTES: Final = 64 * 1024  # of an error object that is passed on unchanged
MAX_LOGGED_LENGTH: Final = 300


@dataclass(frozen=True, slots=True)
class ShownError:
    """A provider's error, and the body that clients see."""

    error: ProviderError
    body: bytes

    def to_event(self) -> bytes:
        """Return the error as a stream event."""
        return b"data: " + self.body + b"\n\n"


def build_shown_error(
    body: bytes, content_type: str, *, status: int, secrets: ProviderSecrets
) -> ShownError:
    """Build what clients see of an error response with this body."""
    parsed = parse_json(body) if len(body) <= sse.MAX_EVENT_BYTES else None
    error = (
        find_text_error(body, content_type)
        if parsed is None
        else find_error(parsed.value) or ProviderError()
    )
    if (
        parsed is None
        or error.openai_body is None
        or error.openai_body is not parsed.value
        or len(body) > MAX_ERROR_BYTES
    ):
        return redact_error(error, status=status, secrets=secrets)
    redacted = _redact_value(error.openai_body, secrets)
    return ShownError(error, body if redacted is error.openai_body else write_json(redacted))


def redact_error(error: ProviderError, *, status: int, secrets: ProviderSecrets) -> ShownError:
    """Build what clients see of an error that was found elsewhere, such as in a stream.

    Only the error object itself, without fields next to it; rebuilt from its parts if too large.
    """
    body = write_json(_redact_value(error.build_body(status=status), secrets))
    if len(body) > MAX_ERROR_BYTES:
        body = write_json(
            _redact_value(replace(error, openai_body=None).build_body(status=status), secrets)
        )
    return ShownError(error, body)


def _redact_value(value: Any, secrets: ProviderSecrets) -> Any:
    try:
        return secrets.redact_json(value)
    except RecursionError:
        return {
            "error": {
                "message": "The upstream's error is nested too deeply.",
                "type": "server_error",
                "param": None,
                "code": None,
            }
        }


def refuse_key(upstream: ProviderEndpoint, shown: ShownError, *, status: int) -> UpstreamAuthFailed:
    """Log that an upstream rejected its API key; return the error for the client."""
    # Only an administrator can change the key.
    said = " ".join(get_provider_secrets(upstream).redact_text(shown.error.message).split())[
        :MAX_LOGGED_LENGTH
    ]
    log.error(
        "upstream %s answered %d: it does not accept the key it was sent. It says: %s",
        upstream.name,
        status,
        said or "nothing",
    )
    return UpstreamAuthFailed(
        "The upstream did not accept the gateway's own key for it. This is for the "
        "administrator to mend."
    )
