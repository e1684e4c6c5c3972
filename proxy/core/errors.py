"""Everything a request can be refused with, and the error of an unavailable tool.

Clients get OpenAI's error object (platform.openai.com/docs/guides/error-codes).
"""

import logging
from typing import Any, ClassVar


class GatewayError(Exception):
    """An error that is answered with OpenAI's error object."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = None
    # The provider may bill the request, because it was sent it.
    had_request: bool = False
    # False tells SDKs not to retry: what was paid for would be paid for again, or nothing would
    # change.
    retryable: ClassVar[bool] = True

    # `param` names the field at fault, if there is one.
    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    def error_object(self) -> dict[str, Any]:
        """Return OpenAI's error object."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }


class BadRequest(GatewayError):
    status = 400
    type = "invalid_request_error"


class BodyTooDeep(BadRequest):
    code = "request_too_large"


class BodyTooLarge(BadRequest):
    status = 413
    code = "request_too_large"


class TooManyParts(BodyTooLarge):
    """More messages, parts or JSON values than are accepted."""


class UnsupportedEncoding(BadRequest):
    # An unknown Content-Encoding.
    status = 415
    code = "unsupported_content_encoding"


class BodyTimeout(BadRequest):
    status = 408
    code = "request_timeout"


class HeadTooLarge(BadRequest):
    # The URL or the headers are too long, or there are too many headers.
    status = 431
    code = "head_too_large"


class InvalidApiKey(BadRequest):
    status = 401
    code = "invalid_api_key"


class KeyPaused(BadRequest):
    # An administrator has paused the key, and can resume it.
    status = 403
    code = "key_paused"


class ModelForbidden(BadRequest):
    # The key may not use this route.
    status = 403
    code = "model_not_found"


class ModelNotFound(BadRequest):
    status = 404
    code = "model_not_found"


class RequestNotFound(BadRequest):
    # No such request, or another tenant's: the two look the same.
    status = 404
    code = "request_not_found"


class AnswerNotCached(BadRequest):
    # Feedback on an answer that came from the provider.
    status = 409
    code = "not_a_cached_answer"


class RateLimited(GatewayError):
    # Such as too much feedback; `retry_after` is in seconds.
    status = 429
    type = "rate_limit_error"
    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyRequests(RateLimited):
    # In flight for this key.
    code = "too_many_requests_in_flight"


class TooManyConnections(RateLimited):
    # From this address.
    code = "too_many_connections"


class PathNotFound(BadRequest):
    # A path under /v1 that is not served.
    status = 404
    code = "unknown_url"


class MethodNotAllowed(BadRequest):
    status = 405
    code = "method_not_allowed"


class OnlyIfCachedMiss(GatewayError):
    # RFC 9111 section 5.2.1.7.
    status = 504
    code = "not_cached"


class UpstreamUnreachable(GatewayError):
    status = 502
    code = "upstream_unreachable"

    def __init__(self, message: str, *, had_request: bool = False) -> None:
        super().__init__(message)
        self.had_request = had_request


class UpstreamInvalid(GatewayError):
    # A 200 that is not a completion.
    status = 502
    code = "upstream_invalid_response"
    had_request = True


class UpstreamAuthFailed(GatewayError):
    # The provider rejected the gateway's API key, so no client should retry.
    status = 502
    code = "upstream_auth_failed"
    retryable = False


class UpstreamTimeout(GatewayError):
    # The provider had the request, and may bill it.
    status = 504
    code = "upstream_timeout"
    had_request = True
    retryable = False


class FeedbackUnavailable(GatewayError):
    # The ledger or the caches cannot be reached.
    status = 503
    code = "feedback_unavailable"


class NotReady(GatewayError):
    # The worker has not read its configuration yet.
    status = 503
    code = "not_ready"


class InternalFault(GatewayError):
    # A bug in the gateway.
    code = "internal_error"


class ClientDisconnected(Exception):
    """The client closed its connection before the answer was complete."""


class ToolUnavailable(Exception):
    """A cache, model or other tool did not answer; the request goes on without it.

    `skipped`: it was not even asked.
    """

    def __init__(self, tool: str, reason: str, *, skipped: bool = False) -> None:
        super().__init__(f"{tool}: {reason}")
        self.tool = tool
        self.reason = reason
        self.skipped = skipped
        # An outage is a few lines in the log, not one for each request.
        self.log_level = logging.DEBUG if skipped else logging.WARNING
