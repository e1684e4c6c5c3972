"""The lock names what is pinned, no more and no less, each with hashes that pip accepts;
what installs, installs by it: a part of it, by uv or by pip."""

import re
import subprocess
import sys
from typing import Final

import pytest

from deploy.install import BY_HASH, select_sections
from deploy.lock import (
    FILES_ONLY,
    LOCK,
    ROOT,
    SECTIONS,
    UNLOCKED,
    differences,
    hashes,
    needed,
    requirements,
    split_sections,
    stale,
)

TEXT: Final = LOCK.read_text()
CONSTRAINTS: Final = (ROOT / "constraints.txt").read_text()
PINNED: Final = requirements(CONSTRAINTS)
ASKED: Final = (
    "requirements-runtime.txt",
    "requirements-export.txt",
    "requirements-demo.txt",
    "requirements-embedders.txt",
    "requirements-qdrant.txt",
    "requirements-otel.txt",
    "requirements-dev.txt",
)
IDNA: Final = "".join(re.findall(r"^idna==.*\n(?:    .*\n)+", TEXT, flags=re.MULTILINE))


def test_the_lock_is_the_constraints_with_hashes() -> None:
    assert list(differences(TEXT, CONSTRAINTS)) == []
    assert hashes(TEXT).keys() == PINNED.keys() - UNLOCKED.keys()
    assert "async-timeout==5.0.1 ; python_full_version < '3.11.3'" in TEXT


@pytest.mark.parametrize(
    ("lock", "found"),
    [
        (TEXT.replace(IDNA, ""), "idna is not in the lock"),
        (TEXT.replace(IDNA, IDNA.splitlines()[0].removesuffix(" \\") + "\n"), "idna has no hash"),
        (TEXT.replace(IDNA, re.sub(r"sha256:\w{4}", "sha256:", IDNA)), "idna has no hash"),
        (TEXT.replace(IDNA, IDNA.replace("sha256", "md5")), "idna has no hash"),
        (
            TEXT.replace("idna==", "idna==1."),
            f"idna is locked as idna==1.{PINNED['idna'].specifier}".replace("1.==", "1."),
        ),
        (
            TEXT.replace(IDNA, IDNA.replace(" \\", " ; python_version < '3' \\", 1)),
            'idna is locked as idna==3.20; python_version < "3"',
        ),
        (TEXT + IDNA.replace("idna", "idna-2"), "idna-2 is in the lock only"),
        (TEXT + IDNA.replace("idna", "torch"), "torch is in the lock only"),
    ],
)
def test_a_lock_that_says_something_else_is_told(lock: str, found: str) -> None:
    (told,) = differences(lock, CONSTRAINTS)
    assert told.startswith(found)


def test_nothing_but_names_versions_markers_and_hashes_is_in_it() -> None:
    lines = [line for line in TEXT.splitlines() if line and not line.startswith("#")]
    odd = [
        line
        for line in lines
        if not re.fullmatch(
            r"[a-z0-9-]+==[\w.]+( ; [\w.<>=' ]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line
        )
    ]
    assert odd == []
    assert "://" not in TEXT
    for name, reason in UNLOCKED.items():
        assert f"# - {name}: {reason}." in TEXT


def test_everything_that_is_asked_or_brought_along_is_pinned_and_nothing_else() -> None:
    asked = [one for file in ASKED for one in requirements((ROOT / file).read_text()).values()]
    assert needed(asked, PINNED) - {"torch"} == PINNED.keys()
    assert [
        one
        for one in asked
        if one.name != "torch"
        and one.specifier != PINNED[one.name.lower().replace("_", "-")].specifier
    ] == []


def test_each_section_is_what_its_requirements_bring_along() -> None:
    assert {
        name: requirements(select_sections(TEXT, [name])).keys() for name in SECTIONS
    } == split_sections(PINNED)
    assert requirements(select_sections(TEXT, [])).keys() == PINNED.keys() - UNLOCKED.keys()
    with pytest.raises(ValueError, match=r"no section gatewy; accepted: gateway, qdrant"):
        select_sections(TEXT, ["gateway", "gatewy"])


def test_serving_brings_no_torch_and_no_package_of_other_embedders() -> None:
    serving = split_sections(PINNED)["gateway"]
    others = {"sentence-transformers", "transformers", "optimum", "onnx", *FILES_ONLY}
    assert others <= PINNED.keys()
    assert not serving & others
    assert {"onnxruntime", "tokenizers", "django", "sumy"} <= serving


def test_pip_accepts_the_lock_and_the_environment_is_what_it_says() -> None:
    assert list(stale({name: one for name, one in PINNED.items() if name not in UNLOCKED})) == []
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--no-index",
        *BY_HASH,
        "-r",
        str(LOCK),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "Would install" not in done.stdout


@pytest.mark.parametrize(
    ("file", "commands"),
    [
        ("Makefile", ["gateway export embedded demo", ""]),
        ("Dockerfile", ["gateway qdrant", "export"]),
    ],
)
def test_what_installs_installs_by_the_lock(file: str, commands: list[str]) -> None:
    found = re.findall(r"python -m deploy\.install([\w ]*)", (ROOT / file).read_text())
    assert [command.strip() for command in found] == commands
    for command in commands:
        assert select_sections(TEXT, command.split())
    assert BY_HASH == ("--require-hashes", "--no-deps", "--only-binary", ":all:")
