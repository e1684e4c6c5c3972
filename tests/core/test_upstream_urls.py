"""Which upstream addresses are taken, and how disguised ones are seen through."""

import pytest

from proxy.core.upstream_urls import check_base_url, is_private

PRIVATE = [
    "127.0.0.1", "127.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "0", "0x", "0.0.0.0", "127.0.1", "10.0.0.1",
    "172.16.0.1", "192.168.1.1", "169.254.169.254", "0xa9fea9fe", "100.64.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255",
    "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "64:ff9b::7f00:1", "2002:7f00:1::",
    "::127.0.0.1", "::7f00:1", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8", "::8.8.8.8", "64:ff9b:1::7f00:1", "64:ff9b:1::808:808",
    "fec0::1", "feff::1", "2002:a00:1::", "2002:7f00::", "2001:0:808:808:0:0:80ff:fffe", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1",
    "2606:4700::5efe:7f00:1", "2606:4700::200:5efe:10.0.0.1", "fe80::1%eth0", "100::1", "2001:2::1", "2001:db8::1", "3fff::1", "5f00::1",
    "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "192.0.0.9", "198.19.255.255", "100.127.0.1", "240.0.0.1", "0177.1",
    "239.1.1.1", "127.1", "00000177.0x0.0.1", "ff0e::1",
    "localhost", "LOCALHOST", "app.localhost", "redis", "db.local", "metadata.google.internal", "x.lan", "nas.home.arpa",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8", "0x08.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::",
    "100.63.255.255", "198.17.0.1", "api.openai.com", "1.example.com",
    "08.8.8.8.example",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_private_hosts_are_seen_through_every_spelling(host: str) -> None:
    assert is_private(host)
    shown = f"[{host}]" if ":" in host else host
    if "%" in host:
        return  # a resolver's answer: no URL may have it
    for url in (
        f"http://{shown}/v1",
        f"https://{shown}:8443/v1",
        f"http://{shown}./v1" if ":" not in host else f"http://{shown}",
    ):
        with pytest.raises(ValueError, match="loopback, private or local"):
            check_base_url(url, allow_private=False)
        assert check_base_url(url, allow_private=True) == url


@pytest.mark.parametrize("host", PUBLIC)
def test_public_hosts_are_taken(host: str) -> None:
    assert not is_private(host)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://api.example.com", "https://"),
        ("file:///etc/passwd", "https://"),
        ("api.example.com/v1", "https://"),
        ("", "https://"),
        ("https://user:secret@api.example.com", "user name"),
        ("https://user@api.example.com", "user name"),
        ("https://@127.0.0.1", "user name"),
        ("https://api.example.com/v1?key=1", "query"),
        ("https://api.example.com/v1?", "query"),
        ("https://api.example.com/v1#x", "fragment"),
        ("https://", "host"),
        ("https:///v1", "host"),
        ("https://api.example.com:99999", "valid URL"),
        ("https://api.example.com:x", "valid URL"),
        ("https://[::1", "valid URL"),
        ("https://api.example.com\\@127.0.0.1", "plain ASCII"),
        ("https://api example.com", "plain ASCII"),
        ("https://api.example.com\n", "plain ASCII"),
        ("https://１２７.0.0.1", "plain ASCII"),  # full-width digits
        ("https://%31%32%37.0.0.1", "%"),
        ("https://[fe80::1%25eth0]/", "%"),
        ("https://api.openai.com/v1/chat/completions", "before /chat/completions"),
    ],
)
def test_what_is_not_a_plain_base_url_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_base_url(url, allow_private=True)


def test_slashes_at_the_end_are_taken_off() -> None:
    assert (
        check_base_url("https://api.openai.com/v1//", allow_private=False)
        == "https://api.openai.com/v1"
    )
