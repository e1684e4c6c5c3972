"""`make eval-answers`: what a small real model answers through the gateway, after full,
compressed and trimmed histories.

Questions with reference answers are picked by their digests, as many from each source. Each is
asked at the end of its chat with the openai SDK, at temperature 0, and scored by token F1;
differences are paired by question, their intervals resampled over chats. Time to the first token is
the client's, apart for prompts read cold (the first question of a chat) and warm (the others: the
model server still holds what the prompt has in common with the one before, as providers do). A
model of 270 million parameters answers poorly: read the differences.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
from openai import APIError

from demo.management_api import ApiError
from demo.processes import StartError, reach_loopback_directly
from demo.progress import Progress
from demo.workspace import ROOT, WorkspaceBusy, fresh
from evaluation.answers.arms import ARMS, PAIRS
from evaluation.answers.figures import figures
from evaluation.answers.model import NAME
from evaluation.answers.pick import LONGEST, pick
from evaluation.answers.round import Answer, answers
from evaluation.answers.scene import scene
from evaluation.answers.table import render
from evaluation.chats import Chat, load

VAR = ROOT / "var" / "answers"


def main() -> int:
    """0 when it ended well, 1 with a line on stderr when not, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.answers", description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="a folder with long_chats.jsonl.gz"
    )
    parser.add_argument("--json", type=Path, help="write figures and answers to this file")
    parser.add_argument(
        "--questions", type=int, default=48, help="how many, of all sources together"
    )
    arguments = parser.parse_args()
    # What was started is stopped, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    reach_loopback_directly()
    try:
        found = run(load(arguments.data), arguments.questions)
    except (
        APIError,
        ApiError,
        FileNotFoundError,
        StartError,
        ValueError,
        WorkspaceBusy,
        httpx.HTTPError,
    ) as error:
        print(f"eval-answers: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("eval-answers: stopped.", file=sys.stderr)
        return 130
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1, ensure_ascii=False))
    return 0


def run(chats: Sequence[Chat], count: int) -> dict[str, Any]:
    """Ask, print the tables, and return what the JSON file says. Takes half an hour."""
    picked = pick(chats, count)
    begun, load_before = time.monotonic(), os.getloadavg()
    with fresh(VAR) as var, scene(var, ARMS) as (door, reader):
        print(said(picked), flush=True)
        progress = Progress("answers", len(ARMS) * sum(len(chat.questions) for chat in picked))
        given: list[Answer] = []
        with (var / "answers.jsonl").open("w", encoding="utf-8") as file:
            for answer in answers(door, reader, picked, ARMS):
                given.append(answer)
                print(json.dumps(asdict(answer), ensure_ascii=False), file=file, flush=True)
                progress.step()
    found = figures(given, PAIRS)
    seconds = round(time.monotonic() - begun, 1)
    print(
        f"\n{render(found)}\n\n{seconds:.0f} s; load average before {load_before[0]:.1f}, after "
        f"{os.getloadavg()[0]:.1f}"
    )
    asked = {
        "model": NAME,
        "questions": len(given) // len(ARMS),
        "chats": len(picked),
        "longest": LONGEST,
    }
    return (
        asked
        | found
        | {
            "seconds": seconds,
            "load": [load_before[0], os.getloadavg()[0]],
            "answers": list(map(asdict, given)),
        }
    )


def said(picked: Sequence[Chat]) -> str:
    """What is going to be asked."""
    count = Counter(chat.source for chat in picked for _ in chat.questions)
    sources = ", ".join(f"{count[source]} of {source}" for source in sorted(count))
    return (
        f"{count.total()} questions ({sources}) at the end of {len(picked)} chats, each up to "
        f"{LONGEST:,} tokens of it, to {NAME}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
