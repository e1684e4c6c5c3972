"""How an upstream is reached is written in the admin and in files alike: corrected, encrypted,
never shown."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client

from proxy.core.config import TlsFiles
from proxy.models import SECRET_COLUMNS, Upstream
from proxy.upstreams.endpoints import build_endpoint
from proxy.upstreams.forms import KEY_DROPPED_MESSAGE, PROXY_DROPPED_MESSAGE
from proxy.upstreams.secrets import read_secrets
from proxy.upstreams.services import put_upstream, save_upstream
from tests.proxy.config_files.test_apply import apply, environment, refused
from tests.support.certificates import Authority

pytestmark = pytest.mark.django_db
__all__ = ["environment"]  # for the file of the other tests

ADD = "/admin/proxy/upstream/add/"
FORM = {
    "name": "own",
    "provider": "openai",
    "base_url": "",
    "connect_timeout": "5",
    "read_timeout": "600",
    "stream_usage": "on",
    "provider_key": "sk-canary",
}
SECRETS = ("sk-canary", "team-secret", "proxy-secret")
EXTRAS = {
    "headers": "X-Team: team-secret\nOpenAI-Organization: org-1",
    "query": "api-version=2024-10-21\nmode=a=b",
    "forwarded_headers": "OpenAI-Project\nanthropic-beta",
    "proxy_url": "http://me:proxy-secret@10.0.0.9:3128",
}


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def problems(reply: Any) -> dict[str, list[str]]:
    assert reply.status_code == 200, reply
    found: dict[str, list[str]] = reply.context["adminform"].form.errors
    return found


def change(upstream: Upstream) -> str:
    return f"/admin/proxy/upstream/{upstream.pk}/change/"


# In the admin.


@pytest.mark.parametrize(
    ("provider", "header"),
    [("openai", "bearer"), ("groq", "bearer"), ("azure", "api-key")],
)
def test_the_choice_of_a_provider_fills_in_address_and_header(
    staff: Client, provider: str, header: str
) -> None:
    base_url = "https://acme.openai.azure.com" if provider == "azure" else ""
    body = FORM | {"provider": provider, "base_url": base_url}
    assert staff.post(ADD, body).status_code == 302
    endpoint = build_endpoint(Upstream.objects.get())
    assert endpoint.key_header == header
    assert endpoint.base_url.startswith("https://")
    assert endpoint.base_url.endswith("/v1")


def test_a_server_of_ones_own_is_filled_in_and_asks_for_no_key(staff: Client) -> None:
    body = FORM | {"provider": "ollama", "provider_key": "", "without_key": "on"}
    assert "allow private" in problems(staff.post(ADD, body))["base_url"][0]
    assert staff.post(ADD, body | {"allow_private": "on"}).status_code == 302
    assert Upstream.objects.get().base_url == "http://127.0.0.1:11434/v1"


def test_what_was_corrected_is_told(staff: Client) -> None:
    body = FORM | {"base_url": "http://api.openai.com/v1/chat/completions"}
    page = staff.post(ADD, body, follow=True).content.decode()
    assert "Changed http:// to https://" in page
    assert "Took /chat/completions off the end" in page
    assert Upstream.objects.get().base_url == "https://api.openai.com/v1"


def test_headers_parameters_and_proxy_go_in_and_never_come_out(staff: Client) -> None:
    assert staff.post(ADD, FORM | EXTRAS).status_code == 302
    upstream = Upstream.objects.get()
    endpoint = build_endpoint(upstream)
    assert endpoint.headers == (("openai-organization", "org-1"), ("x-team", "team-secret"))
    assert endpoint.query == (("api-version", "2024-10-21"), ("mode", "a=b"))
    assert endpoint.forwarded_headers == {"openai-project", "anthropic-beta"}
    assert endpoint.proxy_url == EXTRAS["proxy_url"]
    assert not any(secret in repr(endpoint) for secret in SECRETS)
    for column in SECRET_COLUMNS:
        sealed = bytes(getattr(upstream, column))
        assert sealed
        assert not any(secret.encode() in sealed for secret in SECRETS)
    pages = [
        staff.get(address).content.decode()
        for address in (
            change(upstream),
            "/admin/proxy/upstream/",
            f"/admin/proxy/upstream/{upstream.pk}/history/",
        )
    ]
    assert not any(secret in page for page in pages for secret in SECRETS)
    assert "Present: openai-organization, x-team." in pages[0]
    assert "Present: 10.0.0.9:3128, with a password." in pages[0]


def test_an_empty_form_keeps_secrets_and_lines_change_single_ones(staff: Client) -> None:
    staff.post(ADD, FORM | EXTRAS)
    upstream = Upstream.objects.get()
    before = read_secrets(upstream)
    kept = FORM | {"provider_key": "", "base_url": upstream.base_url, "read_timeout": "60"}
    assert staff.post(change(upstream), kept).status_code == 302
    upstream.refresh_from_db()
    assert (read_secrets(upstream), upstream.read_timeout) == (before, 60)
    lines = {"headers": "x-TEAM:\nx-new: 1", "query": "mode=", "remove_proxy": "on"}
    assert staff.post(change(upstream), kept | lines).status_code == 302
    upstream.refresh_from_db()
    after = read_secrets(upstream)
    assert after.headers == {"openai-organization": "org-1", "x-new": "1"}
    assert after.query == {"api-version": "2024-10-21"}
    assert (after.key, after.proxy_url) == ("sk-canary", "")


@pytest.mark.parametrize(
    ("field", "typed", "told"),
    [
        ("headers", "Authorization: Bearer x", "set by the gateway"),
        ("headers", "no colon", "Line 1: must be a name, : and a value"),
        ("headers", "X-A: ü", "printable ASCII"),
        ("headers", "x" * 70_000, "At most"),
        ("query", "api-version", "Line 1: must be a name, = and a value"),
        ("forwarded_headers", "cookie", "never reaches a provider"),
        ("forwarded_headers", "a b", "no name of a header"),
        ("proxy_url", "socks5://me:proxy-secret@x:1", "address of an HTTP proxy"),
        ("ca_file", "/no/such/file.pem", "/no/such/file.pem cannot be read"),
        ("client_certificate_file", "own.pem", "absolute path"),
        ("client_key_file", "/etc/hostname", ""),
        ("base_url", "https://api.openai.com/v1?key=1", "Must not have a query"),
        ("provider_key", "sk-can ary", "in one piece"),
        ("key_header", "x-own", "Select a valid choice"),
    ],
)
def test_what_is_refused_names_its_field(staff: Client, field: str, typed: str, told: str) -> None:
    reply = staff.post(ADD, FORM | {field: typed})
    at = "client_certificate_file" if field == "client_key_file" else field
    assert told in problems(reply)[at][0]
    assert "proxy-secret" not in reply.content.decode()
    assert not Upstream.objects.exists()


def test_a_refused_form_says_which_secrets_must_be_typed_again(staff: Client) -> None:
    reply = staff.post(ADD, FORM | EXTRAS | {"read_timeout": "0"})
    found = problems(reply)
    assert found["provider_key"] == [KEY_DROPPED_MESSAGE]
    assert found["proxy_url"] == [PROXY_DROPPED_MESSAGE]
    page = reply.content.decode()
    assert "sk-canary" not in page
    assert "proxy-secret" not in page
    # Lines stay as typed: nobody could say again which they were.
    assert "X-Team: team-secret" in page


def test_plain_http_does_not_go_through_a_proxy(staff: Client) -> None:
    body = FORM | {"provider": "vllm", "base_url": "http://llm.example.com", **EXTRAS}
    assert "Only https://" in problems(staff.post(ADD, body))["proxy_url"][0]
    assert staff.post(ADD, body | {"allow_private": "on"}).status_code == 302


def test_the_form_offers_providers_and_keeps_one_that_it_does_not_know(staff: Client) -> None:
    page = staff.get(ADD).content.decode()
    titles = re.findall(r"<optgroup label=\"([^\"]+)\"", page)
    assert titles[:3] == ["Providers", "Servers of your own", "Others"]
    assert "LM Studio" in page
    own = put_upstream(name="own", base_url="https://llm.example.com/v1", provider="of-ours")
    kept = FORM | {"provider": "of-ours", "base_url": own.base_url}
    assert staff.post(change(own), kept).status_code == 302
    own.refresh_from_db()
    assert own.provider == "of-ours"


# In files.

FILE = """
upstreams:
  groq: {{provider: groq, key: "${{PROVIDER_KEY}}"}}
  azure:
    provider: azure
    base_url: "https://acme.openai.azure.com/openai/deployments/gpt/chat/completions?api-version=1"
    key: Bearer ${{PROVIDER_KEY}}
    headers: {{X-Team: "${{TEAM}}", OpenAI-Organization: org-1}}
    query: {{mode: "file:{folder}/mode"}}
    forward_headers: [OpenAI-Project]
    proxy: http://me:${{TEAM}}@10.0.0.9:3128
    ca_file: {folder}/own-ca.pem
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    Authority(tmp_path)
    (tmp_path / "mode").write_text("mode-secret\n")
    monkeypatch.setenv("TEAM", "team-secret")
    path = tmp_path / "gateway.yaml"
    path.write_text(FILE.format(folder=tmp_path))
    return path


