"""Typed readers of environment variables (`TOKENTHRIFT_*` and the service URLs).

`NAME_FILE` names a file whose content, stripped, is the value of `NAME` (the convention of
container secrets).
"""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parents[1]
# Else the packages lie in site-packages, which is no place for data or settings.
IS_CHECKOUT = (BASE_DIR / "manage.py").is_file()


def load_env_file() -> None:
    """Load the file that TOKENTHRIFT_ENV_FILE names, or the `.env` of a checkout.

    The environment overrides it.
    """
    default = str(BASE_DIR / ".env") if IS_CHECKOUT else os.devnull
    environ.Env.read_env(read_text("TOKENTHRIFT_ENV_FILE", default))


def read_text(name: str, default: str = "") -> str:
    """Return the variable, or the content of the file that `<name>_FILE` names, or the default.

    Raises ImproperlyConfigured if both are set or the file cannot be read.
    """
    value, file = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if value and file:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set: keep one of them.")
    if not file:
        return value or default
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"{name}_FILE: {file} cannot be read ({error.strerror})."
        ) from error


def read_number(name: str, default: float, *, low: float, high: float) -> float:
    """Return the variable as a number within low..high. Raises ImproperlyConfigured otherwise."""
    raw = read_text(name, str(default))
    try:
        value = float(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a number, got {raw!r}.") from None
    if not low <= value <= high:
        raise ImproperlyConfigured(f"{name} must lie in {low:g}..{high:g}, got {raw}.")
    return value


def read_integer(name: str, default: int, *, low: int, high: int) -> int:
    """Return the variable as an integer within low..high. Raises ImproperlyConfigured otherwise."""
    value = read_number(name, default, low=low, high=high)
    if not value.is_integer():
        raise ImproperlyConfigured(f"{name} must be a whole number, got {value:g}.")
    return int(value)


def read_flag(name: str, default: bool = False) -> bool:
    """Return the variable as yes or no. Raises ImproperlyConfigured for anything else."""
    raw = read_text(name, "yes" if default else "no").lower()
    if raw in {"1", "true", "yes", "on"}:
        return True
    if raw in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} must be yes or no, got {raw!r}.")


def read_word_list(name: str, default: str = "") -> list[str]:
    """Split the variable at commas, dropping blanks."""
    return [word.strip() for word in read_text(name, default).split(",") if word.strip()]


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """A mail server; none if `host` is ""."""

    host: str = ""
    port: int = 0
    username: str = ""
    password: str = ""
    starttls: bool = False
    implicit_tls: bool = False

    def __repr__(self) -> str:
        return f"SmtpServer({self.host}:{self.port})"


def read_smtp_url(name: str) -> SmtpServer:
    """Return the server of smtp://user:password@host:587 (STARTTLS) or smtps://... (TLS at once).

    `smtp://host:25?tls=no` is for a server on the same machine. Raises ImproperlyConfigured for
    anything else; the message shows no password.
    """
    text = read_text(name)
    if not text:
        return SmtpServer()
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ImproperlyConfigured(f"{name} must have a port from 1 to 65535.") from None
    query = parse_qs(parts.query)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or query.keys() - {"tls"}:
        raise ImproperlyConfigured(
            f"{name} must be smtp://user:password@host:587 or smtps://user:password@host:465."
        )
    implicit = parts.scheme == "smtps"
    tls = query.get("tls", ["yes"])[-1]
    if tls not in {"yes", "no"} or (implicit and tls == "no"):
        raise ImproperlyConfigured(f"{name}: tls must be yes, or no with smtp://.")
    return SmtpServer(
        parts.hostname,
        port or (465 if implicit else 587),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        starttls=not implicit and tls == "yes",
        implicit_tls=implicit,
    )
