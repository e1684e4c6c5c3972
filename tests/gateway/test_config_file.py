"""A gateway that starts with a file serves what the file says, and takes its changes at once."""

import hashlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateways import PROMISED, Gateway, running_gateway
from tests.support.upstream import MockUpstream

SECRET = f"tt-{secrets.token_urlsafe(32)}"
FOREIGN = "sk-of-another-gateway"
FILE = """
upstreams:
  by-file: {{base_url: "{base_url}", allow_private: true, key: sk-of-the-file}}
routes:
  by-file/model: {{upstream: by-file, model: gpt-4o-mini}}
tenants:
  from-a-file:
    keys:
      web: {{secret: "${{WEB_SECRET}}", routes: [by-file/model]}}
      from-elsewhere: {{secret_sha256: "{foreign}", routes: [by-file/model]}}
plans:
  by-file: {{cache: {{backend: null, ttl: 60}}}}
"""


@pytest.fixture
def file(upstream: MockUpstream, tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    foreign = hashlib.sha256(FOREIGN.encode()).hexdigest()
    path.write_text(FILE.format(base_url=upstream.base_url, foreign=foreign))
    return path


@pytest.fixture
def gateway(
    upstream: MockUpstream, file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("by-file")
    with running_gateway(
        upstream, folder, TOKENTHRIFT_CONFIG=str(file), WEB_SECRET=SECRET
    ) as running:
        yield running


def chat(gateway: Gateway, secret: str = SECRET) -> tuple[int, str]:
    reply = gateway.chat(key=secret, model="by-file/model", token_saving_plan_id="by-file")
    return reply.status_code, reply.headers.get("x-tokenthrift-cache", "")


def test_what_the_file_says_is_served_and_its_changes_are_taken(
    gateway: Gateway, file: Path
) -> None:
    assert "+ key from-a-file/web" in gateway.log.read_text()
    assert SECRET not in gateway.log.read_text()
    assert chat(gateway) == (200, "miss")
    file.write_text(file.read_text().replace("${WEB_SECRET}", "${NEW_SECRET:-" + SECRET + "}"))
    assert "Changed 0 objects" in gateway.manage("apply", str(file))
    another = f"tt-{secrets.token_urlsafe(32)}"
    file.write_text(file.read_text().replace(SECRET, another))
    assert "- key from-a-file/web" in gateway.manage("apply", str(file))
    deadline = time.monotonic() + PROMISED + 3
    while chat(gateway, another)[0] != 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert chat(gateway, another)[0] == 200
    assert chat(gateway)[0] == 401


def test_a_key_made_elsewhere_works_unchanged_and_its_digest_is_none(gateway: Gateway) -> None:
    stored = hashlib.sha256(FOREIGN.encode()).hexdigest()
    assert chat(gateway, FOREIGN)[0] == 200
    for wrong in (stored, f"sha256:{stored}", FOREIGN + "x", "sk-" + "x" * 9_000):
        assert chat(gateway, wrong)[0] == 401
    assert FOREIGN not in gateway.log.read_text()
    assert stored not in gateway.log.read_text()
