"""The gateway below a path of a host: by its setting, and by the header of a trusted proxy.

What a real proxy makes of it is in tests/deploy/test_proxies.py.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from gateway_project.embedded import configuration
from tests.support.gateways import ROUTE, Gateway, running_gateway
from tests.support.upstream import MockUpstream

PREFIX = "/llm"
FORMS = {"left": PREFIX, "stripped": ""}  # what a proxy makes of the path


@pytest.fixture(scope="module")
def below(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("prefix")
    with running_gateway(upstream, folder, TOKENTHRIFT_PATH_PREFIX=f"{PREFIX}/") as running:
        yield running


@pytest.fixture(params=["setting", "header"])
def front(request: pytest.FixtureRequest, below: Gateway, gateway: Gateway) -> Any:
    """A gateway, and the headers with which a proxy says the prefix."""
    return (below, {}) if request.param == "setting" else (gateway, {"x-forwarded-prefix": PREFIX})


@pytest.fixture(params=FORMS)
def client(request: pytest.FixtureRequest, front: Any) -> Iterator[httpx.Client]:
    gateway, headers = front
    base = f"{gateway.url}{FORMS[request.param]}"
    with httpx.Client(base_url=base, headers=headers, timeout=60) as opened:
        yield opened


@pytest.fixture
def key(front: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {front[0].virtual_key}"}


@pytest.fixture
def admin_key(front: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {front[0].admin_key}"}


def test_chat_and_models_are_served(client: httpx.Client, key: dict[str, str]) -> None:
    body = {"model": ROUTE, "messages": [{"role": "user", "content": "How do I pay?"}]}
    answer = client.post("/v1/chat/completions", json=body, headers=key)
    assert answer.json()["choices"][0]["message"]["content"]
    streamed = client.post("/v1/chat/completions", json=body | {"stream": True}, headers=key)
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert client.get("/v1/models", headers=key).json()["data"][0]["id"] == ROUTE
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/", "/llm/dashboard/"),
        ("", "/llm/dashboard/"),
        ("/admin", "/llm/admin/"),
        ("/favicon.ico", "/llm/static/dashboard-icon.svg"),
        ("/dashboard/", "/llm/admin/login/?next=/llm/dashboard/"),
        ("/admin/", "/llm/admin/login/?next=/llm/admin/"),
    ],
)
def test_redirects_stay_below_it(client: httpx.Client, path: str, target: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["location"]) == (302, target)


def test_a_person_logs_in_and_every_link_cookie_and_file_is_below_it(
    client: httpx.Client, front: Any
) -> None:
    page = client.get("/admin/login/")
    token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    cookies = {"cookie": f"tokenthrift_csrf={page.cookies['tokenthrift_csrf']}"}
    form = {
        "username": "admin",
        "password": front[0].password,
        "csrfmiddlewaretoken": token,
    }
    done = client.post("/admin/login/", data=form, headers=cookies | {"referer": front[0].url})
    assert (done.status_code, done.headers["location"]) == (302, "/llm/dashboard")
    for cookie in [*page.headers.get_list("set-cookie"), *done.headers.get_list("set-cookie")]:
        assert "; Path=/llm;" in cookie
    cookies["cookie"] += f"; tokenthrift_session={done.cookies['tokenthrift_session']}"
    for path in ("/dashboard/", "/admin/", "/admin/plans/plan/", "/api/docs"):
        shown = client.get(path, headers=cookies)
        assert shown.status_code == 200
        links = set(re.findall(r'(?:href|src|action|data-live)="(/[^"]*)"', shown.text))
        assert len(links) > 2, path
        assert {link for link in links if not f"{link}/".startswith(f"{PREFIX}/")} == set()
        for file in [link for link in links if link.startswith(f"{PREFIX}/static/")][:3]:
            assert client.get(file.removeprefix(PREFIX)).status_code == 200


def test_the_api_says_addresses_below_it(client: httpx.Client, admin_key: dict[str, str]) -> None:
    for suffix, kind in (("json", "json"), ("yaml", "yaml")):
        schema = client.get("/api/schema", params={"format": suffix}).text
        assert PREFIX in (
            json.loads(schema)["servers"][0]["url"]
            if kind == "json"
            else schema[schema.index("servers:") :][:40]
        )
    name = f"below-{abs(hash((client.base_url, client.headers.get('x-forwarded-prefix'))))}"
    made = client.post("/token-saving/plans", json={"plan_name": name}, headers=admin_key)
    assert made.headers["location"] == f"{PREFIX}/token-saving/plans/{name}"


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/files", "/v1", "/no/such/thing"])
def test_a_wrong_address_names_the_right_one(
    client: httpx.Client, path: str, key: dict[str, str]
) -> None:
    headers = key | {"host": "127.0.0.1", "x-forwarded-proto": "https"}
    answer = client.post(path, json={}, headers=headers)
    assert answer.status_code == 404
    assert "https://127.0.0.1/llm/v1:" in answer.json()["error"]["message"]


def test_the_socket_answers_below_it_and_nowhere_else(front: Any) -> None:
    gateway, headers = front
    at = gateway.url.replace("http", "ws")
    session = gateway.manage("shell", "--verbosity", "0", "-c", SESSION).splitlines()[-1]
    headers = headers | {"cookie": f"tokenthrift_session={session}", "origin": gateway.url}
    for path in ("/llm/dashboard/live", "/dashboard/live"):
        with connect(f"{at}{path}", additional_headers=headers, proxy=None) as socket:
            assert "number" in json.loads(socket.recv(timeout=5))
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"{at}/other/dashboard/live", additional_headers=headers, proxy=None)


def test_what_is_printed_is_what_a_browser_opens(below: Gateway) -> None:
    printed = below.log.read_text()
    assert f"{below.url}/llm/v1 (OpenAI SDK: base_url), {below.url}/llm/admin/" in printed
    assert httpx.get(f"{below.url}/llm/admin/", follow_redirects=True).status_code == 200


def test_the_header_changes_nothing_where_the_operator_has_spoken(below: Gateway) -> None:
    for value in ("/other", "//evil.example"):
        answer = httpx.get(f"{below.url}/", headers={"x-forwarded-prefix": value})
        assert answer.headers["location"] == "/llm/dashboard/"


@pytest.mark.parametrize("value", ["/llm", "//evil.example"])
def test_a_strangers_header_changes_nothing(gateway: Gateway, value: str) -> None:
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(base_url=gateway.url, transport=transport) as stranger:
        with_it, without = (
            stranger.get("/", headers=headers) for headers in ({"x-forwarded-prefix": value}, {})
        )
        assert with_it.headers["location"] == without.headers["location"] == "/dashboard/"
        lost = stranger.post("/llm/v1/models", json={}, headers={"x-forwarded-prefix": value})
        assert f"{gateway.url}/v1:" in lost.json()["error"]["message"]


@pytest.mark.parametrize("value", ["//evil.example", "https://evil.example", "/admin", "/a/../b"])
@pytest.mark.parametrize("path", ["/", "/admin/login/", "/v1/models", "/static/admin.css"])
def test_a_hostile_value_of_a_trusted_proxy_is_refused(
    gateway: Gateway, path: str, value: str
) -> None:
    answer = httpx.get(f"{gateway.url}{path}", headers={"x-forwarded-prefix": value})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("X-Forwarded-Prefix is ")
    assert "evil" not in answer.text
    assert answer.headers["x-request-id"]


def test_a_prefix_that_is_none_keeps_the_gateway_from_starting(gateway: Gateway) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "serve", "--port", "0"],
        cwd=configuration.BASE_DIR,
        env=gateway.environment | {"TOKENTHRIFT_PATH_PREFIX": "https://example.org/llm"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "tokenthrift.E012" in done.stderr
    assert "such as /llm" in done.stderr


SESSION = """
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
user, store = User.objects.get(username="admin"), SessionStore()
store.update({"_auth_user_id": str(user.pk), "_auth_user_hash": user.get_session_auth_hash(),
              "_auth_user_backend": "django.contrib.auth.backends.ModelBackend"})
store.save()
print(store.session_key)
"""
