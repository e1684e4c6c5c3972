"""Measuring other gateways: what is installed when, how they are configured,
and what a failure looks like."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.peers import comparison, environment, litellm
from benchmarks.peers.__main__ import table
from benchmarks.peers.comparison import measure
from benchmarks.peers.environment import InstallError, ready
from benchmarks.peers.probe import Figures


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(environment, "FOLDER", tmp_path)
    return tmp_path


def python(code: str) -> Sequence[Sequence[str]]:
    return [[sys.executable, "-c", code]]


def touch(into: Path) -> Sequence[Sequence[str]]:
    return python(f"import pathlib; (pathlib.Path({str(into)!r}) / 'program').open('a').write('x')")


def test_installs_once() -> None:
    ready("peer", "1", touch)
    assert (ready("peer", "1", touch) / "program").read_text() == "x"


def test_another_version_is_installed_anew(folder: Path) -> None:
    ready("peer", "1", touch)
    (folder / "peer" / "old").touch()
    ready("peer", "2", touch)
    assert not (folder / "peer" / "old").exists()


def test_half_an_installation_is_redone(folder: Path) -> None:
    with pytest.raises(InstallError):
        ready("peer", "1", lambda into: [*touch(into), *python("raise SystemExit(1)")])
    assert (ready("peer", "1", touch) / "program").read_text() == "x"


def test_the_installers_last_words_are_the_error() -> None:
    with pytest.raises(InstallError, match="peer could not be installed: no network"):
        ready(
            "peer",
            "1",
            lambda _: python(
                "import sys; print('trying', file=sys.stderr); sys.exit('no network')"
            ),
        )


def test_a_missing_installer_is_an_error() -> None:
    with pytest.raises(InstallError, match="no-such-installer"):
        ready("peer", "1", lambda _: [["no-such-installer"]])


class Broken:
    VERSION = "1"

    def install(self, folder: Path) -> Sequence[Sequence[str]]:
        return python("raise SystemExit('no network')")

    def measure(self, folder: Path, upstream_url: str, redis_url: str, core: int) -> Figures:
        raise AssertionError("never installed")


class Working(Broken):
    def install(self, folder: Path) -> Sequence[Sequence[str]]:
        return []

    def measure(self, folder: Path, upstream_url: str, redis_url: str, core: int) -> Figures:
        return {"passthrough_rps": 1234.5}


def test_one_peer_that_fails_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "PEERS", {"broken": Broken(), "working": Working()})
    assert measure(["broken", "working"], "http://127.0.0.1:1/v1", "redis://127.0.0.1:1/0", 0) == {
        "broken": {"error": "broken could not be installed: no network"},
        "working": {"version": "1", "passthrough_rps": 1234.5},
    }


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Unknown peers: nobody\. There are litellm, portkey\."):
        measure(["nobody"], "http://127.0.0.1:1/v1", "redis://127.0.0.1:1/0", 0)


def test_litellm_gets_redis_by_its_parts() -> None:
    assert litellm.cache("redis://:secret@127.0.0.1:7000/1") == {
        "cache": True,
        "cache_params": {
            "type": "redis",
            "host": "127.0.0.1",
            "port": 7000,
            "password": "secret",
            "db": 1,
        },
    }


def test_the_table_shows_figures_dashes_and_remarks() -> None:
    shown = table(
        {
            "portkey": {"version": "1.15.2", "passthrough_rps": 1234.56, "note": "no cache"},
            "gone": {"error": "no network"},
        }
    )
    assert shown.splitlines()[2:] == [
        "| portkey 1.15.2 | 1,234.6 | - | - | - | - | - | no cache |",
        "| gone  | - | - | - | - | - | - | no network |",
    ]
