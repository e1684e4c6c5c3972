"""Log format: one line per record on standard output, text or JSON, secrets redacted."""

import logging
import re
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from django.core.exceptions import ImproperlyConfigured

from proxy.core.request_ids import REQUEST_ID

FORMATTERS: Final = {"text": "RedactingFormatter", "json": "JsonFormatter"}

_SECRET_PATTERN = re.compile(
    r"(?P<head>\b(?:tt[ap]?|sk|pk)-)[A-Za-z0-9_-]{8,}"  # our keys, and the shape most providers use
    r"|(?P<bearer>\bbearer\s+)[^\s'\",]+"
    r"|(?P<address>\b[a-z][a-z0-9+.-]{0,30}://[^\s:/@]*:)[^\s/@]+(?=@)",
    re.IGNORECASE,
)
# Every match contains one of these; looking for them takes a hundredth of the time.
_SECRET_SIGNS = ("tt-", "tta-", "ttp-", "sk-", "pk-", "bearer", "://")


def redact_secrets(text: str) -> str:
    """Replace API keys, bearer tokens and passwords in URLs by `***`."""
    lower = text.lower()
    if not any(sign in lower for sign in _SECRET_SIGNS):
        return text
    return _SECRET_PATTERN.sub(lambda match: f"{match[match.lastgroup or 0]}***", text)


class RedactingFormatter(logging.Formatter):
    """Redacts the formatted line, the traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        # A filter on the record would see neither its arguments nor its exception.
        return redact_secrets(super().format(record))


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object: time (RFC 3339), level, logger, message.

    `request_id` if the line is about a request, `exception`, and as `decision` the event of a
    finished request.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact_secrets(record.getMessage()),
        }
        decision = getattr(record, "decision", None)
        if request_id := decision.event_id if decision is not None else REQUEST_ID.get():
            line["request_id"] = request_id
        if record.exc_info:
            line["exception"] = redact_secrets(self.formatException(record.exc_info))
        if decision is not None:
            line["decision"] = orjson.Fragment(
                redact_secrets(orjson.dumps(decision, default=str).decode())
            )
        try:
            return orjson.dumps(line).decode()
        except TypeError:  # half a surrogate pair in a message
            return orjson.dumps(
                line | {"message": line["message"].encode("utf-8", "replace").decode()}
            ).decode()


def build_logging_config(level: str, form: str = "text") -> dict[str, Any]:
    """Build Django's LOGGING. Raises ImproperlyConfigured for an unknown format."""
    if form not in FORMATTERS:
        raise ImproperlyConfigured(
            f"TOKENTHRIFT_LOG_FORMAT must be one of {', '.join(FORMATTERS)}, got {form!r}."
        )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": f"gateway_project.logs.{FORMATTERS[form]}",
                "format": "{asctime} {levelname} {name} {message}",
                "style": "{",
            }
        },
        "handlers": {
            "out": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "line",
            }
        },
        "root": {"handlers": ["out"], "level": level},
        "loggers": {
            # Without this Django adds handlers of its own, which do not redact.
            "django": {"handlers": [], "level": level},
            "django.server": {"handlers": [], "level": level, "propagate": True},
            "uvicorn": {"handlers": [], "level": level, "propagate": True},
            # No access log: the ledger has a row for every request.
            "uvicorn.access": {"handlers": [], "propagate": False},
            "httpx": {"level": "WARNING"},
            "axes": {"level": "WARNING"},
            # It logs every connection refused during an outage; our code logs the outage once.
            "psycopg": {"level": "ERROR"},
        },
    }
