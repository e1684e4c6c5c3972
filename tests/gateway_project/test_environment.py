"""The environment: typed readers, secrets made or demanded, addresses,
and a list of variables that agrees with the code."""

import ast
import logging
import re
import stat
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from gateway_project import environment, logs
from gateway_project.embedded import configuration

ROOT = Path(__file__).resolve().parents[2]
READERS = {
    "read_text",
    "read_number",
    "read_integer",
    "read_flag",
    "read_smtp_url",
    "read_word_list",
    "load_secret",
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "DATABASE_URL",
        "REDIS_URL",
        "REDIS_SEMANTIC_URL",
        "TOKENTHRIFT_SECRET_KEY",
        "TOKENTHRIFT_ENCRYPTION_KEYS",
    ):
        monkeypatch.delenv(name, raising=False)


def _names_read() -> Iterator[str]:
    """The first words of every `environment.<reader>("NAME")`
    and `embedded.secret(var, "NAME")` of the project."""
    for path in [
        ROOT / "manage.py",
        *(
            file
            for app in ("gateway_project", "accounts", "plans", "proxy", "stats")
            for file in (ROOT / app).rglob("*.py")
        ),
    ]:
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            name = (
                called.attr
                if isinstance(called, ast.Attribute)
                else called.id
                if isinstance(called, ast.Name)
                else ""
            )
            if isinstance(node, ast.Call) and name in READERS:
                yield from (
                    str(word.value)
                    for word in node.args[:2]
                    if isinstance(word, ast.Constant)
                    and re.fullmatch(r"TOKENTHRIFT_\w+|\w+_URL", str(word.value))
                )


def _names_in_compose() -> set[str]:
    """What Compose itself puts in: arguments of the image's build and published ports,
    beside what it hands on to the code."""
    return set(re.findall(r"\$\{(TOKENTHRIFT_\w+)", (ROOT / "compose.yaml").read_text()))


