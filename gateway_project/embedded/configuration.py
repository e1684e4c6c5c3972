"""Service URLs and secrets of a checkout that runs without any configuration.

The URLs are those of the services that `gateway_project.embedded.supervisor` runs; secrets are
generated on first use. With DATABASE_URL and REDIS_URL set, the embedded services are not used.
"""

import hashlib
import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from gateway_project import environment

BASE_DIR, IS_CHECKOUT = environment.BASE_DIR, environment.IS_CHECKOUT
COMMAND_LINE = ".venv/bin/python manage.py" if IS_CHECKOUT else "tokenthrift"
EXACT_DATABASE = 1
# Nothing listens there; commands that use no service still need settings that load.
PLACEHOLDER_SERVICE = {"port": 1, "password": ""}


@dataclass(frozen=True, slots=True)
class ServiceUrls:
    """The URLs of the services.

    `redis` includes the database of the exact cache; `redis_semantic` is always database 0, the
    only one that Redis can search; `qdrant` may be empty.
    """

    database: str
    redis: str
    redis_semantic: str
    qdrant: str


def find_var_dir() -> Path:
    """Return the folder of everything this deployment writes: data, secrets, spools, logs.

    `var` of a checkout; of the wheel, by the XDG Base Directory Specification, `tokenthrift` in
    XDG_DATA_HOME or ~/.local/share.
    """
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    default = BASE_DIR / "var" if IS_CHECKOUT else data / "tokenthrift"
    return Path(environment.read_text("TOKENTHRIFT_VAR_DIR", str(default))).resolve()


def find_templates_dir() -> Path:
    """Return the folder of templates, styles and scripts."""
    return (BASE_DIR if IS_CHECKOUT else BASE_DIR / "gateway_project") / "templates"


def uses_embedded_services() -> bool:
    """Whether PostgreSQL and Redis are the embedded ones.

    Raises ImproperlyConfigured if only one of them is configured.
    """
    database, redis = environment.read_text("DATABASE_URL"), environment.read_text("REDIS_URL")
    if bool(database) != bool(redis):
        here, missing = ("DATABASE_URL", "REDIS_URL") if database else ("REDIS_URL", "DATABASE_URL")
        raise ImproperlyConfigured(
            f"{here} is set and {missing} is not: set both, or neither to use the "
            "embedded services."
        )
    return not database


def resolve_urls(var: Path) -> ServiceUrls:
    """Return the configured URLs, or those of the embedded services.

    Raises ImproperlyConfigured as `uses_embedded_services` does.
    """
    if uses_embedded_services():
        postgres, redis = load_service_credentials(var)
        database = f"postgres://tokenthrift:{postgres['password']}@127.0.0.1:{postgres['port']}/tokenthrift"
        exact = f"redis://:{redis['password']}@127.0.0.1:{redis['port']}"
    else:
        database, exact = environment.read_text("DATABASE_URL"), environment.read_text("REDIS_URL")
    semantic = environment.read_text("REDIS_SEMANTIC_URL", exact)
    return ServiceUrls(
        database,
        build_redis_url(exact),
        build_redis_url(semantic, 0),
        environment.read_text("QDRANT_URL"),
    )


def load_secret(var: Path, name: str) -> str:
    """Load a secret from the environment; with embedded services, generate it on first use.

    A generated one is stored in `secrets/` of the var folder. Raises ImproperlyConfigured if the
    database is configured and the secret is not.
    """
    value = environment.read_text(name)
    if value:
        return value
    if not uses_embedded_services():
        # The data of such a database outlive this folder, and so must their keys.
        raise ImproperlyConfigured(f"{name} or {name}_FILE must be set when DATABASE_URL is.")
    file = var / "secrets" / name.lower()
    if not file.exists():
        _store_secret(
            file,
            Fernet.generate_key().decode()
            if name == "TOKENTHRIFT_ENCRYPTION_KEYS"
            else secrets.token_urlsafe(48),
        )
    return file.read_text().strip()


def derive_instance(database_url: str) -> str:
    """Derive the prefix that separates deployments on one Redis."""
    if uses_embedded_services():
        return "tokenthrift"
    # From host, port and name of the database, so that all workers agree.
    parts = urlsplit(database_url)
    return f"tokenthrift-{hashlib.sha256(f'{parts.hostname}:{parts.port}{parts.path}'.encode()).hexdigest()[:8]}"  # noqa: E501 -- no blank to break it at


def build_redis_url(url: str, database: int | None = None) -> str:
    """Set the database of a Redis URL; None keeps the URL's own, or 1 if it has none.

    The database is the path of redis:// and rediss://, and the parameter `db` of unix://, as in
    redis-py.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    path = "" if parts.scheme == "unix" else parts.path.strip("/")
    named = query.pop("db", "") or path
    chosen = str(database) if database is not None else named or str(EXACT_DATABASE)
    if not chosen.isdigit():
        raise ImproperlyConfigured(f"REDIS_URL: {chosen!r} is not a database number.")
    if parts.scheme == "unix":
        return f"unix://{parts.netloc}{parts.path}?{urlencode(query | {'db': chosen}, safe='/:')}"
    return parts._replace(path=f"/{chosen}", query=urlencode(query, safe="/:")).geturl()


def load_service_credentials(var: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Load port and password of the embedded PostgreSQL and Redis."""
    try:
        known = json.loads((var / "services.json").read_text())
    except OSError:
        return PLACEHOLDER_SERVICE, PLACEHOLDER_SERVICE
    return known["postgres"], known["redis"]


def _store_secret(file: Path, value: str) -> None:
    """Write a secret once, readable by its owner only."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.parent.chmod(0o700)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.touch(0o600)
    draft.write_text(value)
    # If two processes race, one wins and both read the same secret.
    with suppress(FileExistsError):
        os.link(draft, file)
    draft.unlink()
