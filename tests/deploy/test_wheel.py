"""The wheel, installed into an environment of its own, serves a chat: `tokenthrift serve` with
PostgreSQL, Redis and a file of configuration, and its data where a person's data go."""

import os
import secrets
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from deploy.lock import ROOT, requirements
from gateway_project.embedded.processes import find_free_port
from proxy.engines.inference.exported_models import MINILM_INT8_ID
from tests.support.upstream import MockUpstream

FILES: Final = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "manage.py")
SHIPPED: Final = (
    "gateway_project",
    "accounts",
    "plans",
    "proxy",
    "stats",
    "demo",
    "mock_providers",
)
MAX_WHEEL_BYTES: Final = 40_000_000
START_SECONDS: Final = 120.0
FILE: Final = """
upstreams:
  local: {{base_url: "{base_url}", allow_private: true, key: sk-of-the-file}}
routes:
  local/model: {{upstream: local, model: gpt-4o-mini}}
tenants:
  acme:
    default_plan: faq
    keys:
      web: {{secret: "${{WEB_SECRET}}", routes: [local/model]}}
plans:
  faq: {{cache: {{ttl: 60}}}}
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make wheel` does, from a copy: setuptools writes beside what it builds."""
    source: Path = tmp_path_factory.mktemp("source") / "tree"
    source.mkdir()
    for name in (*SHIPPED, "templates"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (*ROOT.glob("requirements*.txt"), *(ROOT / name for name in FILES)):
        shutil.copy(path, source)
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run(
        [*command, "--wheel-dir", source / "dist", source],
        check=True,
        capture_output=True,
        timeout=300,
    )
    (made,) = (source / "dist").iterdir()
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; what it asks for is this one's, as its pins are the same."""
    folder: Path = tmp_path_factory.mktemp("installed") / "env"
    venv.create(folder)
    python = folder / "bin" / "python"
    command: list[str | Path] = [
        Path(sysconfig.get_path("scripts")) / "uv",
        "pip",
        "install",
        "--no-deps",
    ]
    subprocess.run(
        [*command, "--offline", "--python", python, wheel], check=True, capture_output=True
    )
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = folder / "lib" / version / "site-packages"
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


@pytest.fixture
def home() -> Iterator[Path]:
    """A home folder that services run by root can enter, and enough room for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="tokenthrift-home-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def plain(home: Path, **given: str) -> dict[str, str]:
    """The environment of somebody who has set nothing but these."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return kept | {"HOME": str(home)} | given


def run(installed: Path, environment: Mapping[str, str], *words: str) -> str:
    done = subprocess.run(
        [installed / "bin" / "tokenthrift", *words],
        cwd=environment["HOME"],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


@contextmanager
def serving(installed: Path, environment: Mapping[str, str], port: int) -> Iterator[Path]:
    """`tokenthrift serve`, ready; its log."""
    log = Path(environment["HOME"]) / "serve.log"
    command: list[str | Path] = [
        installed / "bin" / "tokenthrift",
        "serve",
        "--port",
        str(port),
        "--workers",
        "2",
    ]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=environment["HOME"], env=dict(environment), stdout=output, stderr=output
        ) as server,
    ):
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _is_ready(port):
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield log
        finally:
            server.terminate()
            server.wait(60)


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_the_wheel_holds_every_module_page_and_the_model_and_asks_for_the_runtime(
    wheel: Path,
) -> None:
    assert wheel.stat().st_size < MAX_WHEEL_BYTES
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        (metadata,) = (name for name in held if name.endswith(".dist-info/METADATA"))
        asked = [
            line.removeprefix("Requires-Dist: ")
            for line in archive.read(metadata).decode().splitlines()
            if line.startswith("Requires-Dist: ")
        ]
    tracked = subprocess.run(
        ["git", "ls-files", *SHIPPED, "templates"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    expected = {name for name in tracked if (ROOT / name).is_file() and not name.endswith(".md")}
    assert {
        f"gateway_project/{name}" if name.startswith("templates/") else name for name in expected
    } <= held
    assert f"proxy/engines/embedders/shipped/{MINILM_INT8_ID}/model.onnx" in held
    assert not any(name.startswith(("tests/", "evaluation/", "benchmarks/")) for name in held)
    runtime = requirements((ROOT / "requirements-runtime.txt").read_text())
    found = {one.name: one for one in map(Requirement, asked) if "extra" not in str(one.marker)}
    assert {name.lower().replace("_", "-") for name in found} == runtime.keys()
    assert all(str(one.specifier).startswith("==") for one in found.values())
    assert "torch" in {one.name for one in map(Requirement, asked) if "embedders" in str(one)}


def test_the_version_is_the_products(wheel: Path) -> None:
    from gateway_project import settings

    assert Version(wheel.name.split("-")[1]) == Version(settings.VERSION)


def test_installed_into_an_environment_it_serves_a_chat(
    installed: Path, home: Path, upstream: MockUpstream
) -> None:
    (home / "gateway.yaml").write_text(FILE.format(base_url=upstream.base_url))
    secret = f"tt-{secrets.token_urlsafe(32)}"
    environment = plain(
        home, TOKENTHRIFT_CONFIG=str(home / "gateway.yaml"), WEB_SECRET=secret, TZ="UTC"
    )
    port = find_free_port()
    body = {
        "model": "local/model",
        "messages": [{"role": "user", "content": "How do I reset my password?"}],
    }
    with (
        serving(installed, environment, port) as log,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        headers = {"authorization": f"Bearer {secret}"}
        found = []
        for _ in range(2):
            reply = client.post("/v1/chat/completions", json=body, headers=headers)
            assert reply.status_code == 200, reply.text
            found.append(reply.headers["x-tokenthrift-cache"])
        assert found == ["miss", "exact"]
        assert len(upstream.requests) == 1
        for page in ("/admin/login/", "/api/docs", "/static/admin/css/base.css"):
            assert client.get(page).status_code == 200, page
        said = log.read_text()
    data = home / ".local" / "share" / "tokenthrift"
    assert f"Data: {data}" in said
    assert "In another shell: tokenthrift create_admin_key" in said
    assert {"models", "postgres", "redis", "secrets"} <= {path.name for path in data.iterdir()}
    assert not list(installed.rglob("var"))


def test_every_command_of_manage_py_is_one_of_tokenthrift(installed: Path, home: Path) -> None:
    named = run(installed, plain(home), "help", "--commands").split()
    assert {"serve", "apply", "create_key", "reembed", "check"} <= set(named)
    assert "Unknown command: 'sevre'. Did you mean serve?" in run(installed, plain(home), "sevre")
    elsewhere = plain(home, TOKENTHRIFT_VAR_DIR=str(home / "elsewhere"))
    assert "ready in" not in run(installed, elsewhere, "prepare_embedder")
    assert f"ready in {home}/elsewhere/models" in run(installed, elsewhere, "prepare_embedder")
