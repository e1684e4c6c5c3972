"""What is exported is what `apply` reads, and an editor knows it by its schema."""

import json
import secrets
from datetime import timedelta
from io import StringIO
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from plans import key_rotation, key_secrets, services
from plans.models import Tenant
from proxy.config_files.json_schema import build_config_schema
from proxy.config_files.reader import read_config_files
from tests.proxy.config_files.test_apply import FILE, PROVIDER_KEY, SECRET, apply, environment

ROOT = Path(__file__).parents[3]
SCHEMA = ROOT / "docs" / "config.schema.json"

__all__ = ["environment"]  # for the file of the other tests


def print_of(command: str) -> str:
    out = StringIO()
    call_command(command, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_an_export_applies_without_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gateway.yaml"
    paused = FILE.replace("${WEB_KEY}\n", "${WEB_KEY}\n        paused: true\n")
    file.write_text(paused.replace("name: Acme Inc", "name: Acme $${HOME} Straße"))
    apply(file)
    assert Tenant.objects.get().name == "Acme ${HOME} Straße"
    exported = print_of("export")
    assert PROVIDER_KEY not in exported
    assert SECRET not in exported
    assert "key: ${UPSTREAM_OPENAI_KEY}" in exported
    assert "paused: true" in exported
    file.write_text(exported)
    monkeypatch.setenv("UPSTREAM_OPENAI_KEY", PROVIDER_KEY)
    monkeypatch.setenv("VIRTUAL_KEY_ACME_WEB", SECRET)
    assert apply(file, "--prune") == "Changed 0 objects; 8 as the file says.\n"
    jsonschema.validate(read_config_files(file).values, build_config_schema())


@pytest.mark.django_db
def test_a_key_made_elsewhere_is_exported_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(FILE.replace("secret: ${WEB_KEY}", f'secret_sha256: "{"a" * 64}"'))
    apply(file)
    exported = print_of("export")
    assert "secret_sha256: ${VIRTUAL_KEY_ACME_WEB_SHA256}" in exported
    file.write_text(exported)
    monkeypatch.setenv("UPSTREAM_OPENAI_KEY", PROVIDER_KEY)
    monkeypatch.setenv("VIRTUAL_KEY_ACME_WEB_SHA256", "a" * 64)
    assert apply(file, "--prune") == "Changed 0 objects; 8 as the file says.\n"
    jsonschema.validate(read_config_files(file).values, build_config_schema())


@pytest.mark.django_db
def test_two_keys_of_one_name_cannot_be_exported() -> None:
    acme = Tenant.objects.create(slug="acme")
    for _ in range(2):
        services.issue_virtual_key(tenant=acme, name="web")
    with pytest.raises(CommandError, match="acme has 2 live keys named web"):
        print_of("export")


@pytest.mark.django_db
def test_a_former_secret_of_a_rotated_key_is_not_exported() -> None:
    acme = Tenant.objects.create(slug="acme")
    key, _ = services.issue_virtual_key(tenant=acme, name="web")
    key_rotation.rotate_key(key, overlap=timedelta(hours=1))
    assert print_of("export").count("VIRTUAL_KEY_ACME_WEB") == 1


@pytest.mark.django_db
def test_an_empty_gateway_exports_empty_sections(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(print_of("export"))
    assert apply(file) == "Changed 0 objects; 0 as the file says.\n"


def test_the_schema_in_the_docs_is_that_of_the_code() -> None:
    assert json.loads(SCHEMA.read_text()) == build_config_schema(), (
        "run `manage.py config_schema > docs/config.schema.json`"
    )
    assert json.loads(print_of("config_schema")) == build_config_schema()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("read_timeout", "read_timout"),
        ("ttl: 3600", "ttl: -1"),
        ("preset: safe", "preset: sane"),
        ("upstream: openai\n", "upstrem: openai\n"),
        ("prices:", "costs:"),
    ],
)
def test_an_editor_marks_what_apply_refuses(before: str, after: str, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(FILE)
    jsonschema.validate(read_config_files(file).values, build_config_schema())
    file.write_text(FILE.replace(before, after))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(read_config_files(file).values, build_config_schema())


def test_a_new_secret_is_one_that_a_file_may_name() -> None:
    secret = print_of("new_secret").strip()
    assert key_secrets.is_well_formed(secret, key_secrets.VIRTUAL_KEY_KIND)
    assert secret != print_of("new_secret").strip() != secrets.token_urlsafe()