def test_a_file_says_the_same_and_its_corrections_are_no_change_the_next_time(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = apply(file)
    assert told.endswith("Changed 2 objects; 0 as the file says.\n")
    groq = build_endpoint(Upstream.objects.get(name="groq"))
    assert groq.base_url == "https://api.groq.com/openai/v1"
    azure = build_endpoint(Upstream.objects.get(name="azure"))
    assert azure.base_url == "https://acme.openai.azure.com/openai/deployments/gpt"
    assert azure.query == (("api-version", "1"), ("mode", "mode-secret"))
    assert azure.headers == (("openai-organization", "org-1"), ("x-team", "team-secret"))
    assert (azure.proxy_url, azure.key_header) == ("http://me:team-secret@10.0.0.9:3128", "api-key")
    assert azure.tls_files == TlsFiles(ca=str(file.parent / "own-ca.pem"))
    assert azure.forwarded_headers == {"openai-project"}
    before = list(Upstream.objects.values())
    assert apply(file) == "Changed 0 objects; 2 as the file says.\n"
    assert list(Upstream.objects.values()) == before

    monkeypatch.setenv("TEAM", "other-secret")
    told = apply(file)
    assert "~ upstream azure: headers (hidden) -> (hidden), proxy (hidden) -> (hidden)" in told
    assert "secret" not in told


def test_an_export_names_variables_for_secret_values(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    apply(file)
    call_command("export")
    exported = capsys.readouterr().out
    assert "secret" not in exported
    assert "openai-organization: org-1" in exported
    assert "api-version: '1'" in exported
    for name, value in (
        ("UPSTREAM_AZURE_HEADERS_X_TEAM", "team-secret"),
        ("UPSTREAM_AZURE_QUERY_MODE", "mode-secret"),
        ("UPSTREAM_AZURE_PROXY", "http://me:team-secret@10.0.0.9:3128"),
        ("UPSTREAM_AZURE_KEY", "sk-canary-provider"),
        ("UPSTREAM_GROQ_KEY", "sk-canary-provider"),
    ):
        assert f"${{{name}}}" in exported
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PROVIDER_KEY", "sk-canary-provider")
    apply(file)
    file.write_text(exported)
    assert apply(file, "--prune") == "Changed 0 objects; 2 as the file says.\n"


def test_what_a_file_gets_wrong_is_named_by_path(file: Path) -> None:
    file.write_text(
        """
upstreams:
  a: {headers: {Cookie: x}, forward_headers: [host], proxy: "x"}
  b: {headers: {x-a: 1}, key_header: own}
  c: {provider: of-ours}
  d: {base_url: https://api.openai.com/v1, ca_file: /no/such.pem, key: a b}
"""
    )
    told = refused(file)
    for said in (
        "3: upstreams.a.headers: Cookie is set by the gateway",
        "3: upstreams.a.forward_headers: host of a client",
        "3: upstreams.a.proxy: Must be the address",
        "4: upstreams.b.headers: Must be a mapping of names to texts",
        "4: upstreams.b.key_header: Must be one of: bearer",
        "5: upstreams.c: base_url: Is needed",
        "6: upstreams.d.ca_file: /no/such.pem cannot be read",
        "6: upstreams.d.key: The provider key holds a blank",
    ):
        assert said in told


# What is stored.


def test_keys_are_rotated_with_all_other_secrets(settings: Any) -> None:
    from cryptography.fernet import Fernet

    own = save_upstream(
        Upstream(name="own", base_url="https://llm.example.com/v1"),
        headers={"x-team": "a"},
        proxy_url="http://proxy:3128",
    )
    old, new = settings.ENCRYPTION_KEYS[0], Fernet.generate_key().decode()
    digest = build_endpoint(own).extras_digest
    settings.ENCRYPTION_KEYS = [new, old]
    call_command("rotate_encryption_keys")
    settings.ENCRYPTION_KEYS = [new]
    own.refresh_from_db()
    assert read_secrets(own).headers == {"x-team": "a"}
    assert read_secrets(own).proxy_url == "http://proxy:3128"
    assert build_endpoint(own).extras_digest == digest  # answers stay valid


def test_a_secret_that_nobody_can_decrypt_stays_until_it_is_replaced(settings: Any) -> None:
    from cryptography.fernet import Fernet

    own = Upstream(name="own", base_url="https://llm.example.com/v1")
    save_upstream(own, provider_key="sk-1", headers={"x-team": "a"})
    sealed = bytes(own.encrypted_headers)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    from plans.records import compute_row_version

    save_upstream(own, provider_key="sk-2", read_version=compute_row_version(own))
    own.refresh_from_db()
    assert bytes(own.encrypted_headers) == sealed
    save_upstream(own, headers={}, read_version=compute_row_version(own))
    own.refresh_from_db()
    assert read_secrets(own).headers == {}
    assert read_secrets(own).key == "sk-2"


def test_a_service_refuses_with_all_fields_at_fault() -> None:
    upstream = Upstream(name="own", base_url="ftp://x", ca_file="own.pem")
    with pytest.raises(ValidationError) as caught:
        save_upstream(upstream, headers={"host": "x"}, query={"": "x"}, proxy_url="x")
    assert set(caught.value.message_dict) == {
        "base_url",
        "ca_file",
        "headers",
        "query",
        "proxy_url",
    }
    assert json.dumps(list(Upstream.objects.values("name"))) == "[]"
