"""By which proxy an upstream is reached: its own, else the environment's, but for exemptions."""

import pytest

from proxy.core.outbound_proxy import (
    EnvironmentProxies,
    check_proxied_address,
    check_proxy_url,
    read_environment_proxies,
)

PROXY = "http://proxy.example.com:3128"


@pytest.mark.parametrize(
    ("rules", "url", "is_used"),
    [
        ("", "https://api.openai.com/v1", True),
        ("*", "https://api.openai.com/v1", False),
        ("openai.com", "https://api.openai.com/v1", False),
        (".openai.com", "https://api.openai.com/v1", False),
        ("*.openai.com", "https://api.openai.com/v1", False),
        ("penai.com", "https://api.openai.com/v1", True),
        ("API.OpenAI.com", "https://api.openai.com./v1", False),
        ("api.openai.com:443", "https://api.openai.com/v1", False),
        ("api.openai.com:8443", "https://api.openai.com/v1", True),
        ("10.0.0.0/8", "https://10.1.2.3/v1", False),
        ("10.0.0.0/8", "https://11.1.2.3/v1", True),
        ("fd00::/8", "https://[fd00::1]/v1", False),
        ("::1, 10.0.0.1", "https://10.0.0.1/v1", False),
        ("10.0.0.1/99, .", "https://10.0.0.1/v1", True),
        ("", "https://localhost:8000/v1", False),
        ("", "https://127.0.0.1:8000/v1", False),
        ("", "https://[::1]:8000/v1", False),
    ],
)
def test_no_proxy_exempts_names_networks_and_ports(rules: str, url: str, is_used: bool) -> None:
    found = read_environment_proxies({"HTTPS_PROXY": PROXY, "NO_PROXY": rules})
    assert found.find_proxy(url) == (PROXY if is_used else "")


def test_each_scheme_has_its_variable_and_small_letters_win() -> None:
    found = read_environment_proxies(
        {"https_proxy": PROXY, "HTTPS_PROXY": "http://other:1", "HTTP_PROXY": "plain:8080"}
    )
    assert found.find_proxy("https://a.example/v1") == PROXY
    assert found.find_proxy("http://a.example/v1") == "http://plain:8080"
    assert EnvironmentProxies().find_proxy("https://a.example/v1") == ""
    with pytest.raises(ValueError, match="HTTPS_PROXY: Must be the address of an HTTP proxy"):
        read_environment_proxies({"HTTPS_PROXY": "socks5://me:secret@proxy:1080"})


@pytest.mark.parametrize(
    "url", [PROXY, f"{PROXY}/", "http://me:p%40ss@10.0.0.1:3128", "http://[fd00::1]:3128"]
)
def test_the_address_of_a_proxy_may_be_private_and_hold_a_password(url: str) -> None:
    assert check_proxy_url(f" {url} ") == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "proxy:3128",
        "socks5://me:secret@proxy:1080",
        "http://me:secret@",
        "http://me:secret@proxy:x",
        "http://me:secret@proxy:3128/path",
        "http://me:secret@proxy:3128?x",
        "http://me:sec ret@proxy:3128",
        "http://me:secret@proxy\r\nx-y: z",
        "http://me:sécret@proxy",
        "http://me:secret@" + "a" * 5000,
    ],
)
def test_what_is_no_proxy_is_refused_and_its_password_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"^Must ") as caught:
        check_proxy_url(url)
    assert "secret" not in str(caught.value)


def test_plain_http_is_for_servers_of_ones_own() -> None:
    check_proxied_address("https://api.openai.com/v1", allow_private=False)
    check_proxied_address("http://gpu-1/v1", allow_private=True)
    with pytest.raises(ValueError, match="Only https://"):
        check_proxied_address("http://api.example.com/v1", allow_private=False)
