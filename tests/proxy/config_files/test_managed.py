"""What a file names says so, and may be locked for all but the file."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from pytest_django import Settings

from plans.access import PLATFORM_ADMIN
from plans.models import ManagedMark, ModelPrice, Plan, Tenant, VirtualKey
from proxy.models import Route, Upstream
from tests.proxy.config_files.test_apply import FILE, SECRET, apply, environment, file, read_state
from tests.support.management import Manager, refused
from tests.support.people import person, session

pytestmark = pytest.mark.django_db
__all__ = ["environment", "file"]  # fixtures of the other file
API = "/token-saving"
PATHS = (
    f"{API}/upstreams/openai",
    f"{API}/routes/smart/balanced",
    f"{API}/tenants/acme",
    f"{API}/keys/web?tenant=acme",
    f"{API}/plans/support-bot?tenant=acme",
    f"{API}/prices/openai/gpt-of-ours",
)


def list_marks() -> set[str]:
    return {str(mark.marked) for mark in ManagedMark.objects.all()}


@pytest.fixture
def boss(db: None) -> Client:
    return session(person("boss", PLATFORM_ADMIN))


def rows() -> list[Any]:
    return [
        Upstream.objects.get(),
        Route.objects.get(name="smart/balanced"),
        Tenant.objects.get(),
        VirtualKey.objects.get(),
        Plan.objects.get(name="support-bot"),
        ModelPrice.objects.get(),
    ]


def page_of(row: Any) -> str:
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/"


def test_each_object_says_which_file_it_is_from_when_and_by_whom(
    file: Path, boss: Client, platform: Manager
) -> None:
    apply(file)
    mark = ManagedMark.objects.first()
    assert mark is not None
    assert (mark.file, mark.source) == (str(file), str(file.absolute()))
    assert "account " in mark.applied_by
    for row in rows():
        page = boss.get(f"{page_of(row)}change/").content.decode()
        assert f"The configuration file {file} says what this is" in page, row
        assert "undone the next time the file is applied" in page
        listed = boss.get(f"/admin/{row._meta.app_label}/{row._meta.model_name}/")
        assert f'title="{file}">{file.name}<' in listed.content.decode()
    for path in PATHS:
        managed = platform.call("GET", path).json()["managed"]
        assert (managed["file"], managed["locked"]) == (str(file), False), path


def test_a_second_time_no_mark_is_written_and_a_name_that_goes_is_released(file: Path) -> None:
    apply(file)
    before = list(ManagedMark.objects.order_by("pk").values_list("pk", "file", "applied_at"))
    assert len(before) == 8
    apply(file)
    assert (
        list(ManagedMark.objects.order_by("pk").values_list("pk", "file", "applied_at")) == before
    )
    apply(file, "--dry-run")
    file.write_text(FILE[: FILE.index("plans:\n  everywhere")])
    apply(file)
    assert list_marks() >= {"openai", "acme"}
    assert "everywhere" not in list_marks()
    assert "openai/gpt-of-ours" not in list_marks()
    assert Plan.objects.filter(name="everywhere").exists()


def test_a_dry_run_marks_nothing(file: Path) -> None:
    apply(file, "--dry-run")
    assert not ManagedMark.objects.exists()


def test_another_file_takes_over_what_it_names(file: Path, tmp_path: Path) -> None:
    apply(file)
    other = tmp_path / "other.yaml"
    other.write_text("plans: {everywhere: {preset: safe}}\n")
    apply(other)
    assert str(ManagedMark.objects.get(file=str(other)).marked) == "everywhere"
    assert ManagedMark.objects.count() == 8


def test_a_mark_goes_with_its_object(file: Path) -> None:
    apply(file)
    Route.objects.get(name="smart/off").delete()
    ModelPrice.objects.all().delete()
    assert not {"smart/off", "openai/gpt-of-ours"} & list_marks()


def test_what_is_locked_is_read_only_in_the_admin(
    file: Path, boss: Client, settings: Settings
) -> None:
    apply(file)
    settings.LOCK_MANAGED = True
    before = read_state()
    for row in rows():
        page = boss.get(f"{page_of(row)}change/")
        assert page.status_code == 200, row
        text = page.content.decode()
        assert f"The configuration file {file} says what this is" in text
        assert "It is read-only here" in text
        assert 'name="_save"' not in text
        assert boss.post(f"{page_of(row)}change/", {"name": "x"}).status_code == 403
        assert boss.post(f"{page_of(row)}delete/", {"post": "yes"}).status_code == 403
        assert boss.get(f"{page_of(row)}history/").status_code == 200
        boss.post(
            f"/admin/{row._meta.app_label}/{row._meta.model_name}/",
            {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"},
        )
    for action in ("pause_keys", "rotate_key", "revoke_keys"):
        reply = boss.post(
            "/admin/plans/virtualkey/",
            {
                "action": action,
                "_selected_action": [VirtualKey.objects.get().pk],
                "sure": "yes",
                "overlap": "0",
            },
            follow=True,
        )
        assert str(file) in reply.content.decode(), action
    boss.post(
        "/admin/plans/modelprice/",
        {"action": "follow_published", "_selected_action": [ModelPrice.objects.get().pk]},
    )
    assert read_state() == before


def test_a_locked_upstream_can_be_tested_and_shows_no_inputs_of_its_key(
    file: Path, boss: Client, settings: Settings
) -> None:
    apply(file)
    settings.LOCK_MANAGED = True
    page = boss.get(f"{page_of(Upstream.objects.get())}change/").content.decode()
    assert "Test connection" in page
    assert "Has a key" in page
    assert "Remove key" not in page


def test_what_is_locked_is_refused_over_the_api_with_the_files_name(
    file: Path, platform: Manager, settings: Settings
) -> None:
    apply(file)
    settings.LOCK_MANAGED = True
    before = read_state()
    bodies = {
        "openai": {"base_url": "https://api.openai.com/v1"},
        "balanced": {"upstream": "openai", "model": "other"},
        "gpt-of-ours": {"input": 1, "output": 1},
    }
    for path in PATHS:
        body = bodies.get(path.rpartition("/")[2], {})
        for method in ("PUT", "PATCH", "DELETE"):
            said = body or ({"mode": "off"} if "plans" in path else {})
            sent = None if method == "DELETE" else said
            reply = platform.call(method, path, sent)
            assert str(file) in refused(reply, 403, code="managed_object"), (method, path)
    rotated = platform.call("POST", f"{API}/keys/web/rotate?tenant=acme", {})
    refused(rotated, 403, code="managed_object")
    assert platform.call("GET", PATHS[0]).json()["managed"]["locked"] is True
    assert read_state() == before


def test_an_import_does_not_change_what_is_locked(
    file: Path, boss: Client, settings: Settings
) -> None:
    apply(file)
    settings.LOCK_MANAGED = True
    before = read_state()
    exported = boss.get("/admin/plans/plan/export/").content.decode()
    changed = exported.replace('"active"', '"off"')
    assert changed != exported
    reply = boss.post(
        "/admin/plans/plan/import/",
        {"content": changed, "format": "json", "_reason": "because"},
    )
    assert reply.status_code == 400
    assert str(file) in reply.content.decode()
    assert read_state() == before


def test_what_no_file_names_is_untouched_by_the_lock(
    file: Path, platform: Manager, settings: Settings
) -> None:
    apply(file)
    settings.LOCK_MANAGED = True
    assert platform.call("PUT", f"{API}/tenants/other", {}).status_code == 201
    assert platform.call("PATCH", f"{API}/tenants/other", {"name": "x"}).status_code == 200
    assert platform.call("DELETE", f"{API}/tenants/other").status_code == 204
    platform.create(plan_name="mine")
    assert platform.call("PATCH", f"{API}/plans/mine", {"mode": "off"}).status_code == 200


def test_the_file_goes_on_working_under_the_lock_and_so_does_revoking_a_leaked_key(
    file: Path, settings: Settings
) -> None:
    apply(file)
    settings.LOCK_MANAGED = True
    file.write_text(FILE.replace("gpt-4o-mini", "gpt-4.1").replace("ttl: 3600", "ttl: 60"))
    assert "Changed 2 objects" in apply(file)
    start = FILE.index("  smart/off")
    file.write_text(FILE.replace(FILE[start : FILE.index("tenants:")], ""))
    assert "- route smart/off" in apply(file, "--prune", "--yes")
    call_command("revoke_key", SECRET[:9])
    with pytest.raises(CommandError, match="Was revoked"):
        apply(file)


def test_an_export_says_nothing_of_marks(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    apply(file)
    call_command("export")
    exported = capsys.readouterr().out
    assert "managed" not in exported
    assert str(file) not in exported
    assert json.dumps(exported)
