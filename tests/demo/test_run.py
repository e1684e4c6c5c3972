"""The whole demo on a handful of requests: two processes, the guide's curl, the SDK, the figures,
and nothing left behind."""

import contextlib
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.question import FAQ_PLAN, GUIDE_PLAN
from demo.workspace import ROOT

# eight go out at once, so a repeat is sure to be a hit only when it comes later
QUERIES = [
    f"How do I {thing}?"
    for thing in ("open an account", "close a branch", "order a card", "paint a wall", "bake bread")
] * 4
FACTS = [
    f"Parcel {number} went to the depot in town {number * 7} on day {number * 3} of the season."
    for number in range(400)
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    stream = "".join(json.dumps({"query": query, "intent": query}) + "\n" for query in QUERIES)
    (folder / "faq_stream.jsonl.gz").write_bytes(gzip.compress(stream.encode()))
    history = [
        {"role": ("user", "assistant")[number % 2], "content": fact}
        for number, fact in enumerate(FACTS)
    ]
    chat = {
        "id": "parcels",
        "messages": history,
        "questions": [{"question": "Where did parcel 7 go?"}],
    }
    (folder / "long_chats.jsonl").write_text(json.dumps(chat) + "\n")
    return folder


STOP_SECONDS = 15.0  # in which PostgreSQL, told to stop, is gone


@pytest.fixture
def var() -> Iterator[Path]:
    """A folder that services run by root can enter; afterwards no process may know of it."""
    parent = Path(tempfile.mkdtemp(prefix="tokenthrift-demo-"))
    parent.chmod(0o755)
    yield parent / "var"
    until = time.monotonic() + STOP_SECONDS
    while (left := left_behind(str(parent))) and time.monotonic() < until:
        time.sleep(0.1)
    assert left == []
    shutil.rmtree(parent)


def left_behind(word: str) -> list[str]:
    """Processes with the word on their command line or in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (
                word.encode()
                in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            ):
                found.append((process / "cmdline").read_text())
    return found


def start(*arguments: str | Path) -> "subprocess.Popen[str]":
    """The demo as make starts it, in a session of its own so that a signal reaches it alone."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATA", "JSON", "UPSTREAM", "MODEL")
    }
    command = [sys.executable, "-m", "demo", "--latency-ms", "20", *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=plain,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_the_demo_replays_counts_agrees_and_leaves_nothing_running(
    data: Path, var: Path, tmp_path: Path
) -> None:
    figures = tmp_path / "figures.json"
    with start("--data", data, "--var", var, "--json", figures) as demo:
        out, errors = demo.communicate(timeout=240)
    assert (demo.returncode, errors) == (0, "")
    assert (
        "These agree: the headers that clients saw, GET .../stats, the dashboard, the "
        "upstream's own ledger."
    ) in out
    assert re.search(r"dashboard +http://\S+/dashboard/ +admin / \S+", out)
    document = json.loads(figures.read_text())
    faq, guide, total = (
        document["plans"][FAQ_PLAN],
        document["plans"][GUIDE_PLAN],
        document["total"],
    )
    assert (faq["requests"], guide["requests"], total["requests"]) == (20, 1, 21)
    assert faq["exact_hits"] >= 4
    assert (total["wrong_hits"], total["unlabelled_hits"], guide["compressed"]) == (0, 0, 1)
    assert guide["input_tokens_before"] > 8000
    assert 0 < guide["input_tokens_after"] <= 4096
    assert 0 < total["cost_after_usd"] < total["cost_before_usd"]
    assert guide["semantic_hit_p50_ms"] is None


def test_ctrl_c_stops_everything_that_was_started(data: Path, var: Path) -> None:
    with start("--data", data, "--var", var) as demo:
        deadline = time.monotonic() + 60
        while (
            not (var / "run" / "ready").exists()
            and demo.poll() is None
            and time.monotonic() < deadline
        ):
            time.sleep(0.1)
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=60)
    assert (demo.returncode, errors) == (130, "demo: stopped.\n")


def test_a_bad_file_is_refused_before_anything_starts(var: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text(
        '{"messages": [{"role": "user", "content": "hello"}]}\n{"messages": 5}\n'
    )
    with start("--data", tmp_path / "mine.jsonl", "--var", var) as demo:
        _, errors = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert re.fullmatch(r"demo: .*mine\.jsonl:2: messages must be .*\n", errors)
    assert not var.exists()
