"""systemd takes the unit as it is, and finds little to fear in it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway_project.settings import BASE_DIR, SHUTDOWN_SECONDS

UNIT = BASE_DIR / "deploy" / "tokenthrift.service"
ANALYZE = shutil.which("systemd-analyze")
# Of ten, systemd's own measure; a unit without any protection has 9.6.
MOST_EXPOSURE = 3.0

pytestmark = pytest.mark.skipif(ANALYZE is None, reason="no systemd on this machine")


def analyze(*arguments: str) -> str:
    done = subprocess.run(
        [str(ANALYZE), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """With the project where it is here, since systemd looks for what it would start."""
    copy = tmp_path / UNIT.name
    text = UNIT.read_text().replace("/opt/tokenthrift/.venv/bin/python", "/bin/sh")
    copy.write_text(text.replace("/opt/tokenthrift", str(BASE_DIR)))
    return copy


def test_systemd_understands_every_line(unit: Path) -> None:
    assert analyze("verify", "--man=no", str(unit)) == ""


def test_the_service_can_do_little_besides_its_work(unit: Path) -> None:
    told = analyze("security", "--offline=yes", f"--threshold={int(MOST_EXPOSURE * 10)}", str(unit))
    assert float(re.findall(r"Overall exposure level for \S+: ([\d.]+)", told)[0]) <= MOST_EXPOSURE


def test_it_is_killed_only_after_its_own_time_to_end() -> None:
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    assert int(seconds) >= SHUTDOWN_SECONDS + 10
