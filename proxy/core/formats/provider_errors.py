"""Find the error in a provider's answer, in any of their formats, and convert it to OpenAI's.

  OpenAI, OpenRouter, Anthropic     {"error": {"message", "type", "param", "code", ...}}
  Gemini                            [{"error": {"code": 400, "message", "status":
                                     "INVALID_ARGUMENT"}}]
  Ollama, llama.cpp, TGI            {"error": "text", "error_type"}
  vLLM, older Mistral               {"object": "error", "message", "type", "param", "code"}
  FastAPI, Mistral                  {"detail": "text"} or {"detail": [{"loc", "msg", "type"}]},
                                     also within "message"
  RFC 9457                          {"title", "status", "detail"}
  Cohere, Bedrock, DashScope        {"message", "code"}
  MiniMax                           {"base_resp": {"status_code", "status_msg"}}
  Cloudflare                        {"success": false, "errors": [{"code", "message"}]}
  proxies                           plain text

HTML pages are never passed on. An error object in OpenAI's format is passed on unchanged.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from proxy.core.errors import UpstreamInvalid

MAX_MESSAGE_LENGTH: Final = 2_000
MAX_LABEL_LENGTH: Final = 200
_MAX_NESTING: Final = 4
_MESSAGE_FIELDS: Final = (
    "message",
    "Message",
    "msg",
    "error_message",
    "error_msg",
    "errorMessage",
    "status_msg",
    "detail",
    "title",
    "reason",
)
_CODE_FIELDS: Final = (
    "code",
    "error_code",
    "errorCode",
    "status_code",
    "statusCode",
    "err_code",
    "__type",
)
_STATUS_FIELDS: Final = ("code", "status", "status_code", "statusCode", "http_code", "error_code")
_PAGE_BEGINNINGS: Final = ("<!doctype", "<html", "<head", "<body", "<?xml")
_BAD_KEY_LABELS: Final = frozenset(
    {
        "invalid_api_key",
        "api_key_invalid",
        "authentication_error",
        "unauthenticated",
        "invalid_authentication",
        "autherror",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderError:
    """An error as a provider reported it."""

    # In the provider's words, "" if it gave none.
    message: str = ""
    type: str = ""
    param: str | None = None
    code: str | None = None
    # The HTTP status it names, if any.
    status: int | None = None
    # The whole object, if it holds an error object in OpenAI's format.
    openai_body: dict[str, Any] | None = None

    @property
    def is_key_refused(self) -> bool:
        """Whether the provider rejected the API key, which is the gateway's, not the client's."""
        labels = {self.type.lower(), (self.code or "").lower()}
        return self.status in (401, 403) or not labels.isdisjoint(_BAD_KEY_LABELS)

    def build_body(self, *, status: int) -> dict[str, Any]:
        """Build OpenAI's error object for an answer of that status.

        An object in OpenAI's format keeps its other fields.
        """
        if self.openai_body is not None:
            missing = {
                "type": self.type or _default_type(status),
                "param": self.param,
                "code": self.code,
            }
            return {"error": missing | self.openai_body["error"]}
        code = None if self.code == str(status) else self.code
        if not (self.message or self.type or code):
            return UpstreamInvalid(
                f"The upstream answered {status} and does not say what went wrong."
            ).error_object()
        message = self.message or f"The upstream answered {status}: {self.type or code}."
        return {
            "error": {
                "message": message,
                "type": self.type or _default_type(status),
                "param": self.param,
                "code": code,
            }
        }


def _default_type(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "invalid_request_error" if 400 <= status < 500 else "server_error"


def find_error(value: Any) -> ProviderError | None:
    """Find the error in a complete JSON answer; None if nothing in it says what went wrong."""
    if isinstance(value, list):
        return find_error(value[0]) if value and isinstance(value[0], dict) else None
    if isinstance(value, str):
        return ProviderError(message=_shorten_message(value))
    if not isinstance(value, dict):
        return None
    for inner in _iter_inner_errors(value):
        if isinstance(inner, dict):
            return _read_error_object(value, inner)
        if isinstance(inner, str):
            return _read_error_text(value, inner)
    return _read_error_object(value, value) if _has_message(value) else None


def find_stream_error(value: Any, *, event_name: str = "") -> ProviderError | None:
    """Find the error in a stream event; None if it is an ordinary chunk."""
    if isinstance(value, list):
        first = value[0] if value else None
        return (
            find_stream_error(first, event_name=event_name)
            if isinstance(first, dict) and "error" in first
            else None
        )
    if not isinstance(value, dict):
        return None
    if value.get("error") or event_name == "error":
        return find_error(value) or ProviderError()
    if "choices" not in value and _is_flat_error(value):
        return find_error(value)
    return None


def find_hidden_error(value: Any) -> ProviderError | None:
    """Find the error in an answer with a success status; None if there is none."""
    if isinstance(value, dict) and _has_answer(value.get("choices")):
        return None
    value = _failed_choice(value) or value
    error = find_error(value)
    failed = isinstance(value, dict) and (value.get("error") or _is_flat_error(value))
    return error if error is not None and (error.message or failed) else None


def find_text_error(body: bytes, content_type: str) -> ProviderError:
    """Make an error of an answer that is not JSON: its text, unless it is an HTML page."""
    text = body[: 4 * MAX_MESSAGE_LENGTH].decode("utf-8", "replace").strip()
    if text.startswith("<") or "html" in content_type.lower() or "xml" in content_type.lower():
        return ProviderError()
    return ProviderError(message=_shorten_message(text))


def _failed_choice(value: Any) -> dict[str, Any] | None:
    """Return a choice that holds an error, if no error is next to the choices (OpenRouter)."""
    choices = value.get("choices") if isinstance(value, dict) and not value.get("error") else None
    found = (
        (choice for choice in choices if isinstance(choice, dict))
        if isinstance(choices, list)
        else iter(())
    )
    return next((choice for choice in found if choice.get("error")), None)


def _has_answer(choices: Any) -> bool:
    """Return whether a choice has content, so that an `error` next to it is not everything."""
    found = (
        [choice.get("message") for choice in choices if isinstance(choice, dict)]
        if isinstance(choices, list)
        else []
    )
    messages = [message for message in found if isinstance(message, dict)]
    return any(
        message.get(name) for message in messages for name in ("content", "tool_calls", "refusal")
    )


def _is_flat_error(value: dict[str, Any]) -> bool:
    failed = (
        value.get("object") == "error"
        or value.get("type") == "error"
        or value.get("success") is False
    )
    return failed or bool(value.get("errors") or value.get("detail") or _has_failed_response(value))


def _has_failed_response(value: dict[str, Any]) -> bool:
    response = value.get("base_resp")
    return isinstance(response, dict) and response.get("status_code") not in (0, None)


def _iter_inner_errors(value: dict[str, Any]) -> Iterator[Any]:
    """Yield the values of an object that may be the error."""
    if value.get("error"):
        yield value["error"]
    errors = value.get("errors")
    if isinstance(errors, list) and errors:
        yield errors[0]
    elif errors:
        yield errors
    if _has_failed_response(value):
        yield value["base_resp"]


def _has_message(value: dict[str, Any]) -> bool:
    return any(value.get(name) for name in _MESSAGE_FIELDS)


def _read_error_object(outer: dict[str, Any], inner: dict[str, Any]) -> ProviderError:
    message = next(
        (text for name in _MESSAGE_FIELDS if (text := _extract_message(inner.get(name)))), ""
    )
    as_is = (
        outer.get("error") is inner
        and isinstance(inner.get("message"), str)
        and not _is_page(inner["message"])
    )
    return ProviderError(
        message=message,
        type=_find_type(inner),
        param=_find_param(inner),
        code=_find_label(inner, _CODE_FIELDS),
        status=_find_status(inner) or _find_status(outer),
        openai_body=outer if as_is else None,
    )


def _read_error_text(outer: dict[str, Any], text: str) -> ProviderError:
    """Build an error from a text, preferring a message next to it."""
    # Spring sends `error: Bad Request` and a message.
    beside = next(
        (found for name in _MESSAGE_FIELDS if (found := _extract_message(outer.get(name)))), ""
    )
    return ProviderError(
        message=beside or _shorten_message(text),
        type=_find_type(outer),
        param=_find_param(outer),
        code=_find_label(outer, _CODE_FIELDS),
        status=_find_status(outer),
    )


def _extract_message(value: Any, nesting: int = 0) -> str:
    """Return the text of a message, which may be nested lists and objects."""
    if isinstance(value, str):
        return _shorten_message(value)
    if nesting >= _MAX_NESTING:
        return ""
    if isinstance(value, list):
        return _shorten_message(
            "; ".join(text for item in value[:10] if (text := _extract_message(item, nesting + 1)))
        )
    if isinstance(value, dict):
        text = next(
            (
                text
                for name in _MESSAGE_FIELDS
                if (text := _extract_message(value.get(name), nesting + 1))
            ),
            "",
        )
        where = _format_location(value)
        return f"{where}: {text}" if text and where else text
    return ""


def _format_location(value: dict[str, Any]) -> str:
    """Return FastAPI's location of a wrong field: ["body", "messages", 0] is messages.0."""
    location = value.get("loc")
    if not isinstance(location, list):
        return ""
    return ".".join(
        str(step) for step in location[:10] if isinstance(step, str | int) and step != "body"
    )


