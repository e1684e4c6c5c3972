"""`python -m demo`: start everything, replay real conversations, show what they cost,
stop everything. Status 0 when all figures agree."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from types import FrameType

import httpx

from demo import dashboard, folder, options, support_desk
from demo.accounts import ADMIN
from demo.management_api import FAQ_BODY, GUIDE_BODY, PLAN_SECONDS, ApiError, bill, create_plan
from demo.options import Options
from demo.processes import StartError, reach_loopback_directly
from demo.progress import Progress
from demo.question import FAQ_PLAN, GUIDE_PLAN, Question
from demo.replay import AT_ONCE, Outcome, ReplayError, client, replay
from demo.report import Disagreement, Witnesses, report
from demo.stage import Stage, stage
from demo.workspace import ROOT, WorkspaceBusy, fresh
from gateway_project.embedded import configuration
from gateway_project.embedded.redis import find_search_module

PLANS = {GUIDE_PLAN: GUIDE_BODY, FAQ_PLAN: FAQ_BODY}
# A real provider limits rates; a failed try is not a finished request, so the figures still agree.
PROVIDER_RETRIES = 5


def main() -> int:
    """Run the demo; 0 when it ended well, 1 with a line on stderr when not, 130 after Ctrl-C."""
    chosen = options.read(sys.argv[1:], os.environ)
    signal.signal(signal.SIGTERM, _interrupt)
    reach_loopback_directly()
    try:
        run(chosen)
    except (
        ApiError,
        dashboard.LoginRefused,
        Disagreement,
        ReplayError,
        StartError,
        WorkspaceBusy,
        folder.DataError,
    ) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: stopped.", file=sys.stderr)
        return 130
    return 0


def run(chosen: Options) -> None:
    """The whole demo. Raises one of the errors that `main` prints."""
    began = time.monotonic()
    questions = folder.load(chosen.data) if chosen.data else support_desk.load()
    origin = chosen.data or "the package fow-cache (CC BY 4.0)"
    print(
        f"{len(questions):,} requests from {origin}, {AT_ONCE} at a time: how they overlap may "
        "shift a hit or two from run to run.",
        flush=True,
    )
    with fresh(chosen.var) as var, stage(chosen, var) as opened:
        for body in choose_plans().values():
            create_plan(opened.url, opened.admin_key, body)
        time.sleep(PLAN_SECONDS)
        print(
            (
                f"plans {' and '.join(PLANS)} made at {opened.url}/token-saving/plans with "
                "the guide's curl\n"
            ),
            flush=True,
        )
        outcomes = asyncio.run(send(opened, questions))
        counts = {plan: sum(question.plan == plan for question in questions) for plan in PLANS}
        bills = {
            plan: bill(opened.url, opened.admin_key, plan, requests=count)
            for plan, count in counts.items()
        }
        ledger = httpx.get(opened.ledger_url, timeout=10).json() if opened.ledger_url else None
        page = dashboard.page(opened.url, ADMIN, opened.password)
        print()
        report(
            outcomes,
            Witnesses(bills=bills, ledger=ledger, dashboard=page),
            file=chosen.json,
            wrong=var / "wrong_hits.jsonl",
        )
        print(farewell(opened, var, seconds=time.monotonic() - began))


def choose_plans() -> dict[str, str]:
    """The bodies of the plans, and a line where a plan is not the guide's to the letter."""
    if find_search_module() is not None:
        return PLANS
    print("There is no Redis with search for this platform: pgvector serves both plans.")
    return {
        plan: body.replace("redis_semantic", "pgvector_semantic") for plan, body in PLANS.items()
    }


async def send(opened: Stage, questions: Sequence[Question]) -> list[Outcome]:
    """Replay the questions, one progress bar for each plan in turn."""
    outcomes: list[Outcome] = []
    labelled = opened.ledger_url is not None
    async with client(
        opened.url, opened.virtual_key, retries=0 if labelled else PROVIDER_RETRIES
    ) as sdk:
        for plan, group in groupby(questions, key=lambda question: question.plan):
            batch = list(group)
            outcomes += await replay(
                sdk, batch, labelled=labelled, done=Progress(plan, len(batch)).step
            )
    return outcomes


def farewell(opened: Stage, var: Path, *, seconds: float) -> str:
    """What was held against what, and how to come back."""
    checked = [
        "the headers that clients saw",
        "GET .../stats",
        "the dashboard",
        *(["the upstream's own ledger"] if opened.ledger_url else []),
    ]
    place = var.relative_to(ROOT) if var.is_relative_to(ROOT) else var
    serve = "make serve" if configuration.IS_CHECKOUT else "tokenthrift serve"
    return f"""
These agree: {", ".join(checked)}. It took {seconds:.0f} s; everything started stops now.
To look around in what is left:

  TOKENTHRIFT_VAR_DIR={place} {serve}
  dashboard    http://127.0.0.1:8000/dashboard/   {ADMIN} / {opened.password}
  admin        http://127.0.0.1:8000/admin/       the same log-in
  API          http://127.0.0.1:8000/api/docs     admin key    {opened.admin_key}
  SDK clients  http://127.0.0.1:8000/v1           virtual key  {opened.virtual_key}"""


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    raise SystemExit(main())
