"""Every test process has its own PostgreSQL and Redis,
started here before Django reads its settings, gone when the process ends.

pytest-django reads the settings before any conftest when it finds DJANGO_SETTINGS_MODULE, so that
is set here and nowhere else. With `-n 2` pytest-xdist starts two such processes, and this file runs
in them as in a run without it. The process that hands out the tests reads this file too: it
prepares the models once for both and gives them the environment as it was.
"""

import os
import secrets
import shutil
import signal
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as django_settings

from gateway_project.embedded import configuration, lease

if django_settings.configured or "DJANGO_SETTINGS_MODULE" in os.environ:
    pytest.exit(
        (
            "Unset DJANGO_SETTINGS_MODULE: the tests choose their own services before the "
            "settings are read."
        ),
        returncode=4,
    )

GIVEN = dict(os.environ)
# `make quick` runs what needs no service: none is started, and a test that asks for one is refused.
WITHOUT_SERVICES = os.environ.get("SERVICES") == "none"
NEED_SERVICES = {"database_url", "db", "gateway", "redis_url", "transactional_db"}
# A shell's background job, and execnet: what tests start would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, lambda *_: None)
# A real Qdrant server for the contract of the semantic backends; the rest of the tests does
# without.
QDRANT = (os.environ.get("QDRANT_URL", ""), os.environ.get("TOKENTHRIFT_QDRANT_API_KEY", ""))
for name in [
    name
    for name in os.environ
    if name.startswith("TOKENTHRIFT_") or name.removesuffix("_FILE").endswith("_URL")
]:
    del os.environ[name]
VAR = Path(tempfile.mkdtemp(prefix="tokenthrift-tests-"))
VAR.chmod(0o755)  # run by root, the services use another account
MODELS = configuration.BASE_DIR / "var" / "models"  # exported once, not once a run
MODELS.mkdir(parents=True, exist_ok=True)
(VAR / "models").symlink_to(MODELS)
if WITHOUT_SERVICES:
    os.environ |= {
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1",
    }
else:
    lease.acquire_lease(VAR, durable=False)
URLS = configuration.resolve_urls(VAR)
REDIS_URL = URLS.redis.removesuffix("/1")
os.environ |= {
    "DATABASE_URL": URLS.database,
    "REDIS_URL": REDIS_URL,
    "TOKENTHRIFT_VAR_DIR": str(VAR),
    "TOKENTHRIFT_SECRET_KEY": secrets.token_urlsafe(48),
    "TOKENTHRIFT_KEY_PEPPER": secrets.token_urlsafe(48),
    "TOKENTHRIFT_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    "TOKENTHRIFT_ENV_FILE": os.devnull,
    # The processes that tests start share the cache with the tests.
    "TOKENTHRIFT_INSTANCE": "tests",
    "DJANGO_SETTINGS_MODULE": "gateway_project.settings",
}

import django  # noqa: E402 - the settings are read from here on
from django.core.management import call_command  # noqa: E402

django.setup()

from tests.support.fixtures import acme, gateway, platform, rival, upstream  # noqa: E402
from tests.support.process_logs import (  # noqa: E402
    pytest_runtest_logstart,
    pytest_runtest_makereport,
)

__all__ = [  # fixtures and hooks of every test
    "acme",
    "gateway",
    "platform",
    "pytest_runtest_logstart",
    "pytest_runtest_makereport",
    "rival",
    "upstream",
]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Before pytest-xdist starts its processes: what they inherit says nothing
    of this one's services."""
    call_command("prepare_embedder")
    os.environ.clear()
    os.environ.update(GIVEN)


def pytest_runtest_setup(item: pytest.Item) -> None:
    asked = NEED_SERVICES.intersection(getattr(item, "fixturenames", ()))
    if WITHOUT_SERVICES and (asked or item.get_closest_marker("django_db")):
        pytest.fail(
            "`make quick` starts no services: take this file out of its list, or leave the "
            f"database and Redis alone ({', '.join(sorted(asked)) or 'django_db'}).",
            pytrace=False,
        )


def pytest_unconfigure() -> None:
    lease.release_lease(VAR)
    shutil.rmtree(VAR, ignore_errors=True)


@pytest.fixture(scope="session")
def database_url(django_db_setup: None) -> str:
    """The migrated test database, for processes that a test starts
    and for plain psycopg connections."""
    return (
        urlsplit(URLS.database)
        ._replace(path=f"/{django_settings.DATABASES['default']['NAME']}")
        .geturl()
    )


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The test Redis with its search module, without a database number."""
    return REDIS_URL


@pytest.fixture(scope="session", autouse=True)  # a plan that is to verify is refused before
def models() -> Path:
    """The folder of exported embedding models, with the default one in it."""
    call_command("prepare_embedder")
    return MODELS
