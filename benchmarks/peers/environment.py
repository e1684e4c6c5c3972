"""Each peer in an environment of its own under `var/peers/`, installed once."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from demo.workspace import ROOT

FOLDER = ROOT / "var" / "peers"
SECONDS = 900.0


class InstallError(Exception):
    """A peer could not be installed, for example without a network. The message is one line."""


def ready(name: str, version: str, commands: Callable[[Path], Sequence[Sequence[str]]]) -> Path:
    """The folder with that version in it.

    What a broken installation left is removed first. Raises InstallError.
    """
    folder = FOLDER / name
    marker = folder / "installed"
    if marker.exists() and marker.read_text() == version:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for command in commands(folder):
        _run(name, command)
    marker.write_text(version)
    return folder


def _run(name: str, command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(f"{name} could not be installed: {error}") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise InstallError(f"{name} could not be installed: {' '.join(last)}")
