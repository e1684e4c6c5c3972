"""Every test run has its own PostgreSQL and Redis, started here before Django reads its settings, gone when the run ends.

pytest-django reads the settings before any conftest when it finds DJANGO_SETTINGS_MODULE, so that is set here and nowhere else.
"""

import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as django_settings

from gateway_project import embedded, lease

if django_settings.configured or "DJANGO_SETTINGS_MODULE" in os.environ:
    pytest.exit("Unset DJANGO_SETTINGS_MODULE: the tests choose their own services before the settings are read.", returncode=4)

for name in [name for name in os.environ if name.startswith("TOKENTHRIFT_") or name.removesuffix("_FILE").endswith("_URL")]:
    del os.environ[name]
VAR = Path(tempfile.mkdtemp(prefix="tokenthrift-tests-"))
VAR.chmod(0o755)  # run by root, the services use another account
lease.take(VAR, durable=False)
URLS = embedded.urls(VAR)
REDIS_URL = URLS.redis.removesuffix("/1")
os.environ |= {
    "DATABASE_URL": URLS.database,
    "REDIS_URL": REDIS_URL,
    "TOKENTHRIFT_VAR_DIR": str(VAR),
    "TOKENTHRIFT_SECRET_KEY": "a secret key of the tests, long enough to pass the checks 0123456789",
    "TOKENTHRIFT_KEY_PEPPER": "a pepper of the tests",
    "TOKENTHRIFT_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    "TOKENTHRIFT_ENV_FILE": os.devnull,
    "TOKENTHRIFT_INSTANCE": "tests",  # the processes that tests start share the cache with the tests
    "DJANGO_SETTINGS_MODULE": "gateway_project.settings",
}

import django  # noqa: E402 - the settings are read from here on

django.setup()


def pytest_unconfigure() -> None:
    lease.release(VAR)
    shutil.rmtree(VAR, ignore_errors=True)


@pytest.fixture(scope="session")
def database_url(django_db_setup: None) -> str:
    """The migrated test database, for processes that a test starts and for plain psycopg connections."""
    return urlsplit(URLS.database)._replace(path=f"/{django_settings.DATABASES['default']['NAME']}").geturl()


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The test Redis with its search module, without a database number."""
    return REDIS_URL