def _find_param(value: dict[str, Any]) -> str | None:
    if isinstance(value.get("param"), str):
        return str(value["param"])[:MAX_LABEL_LENGTH]
    for name in ("detail", "message"):
        details = value.get(name)
        if isinstance(details, dict):
            details = details.get("detail")
        if isinstance(details, list) and details and isinstance(details[0], dict):
            return _format_location(details[0])[:MAX_LABEL_LENGTH] or None
    return None


def _find_type(value: dict[str, Any]) -> str:
    found = (value.get(name) for name in ("type", "error_type", "status", "__type"))
    kinds = (
        kind
        for kind in found
        if isinstance(kind, str) and kind not in ("", "error", "about:blank") and not kind.isdigit()
    )
    return next(kinds, "")[:MAX_LABEL_LENGTH]


def _find_label(value: dict[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        found = value.get(name)
        if isinstance(found, str) and found:
            return found[:MAX_LABEL_LENGTH]
        if type(found) is int:
            return str(found)
    return None


def _find_status(value: dict[str, Any]) -> int | None:
    for name in _STATUS_FIELDS:
        found = value.get(name)
        if isinstance(found, str) and len(found) == 3 and found.isascii() and found.isdigit():
            found = int(found)
        if type(found) is int and 400 <= found <= 599:
            return found
    return None


def _is_page(text: str) -> bool:
    return text[:MAX_LABEL_LENGTH].lstrip().lower().startswith(_PAGE_BEGINNINGS)


def _shorten_message(text: str) -> str:
    """Shorten a message for display; "" for an HTML page."""
    text = text.strip()
    if _is_page(text):
        return ""
    return text if len(text) <= MAX_MESSAGE_LENGTH else text[: MAX_MESSAGE_LENGTH - 1] + "…"
