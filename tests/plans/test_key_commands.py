"""Keys from the command line: printed once, kept hashed, revoked by prefix."""

import io

import pytest
from django.core.management import CommandError, call_command

from plans import key_secrets, selectors
from plans.models import AdminKey, Tenant, VirtualKey
from tests.support.management import PLANS, Manager

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.fixture
def acme(db: None) -> Tenant:
    return Tenant.objects.create(slug="acme")


def test_a_new_admin_key_is_the_only_line_of_stdout_and_opens_the_api() -> None:
    out, err = run("create_admin_key", "--name", "ops")
    secret = out.strip()
    assert out == f"{secret}\n"
    assert key_secrets.is_well_formed(secret, key_secrets.ADMIN_KEY_KIND)
    assert secret not in err
    assert "platform" in err
    assert Manager(secret).call("GET", PLANS).status_code == 200
    row = AdminKey.objects.get()
    assert (row.name, row.tenant) == ("ops", None)


def test_an_admin_key_may_belong_to_one_tenant(acme: Tenant) -> None:
    out, _ = run("create_admin_key", "--tenant", "acme")
    assert Manager(out.strip()).create()["tenant"] == "acme"
    with pytest.raises(CommandError, match="no tenant 'nobody'"):
        run("create_admin_key", "--tenant", "nobody")


def test_a_new_virtual_key_is_printed_once_and_kept_hashed(acme: Tenant) -> None:
    out, err = run(
        "create_key",
        "--tenant",
        "acme",
        "--name",
        "sdk",
        "--route",
        "smart/balanced",
        "--route",
        "cheap",
    )
    secret = out.strip()
    assert key_secrets.is_well_formed(secret, key_secrets.VIRTUAL_KEY_KIND)
    assert secret not in err
    row = VirtualKey.objects.get()
    assert (row.name, row.routes, row.prefix) == ("sdk", ["smart/balanced", "cheap"], secret[:9])
    assert secret not in " ".join(str(value) for value in vars(row).values())
    assert list(selectors.load_live_keys()) == [row.digest]


def test_a_missing_tenant_is_made_only_when_asked() -> None:
    with pytest.raises(CommandError, match="--create-tenant"):
        run("create_key", "--tenant", "new")
    run("create_key", "--tenant", "new", "--create-tenant")
    assert Tenant.objects.get().slug == "new"
    with pytest.raises(CommandError, match="slug"):
        run("create_key", "--tenant", "no slug", "--create-tenant")


def test_a_key_is_revoked_by_its_prefix(acme: Tenant) -> None:
    secret = run("create_key", "--tenant", "acme")[0].strip()
    out, _ = run("revoke_key", secret[:9])
    assert "Revoked" in out
    assert selectors.load_live_keys() == {}
    with pytest.raises(CommandError, match="No live key"):
        run("revoke_key", secret[:9])


def test_an_ambiguous_prefix_revokes_nothing(acme: Tenant) -> None:
    run("create_key", "--tenant", "acme")
    run("create_key", "--tenant", "acme")
    VirtualKey.objects.update(prefix="tt-AAAAAA")
    with pytest.raises(CommandError, match="2 keys"):
        run("revoke_key", "tt-AAAAAA")
    assert len(selectors.load_live_keys()) == 2
