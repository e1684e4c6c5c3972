"""What goes to the log and what must never: one line per record on standard output, secrets blotted out."""

import logging
import re
from typing import Any

_SECRET = re.compile(
    r"(?P<head>\b(?:tta?|sk|pk)-)[A-Za-z0-9_-]{8,}"  # our keys, and the shape most providers use
    r"|(?P<bearer>\bbearer\s+)[^\s'\",]+"
    r"|(?P<address>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s/@]+(?=@)",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text with API keys, bearer tokens and passwords inside addresses replaced by `***`."""
    return _SECRET.sub(lambda match: f"{match[match.lastgroup or 0]}***", text)


class RedactingFormatter(logging.Formatter):
    """Redacts the finished line, the traceback included: a filter on the record would see neither its arguments nor its exception."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def config(level: str) -> dict[str, Any]:
    """Django's LOGGING. Access lines are uvicorn's and stay off: the ledger holds a row for every request."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": "gateway_project.logs.RedactingFormatter",
                "format": "{asctime} {levelname} {name} {message}",
                "style": "{",
            }
        },
        "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "line"}},
        "root": {"handlers": ["out"], "level": level},
        "loggers": {
            "django": {"handlers": [], "level": level},  # without this Django adds handlers of its own, which do not redact
            "django.server": {"handlers": [], "level": level, "propagate": True},
            "uvicorn": {"handlers": [], "level": level, "propagate": True},
            "uvicorn.access": {"handlers": [], "propagate": False},
            "httpx": {"level": "WARNING"},
            "axes": {"level": "WARNING"},
            "psycopg": {"level": "ERROR"},  # a line for every connection that an outage refuses; ours say it once
        },
    }