def test_the_example_lists_every_variable_the_code_or_compose_reads_and_no_other() -> None:
    listed = re.findall(r"^#?([A-Z][A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted({*_names_read(), *_names_in_compose()})


def test_no_other_module_reads_the_environment_past_the_typed_readers() -> None:
    readers = [
        path.relative_to(ROOT).as_posix()
        for app in ("gateway_project", "accounts", "plans", "proxy", "stats")
        for path in (ROOT / app).rglob("*.py")
        if re.search(
            r"os\.(environ\[|environ\.get|getenv)\(?.{0,3}(TOKENTHRIFT|DATABASE_URL|REDIS)",
            path.read_text(),
        )
    ]
    assert readers == []


def test_a_file_gives_the_value_of_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("from a file\n")
    monkeypatch.setenv("TOKENTHRIFT_SECRET_KEY_FILE", str(tmp_path / "key"))
    assert environment.read_text("TOKENTHRIFT_SECRET_KEY") == "from a file"
    monkeypatch.setenv("TOKENTHRIFT_SECRET_KEY", "and directly")
    with pytest.raises(ImproperlyConfigured, match="both set"):
        environment.read_text("TOKENTHRIFT_SECRET_KEY")


@pytest.mark.parametrize("raw", ["twelve", "0", "70000", "80.5", "nan"])
def test_a_number_that_cannot_be_is_refused_by_name(
    raw: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENTHRIFT_PORT", raw)
    with pytest.raises(ImproperlyConfigured, match="TOKENTHRIFT_PORT"):
        environment.read_integer("TOKENTHRIFT_PORT", 8000, low=1, high=65535)


def test_a_flag_is_yes_or_no(monkeypatch: pytest.MonkeyPatch) -> None:
    for raw, value in (("yes", True), ("1", True), ("FALSE", False), ("off", False)):
        monkeypatch.setenv("TOKENTHRIFT_DEBUG", raw)
        assert environment.read_flag("TOKENTHRIFT_DEBUG") is value
    monkeypatch.setenv("TOKENTHRIFT_DEBUG", "perhaps")
    with pytest.raises(ImproperlyConfigured, match="yes or no"):
        environment.read_flag("TOKENTHRIFT_DEBUG")


def test_a_secret_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    first = configuration.load_secret(tmp_path, "TOKENTHRIFT_SECRET_KEY")
    assert len(first) >= 48
    assert configuration.load_secret(tmp_path, "TOKENTHRIFT_SECRET_KEY") == first
    assert stat.S_IMODE((tmp_path / "secrets" / "tokenthrift_secret_key").stat().st_mode) == 0o600
    Fernet(configuration.load_secret(tmp_path, "TOKENTHRIFT_ENCRYPTION_KEYS"))


def test_a_configured_database_demands_a_configured_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://host/name")
    monkeypatch.setenv("REDIS_URL", "redis://host")
    with pytest.raises(ImproperlyConfigured, match="TOKENTHRIFT_SECRET_KEY"):
        configuration.load_secret(tmp_path, "TOKENTHRIFT_SECRET_KEY")


def test_one_configured_service_without_the_other_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://host/name")
    with pytest.raises(ImproperlyConfigured, match="REDIS_URL is not"):
        configuration.resolve_urls(tmp_path)


@pytest.mark.parametrize(
    ("given", "exact", "semantic"),
    [
        ("redis://host", "redis://host/1", "redis://host/0"),
        ("redis://:word@host:7/3", "redis://:word@host:7/3", "redis://:word@host:7/0"),
        (
            "rediss://host/?ssl_cert_reqs=none",
            "rediss://host/1?ssl_cert_reqs=none",
            "rediss://host/0?ssl_cert_reqs=none",
        ),
        ("redis://host?db=5", "redis://host/5", "redis://host/0"),
        (
            "unix:///run/redis.sock?db=4",
            "unix:///run/redis.sock?db=4",
            "unix:///run/redis.sock?db=0",
        ),
        (
            "unix://:word@/run/redis.sock",
            "unix://:word@/run/redis.sock?db=1",
            "unix://:word@/run/redis.sock?db=0",
        ),
    ],
)
def test_exact_entries_get_the_named_database_and_semantic_ones_database_0(
    given: str, exact: str, semantic: str
) -> None:
    assert (configuration.build_redis_url(given), configuration.build_redis_url(given, 0)) == (
        exact,
        semantic,
    )


def test_no_key_or_password_reaches_the_log() -> None:
    key = "tt-" + "Ab3_" * 10
    line = logging.LogRecord(
        "x",
        logging.INFO,
        "",
        0,
        "key %s, Authorization: Bearer abc.def, %s",
        (key, "redis://:pass@host/1"),
        None,
    )
    try:
        raise ValueError(f"provider refused sk-proj-{key}")
    except ValueError as error:
        line.exc_info = (ValueError, error, error.__traceback__)
    written = logs.RedactingFormatter().format(line)
    assert "Ab3_" not in written
    assert "abc.def" not in written
    assert "pass@" not in written
    assert "provider refused sk-***" in written


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("", ("", 0, "", "", False, False)),
        (
            "smtp://me%40x.org:p%3Aw@mail.example.org",
            ("mail.example.org", 587, "me@x.org", "p:w", True, False),
        ),
        ("smtp://mail:25?tls=no", ("mail", 25, "", "", False, False)),
        ("smtps://mail", ("mail", 465, "", "", False, True)),
    ],
)
def test_a_mail_server_is_read_from_its_url(
    monkeypatch: pytest.MonkeyPatch, url: str, server: tuple[object, ...]
) -> None:
    monkeypatch.setenv("TOKENTHRIFT_SMTP_URL", url)
    assert astuple(environment.read_smtp_url("TOKENTHRIFT_SMTP_URL")) == server


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.org",
        "http://mail",
        "smtp://",
        "smtp://u:secret@mail:99999",
        "smtp://u:secret@mail?tls=maybe",
        "smtps://u:secret@mail?tls=no",
        "smtp://u:secret@mail?starttls=no",
    ],
)
def test_a_mail_server_that_cannot_be_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("TOKENTHRIFT_SMTP_URL", url)
    with pytest.raises(ImproperlyConfigured, match="TOKENTHRIFT_SMTP_URL") as refusal:
        environment.read_smtp_url("TOKENTHRIFT_SMTP_URL")
    assert "u:secret@mail" not in str(refusal.value)
