"""Install sections of requirements.lock into the environment of the Python that runs this:
`python -m deploy.install gateway embedded`; without a section, all of them.

uv (a package of the lock) downloads and unpacks in parallel, in a tenth of pip's time; where it
fails, pip does the same. Either accepts only files with a hash in the lock. Standard library alone:
nothing else is there yet.
"""

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from deploy.trim import trim_packages

LOCK: Final = Path(__file__).resolve().parents[1] / "requirements.lock"
SECTION_MARK: Final = "# Section: "
BY_HASH: Final = ("--require-hashes", "--no-deps", "--only-binary", ":all:")
PIP: Final = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--quiet")
INSTALL_TIMEOUT_SECONDS: Final = 1800
# uv does not read pip's configuration: where packages come from, and by which certificates.
UV_NAMES: Final = {
    "index-url": "UV_DEFAULT_INDEX",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}


def select_sections(lock: str, names: Collection[str]) -> str:
    """Return the lines of the named sections; all for none. Raises ValueError for another name."""
    found = dict(_split_sections(lock))
    if unknown := [name for name in names if name not in found]:
        raise ValueError(
            f"requirements.lock has no section {', '.join(unknown)}; accepted: {', '.join(found)}"
        )
    return "".join(found[name] for name in names or found)


def _split_sections(lock: str) -> Iterator[tuple[str, str]]:
    for part in re.split(rf"^(?={SECTION_MARK})", lock, flags=re.MULTILINE)[1:]:
        yield part.removeprefix(SECTION_MARK).split(maxsplit=1)[0], part


def select_package(lock: str, name: str) -> str:
    """Return the lines of one package. Raises LookupError."""
    found = re.search(rf"^{name}==.*\n(?:    .*\n)*", lock, flags=re.MULTILINE)
    if not found:
        raise LookupError(name)
    return found[0]


def translate_pip_settings(listed: str) -> dict[str, str]:
    """Return what `pip config list` says, as environment variables of uv."""
    settings = re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", listed, re.MULTILINE)
    return {UV_NAMES[name]: value for name, value in settings if name in UV_NAMES}


def install_by_uv(wanted: Path, lock: str, scratch: Path) -> bool:
    """Install the file of requirements; False if uv cannot be had or fails."""
    try:
        uv = _find_uv(lock, scratch)
        listed = subprocess.run(  # noqa: S603
            [*PIP, "config", "list"], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        subprocess.run(  # noqa: S603
            [uv, "pip", "install", "--quiet", *BY_HASH, "--python", sys.executable, "-r", wanted],
            env=translate_pip_settings(listed)
            | os.environ
            # Beside the environment, so that files are moved, not copied; gone afterwards.
            | {"UV_CACHE_DIR": str(scratch / "cache"), "UV_NO_CONFIG": "1"},
            check=True,
            timeout=INSTALL_TIMEOUT_SECONDS,
        )
    except (OSError, LookupError, subprocess.SubprocessError) as error:
        sys.stdout.write(
            f"uv cannot install here ({type(error).__name__}): pip does it, which takes longer.\n"
        )
        return False
    return True


def _find_uv(lock: str, scratch: Path) -> Path:
    """Return uv's program: the environment's own, or one that is fetched into `scratch`."""
    installed = Path(sysconfig.get_path("scripts")) / "uv"
    if installed.is_file():
        return installed
    (scratch / "uv.lock").write_text(select_package(lock, "uv"))
    install_by_pip(scratch / "uv.lock", "--target", str(scratch / "uv"))
    return scratch / "uv" / "bin" / "uv"


def install_by_pip(wanted: Path, *options: str) -> None:
    """Install the file of requirements. Raises subprocess.SubprocessError."""
    subprocess.run(  # noqa: S603
        [*PIP, "install", "--no-compile", *BY_HASH, *options, "-r", wanted],
        check=True,
        timeout=INSTALL_TIMEOUT_SECONDS,
    )


def main(sections: Collection[str]) -> None:
    """Install, then delete what nothing here uses. Exits with pip's message when it fails."""
    lock = LOCK.read_text()
    try:
        selected = select_sections(lock, sections)
        with tempfile.TemporaryDirectory(prefix=".install-", dir=sys.prefix) as folder:
            wanted = Path(folder) / "wanted.lock"
            wanted.write_text(selected)
            if not install_by_uv(wanted, lock, Path(folder)):
                install_by_pip(wanted)
    except (ValueError, subprocess.SubprocessError) as error:
        sys.exit(f"install: {error}")
    trim_packages(Path(sysconfig.get_path("purelib")))


if __name__ == "__main__":
    main(sys.argv[1:])
