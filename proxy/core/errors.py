"""Everything a request can be refused with, and the one way a tool says it cannot help.

GatewayError                      the client gets OpenAI's error object
                                  (platform.openai.com/docs/guides/error-codes)
+- BadRequest            400      a field is wrong: `param` names it
+- TooDeep / TooLarge    400/413
+- TooMany               413      messages, parts or JSON values
+- EncodingUnknown       415      a body packed in a way that is not read
+- BodyTimeout           408      the body did not come in time
+- HeadTooLarge          431      too long an address or headers, or too many of them
+- BadKey                401      no, wrong, revoked or expired key
+- ModelForbidden        403      the key may not use this route
+- ModelUnknown          404
+- RequestUnknown        404      no such request, or another tenant's: the two look the same
+- PathUnknown           404      a path under /v1 that this gateway does not serve
+- MethodNotAllowed      405
+- NothingCached         409      feedback on an answer that came from the provider
+- RateLimited           429      too much feedback: `retry_after` in seconds
|  +- TooManyRequests    429      of this key, at a time
|  +- TooManyConnections 429      from this address
+- NotCached             504      only-if-cached and a miss (RFC 9111 section 5.2.1.7)
+- UpstreamUnreachable   502
+- UpstreamInvalid       502      a 200 that is no completion
+- UpstreamAuthFailed    502      the provider does not accept the key that we sent it; ours to
|                                 mend, so no client should try again
+- UpstreamTimeout       504      the provider had the request, and may bill it
+- FeedbackUnavailable   503      the ledger or the caches cannot be reached
+- NotReady              503      the worker has not read its configuration yet
+- InternalFault         500      a bug of ours; never the client's fault

ClientGone                        the client left: nobody to answer, but something to record
ToolUnavailable                   a cache, vector store, embedder or compressor could not answer:
                                  the request goes on without it
"""

import logging
from typing import Any, ClassVar


class GatewayError(Exception):
    """A refusal that knows its own answer.

    `param` names the field at fault where there is one. `had_request`: the provider had been sent
    the request before, so that it may bill it. `retryable` False: what was paid for would be paid
    for again, or nothing would change, so SDKs are told not to try by themselves.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = None
    had_request: bool = False
    retryable: ClassVar[bool] = True

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    def error_object(self) -> dict[str, Any]:
        """OpenAI's error object."""
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
    status = 415
    code = "unsupported_content_encoding"


class BodyTimeout(BadRequest):
    status = 408
    code = "request_timeout"


class HeadTooLarge(BadRequest):
    status = 431
    code = "head_too_large"


class InvalidApiKey(BadRequest):
    status = 401
    code = "invalid_api_key"


class ModelForbidden(BadRequest):
    status = 403
    code = "model_not_found"


class ModelNotFound(BadRequest):
    status = 404
    code = "model_not_found"


class RequestNotFound(BadRequest):
    status = 404
    code = "request_not_found"


class AnswerNotCached(BadRequest):
    status = 409
    code = "not_a_cached_answer"


class RateLimited(GatewayError):
    status = 429
    type = "rate_limit_error"
    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyRequests(RateLimited):
    code = "too_many_requests_in_flight"


class TooManyConnections(RateLimited):
    code = "too_many_connections"


class PathNotFound(BadRequest):
    status = 404
    code = "unknown_url"


class MethodNotAllowed(BadRequest):
    status = 405
    code = "method_not_allowed"


class OnlyIfCachedMiss(GatewayError):
    status = 504
    code = "not_cached"


class UpstreamUnreachable(GatewayError):
    status = 502
    code = "upstream_unreachable"

    def __init__(self, message: str, *, had_request: bool = False) -> None:
        super().__init__(message)
        self.had_request = had_request


class UpstreamInvalid(GatewayError):
    status = 502
    code = "upstream_invalid_response"
    had_request = True


class UpstreamAuthFailed(GatewayError):
    status = 502
    code = "upstream_auth_failed"
    retryable = False


class UpstreamTimeout(GatewayError):
    status = 504
    code = "upstream_timeout"
    had_request = True
    retryable = False


class FeedbackUnavailable(GatewayError):
    status = 503
    code = "feedback_unavailable"


class NotReady(GatewayError):
    status = 503
    code = "not_ready"


class InternalFault(GatewayError):
    code = "internal_error"


class ClientDisconnected(Exception):
    """The client closed its connection before the answer was complete."""


class ToolUnavailable(Exception):
    """A tool could not answer in time or at all.

    The caller goes on without it. `skipped`: it was not even asked.
    """

    def __init__(self, tool: str, reason: str, *, skipped: bool = False) -> None:
        super().__init__(f"{tool}: {reason}")
        self.tool = tool
        self.reason = reason
        self.skipped = skipped
        # An outage is a few lines in the log, not one for each request.
        self.log_level = logging.DEBUG if skipped else logging.WARNING
