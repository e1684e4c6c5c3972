"""`manage.py check` says what is wrong with how people are to log in."""

import pytest
from pytest_django import Settings

from gateway_project.checks.sign_on import check_local_login, check_oidc

RIGHT = {
    "OIDC_ISSUER": "https://login.example.org/realms/main",
    "OIDC_CLIENT_ID": "gateway",
    "OIDC_ROLES": '{"CN=a,OU=b": "platform-admin", "x": "tenant-admin@acme", "y": "viewer"}',
}


@pytest.fixture
def right(settings: Settings) -> Settings:
    for name, value in RIGHT.items():
        setattr(settings, name, value)
    return settings


def test_complete_settings_pass(right: Settings) -> None:
    assert check_oidc(None) == []
    assert check_local_login(None) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OIDC_ISSUER", "", "OIDC_CLIENT_ID is set without TOKENTHRIFT_OIDC_ISSUER"),
        ("OIDC_ISSUER", "http://login.example.org", "must be an https:// address"),
        ("OIDC_ISSUER", "login.example.org", "must be an https:// address"),
        ("OIDC_CLIENT_ID", "", "CLIENT_ID is empty"),
        ("OIDC_ROLES", "", "gives nobody a role"),
        ("OIDC_ROLES", "a=viewer", "is not JSON"),
        ("OIDC_ROLES", '["viewer"]', "must be a JSON object"),
        ("OIDC_ROLES", '{"a": "superuser"}', "'a' must be given platform-admin"),
        ("OIDC_ROLES", '{"a": "tenant-admin"}', "'a' must be given"),
        ("OIDC_ROLES", '{"a": "platform-admin@acme"}', "'a' must be given"),
        ("OIDC_ROLES", '{"a": "viewer@"}', "'a' must be given"),
        ("OIDC_ROLES", '{"a": ["viewer"]}', "'a' must be given"),
    ],
)
def test_what_is_wrong_is_named(right: Settings, name: str, value: str, said: str) -> None:
    setattr(right, name, value)
    found = check_oidc(None)
    assert said in " ".join(str(each.msg) for each in found)
    assert {each.id for each in found} == {"tokenthrift.E030"}


def test_somebody_has_to_be_able_to_log_in(right: Settings) -> None:
    right.LOCAL_LOGIN = False
    assert [each.id for each in check_local_login(None)] == ["tokenthrift.W032"]
    right.BREAK_GLASS = ["rescue"]
    assert check_local_login(None) == []
    right.OIDC_ISSUER = ""
    assert [each.id for each in check_local_login(None)] == ["tokenthrift.E031"]
