"""The dashboard's socket opens for pages of this very server, its port included."""

import pytest
from pytest_django import Settings

from stats.dashboard.socket_origin import is_own_origin


@pytest.fixture(autouse=True)
def hosts(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["gateway.example", "127.0.0.1", "[::1]"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://public.example:8443"]


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("https://gateway.example", "gateway.example"),
        ("http://gateway.example", "gateway.example"),
        ("https://gateway.example", "gateway.example:443"),
        ("https://gateway.example:443", "gateway.example"),
        ("https://GATEWAY.example", "gateway.example"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("https://public.example:8443", "gateway.example"),
    ],
)
def test_pages_of_ours_open_it(origin: str, host: str) -> None:
    assert is_own_origin(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:9000", "127.0.0.1:8000"),
        ("http://127.0.0.1", "127.0.0.1:8000"),
        ("http://127.0.0.1:8000", "127.0.0.1"),
        ("https://gateway.example:8443", "gateway.example"),
        ("https://evil.example", "gateway.example"),
        ("https://evil.example", "evil.example"),
        ("https://public.example", "gateway.example"),
        ("https://gateway.example.evil.example", "gateway.example"),
        ("https://user@gateway.example", "gateway.example"),
        ("https://gateway.example/path", "gateway.example"),
        ("null", "gateway.example"),
        ("", "gateway.example"),
        ("file://", "gateway.example"),
        ("https://gateway.example:x", "gateway.example"),
        ("https://[::1", "[::1"),
        ("chrome-extension://gateway.example", "gateway.example"),
    ],
)
def test_other_pages_do_not(origin: str, host: str) -> None:
    assert not is_own_origin(origin, host)
