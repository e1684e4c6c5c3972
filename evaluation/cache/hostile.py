"""`make eval-hostile`: pairs of requests made to be taken for each other,
asked of a running gateway with a plan's defaults.

Two sets beside each other in evaluation/sets, written by hand: requests that differ in little and
have different right answers (none may get the other's), and the same request written in two ways
(which is to be served). Every pair is asked both ways round in a namespace of its own, but
`one_way` ones: what is stored first there holds something planted, and the other way round is
harmless.
"""

import argparse
import json
import sys
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx

from demo.accounts import TENANT
from demo.answers import label_in
from demo.management_api import PLAN_SECONDS, ApiError, create_plan, explain
from demo.options import MODEL, Options
from demo.processes import StartError, reach_loopback_directly
from demo.replay import HIT_TIERS, ROUTE
from demo.stage import stage
from demo.workspace import ROOT, WorkspaceBusy, fresh
from evaluation.cache.door import AT_ONCE, SECONDS, VISIBLE
from evaluation.cache.table import table
from proxy.core.types import Message

SETS = Path(__file__).parent.parent / "sets"
DIFFERENT, SAME = SETS / "hostile_different.jsonl", SETS / "hostile_same.jsonl"
VAR = ROOT / "var" / "hostile-eval"
DEFAULT = "default"
# A pair may name another plan; each has all defaults but what is said here.
PLANS: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    "window": {"cache": {"context": "window"}},
    "window_balanced": {"cache": {"context": "window", "strictness": "balanced"}},
    "strict": {"cache": {"context": "strict"}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    messages: list[Message]
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """`same`: one answer is right for both."""

    kind: str
    same: bool
    plan: str
    first: Request
    second: Request
    one_way: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`asked` after `stored`: whether the stored answer was served, else why not."""

    pair: Pair
    stored: Request
    asked: Request
    served: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Gateway:
    url: str
    virtual_key: str
    admin_key: str


def main() -> int:
    """0 when nothing wrong was served, 1 when something was,
    2 with a line on stderr when it could not be asked."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.cache.hostile", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--kind", action="append", help="ask this kind only; may be repeated")
    arguments = parser.parse_args()
    reach_loopback_directly()
    asked = [pair for pair in pairs() if not arguments.kind or pair.kind in arguments.kind]
    begun = monotonic()
    try:
        with fresh(VAR) as var, _gateway(var) as gateway:
            outcomes = ask_all(gateway, asked)
    except (ApiError, StartError, WorkspaceBusy, httpx.HTTPError) as error:
        print(f"eval-hostile: {error}", file=sys.stderr)
        return 2
    found = figures(outcomes) | {"seconds": round(monotonic() - begun, 1)}
    print(report(found))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1, ensure_ascii=False))
    return int(found["wrong"] > 0)


def pairs() -> list[Pair]:
    """All pairs of both sets."""
    return [
        _pair(json.loads(line), same=file is SAME)
        for file in (DIFFERENT, SAME)
        for line in file.read_text().splitlines()
    ]


def _pair(row: Mapping[str, Any], *, same: bool) -> Pair:
    fields = row.get("fields", {})
    first, second = (
        Request(messages=_chat(row[side]), fields=fields | row.get(f"{side}_fields", {}))
        for side in ("a", "b")
    )
    plan, one_way = row.get("plan", DEFAULT), row.get("one_way", False)
    return Pair(kind=row["kind"], same=same, plan=plan, first=first, second=second, one_way=one_way)


def _chat(said: str | list[Message]) -> list[Message]:
    return [{"role": "user", "content": said}] if isinstance(said, str) else said


def ask_all(gateway: Gateway, asked: Sequence[Pair]) -> list[Outcome]:
    """Every pair both ways round. Raises httpx.HTTPError where the gateway does not answer."""
    turns = [
        (pair, stored, then)
        for pair in asked
        for stored, then in ((pair.first, pair.second), (pair.second, pair.first))
        if stored is pair.first or not pair.one_way
    ]
    with ThreadPoolExecutor(AT_ONCE) as threads, _client(gateway) as client:
        return list(threads.map(lambda turn: _ask(client, gateway, *turn), turns))


def _ask(
    client: httpx.Client, gateway: Gateway, pair: Pair, stored: Request, asked: Request
) -> Outcome:
    namespace = uuid.uuid4().hex
    first = client.post("/v1/chat/completions", json=_body(pair, stored, namespace, label="stored"))
    sleep(VISIBLE)
    body = _body(pair, asked, namespace, label="asked")
    reason = _reason(gateway, pair, body) if first.is_success else f"http-{first.status_code}"
    second = client.post("/v1/chat/completions", json=body)
    served = (
        second.is_success
        and second.headers["x-tokenthrift-cache"] in HIT_TIERS
        and _label(second) == "stored"
    )
    if not second.is_success:
        reason = f"http-{second.status_code}"
    return Outcome(pair=pair, stored=stored, asked=asked, served=served, reason=reason)


def _body(pair: Pair, request: Request, namespace: str, *, label: str) -> dict[str, Any]:
    ours = {
        "token_saving_plan_id": pair.plan,
        "cache": {"namespace": namespace},
        "metadata": {"label": label},
    }
    return {
        "model": ROUTE,
        "messages": request.messages,
        "temperature": 0,
        **request.fields,
        **ours,
    }


def _label(reply: httpx.Response) -> str | None:
    return label_in(reply.json()["choices"][0]["message"]["content"])


def _reason(gateway: Gateway, pair: Pair, body: Mapping[str, Any]) -> str:
    """Why the gateway would not serve this, by its own explanation; `served` where it would."""
    try:
        found = explain(gateway.url, gateway.admin_key, pair.plan, body, tenant=TENANT)
    except ApiError:
        return "not-explained"
    if found["decision"]["tier"] in HIT_TIERS:
        return "served"
    semantic = found["semantic"] or {}
    nearest = semantic.get("nearest") or [{}]
    return str(semantic.get("reason") or nearest[0].get("verdict") or "nothing-near")


def figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Counts of requests: wrong answers served, repeats served, and by kind,
    with the reasons of all misses."""
    kinds = []
    # Some kinds are in both sets.
    for kind, same in dict.fromkeys((one.pair.kind, one.pair.same) for one in outcomes):
        own = [one for one in outcomes if (one.pair.kind, one.pair.same) == (kind, same)]
        reasons = Counter(one.reason for one in own if not one.served)
        kinds.append(
            {
                "kind": kind,
                "same": same,
                "asked": len(own),
                "served": sum(one.served for one in own),
                "reasons": dict(reasons.most_common()),
            }
        )
    return {
        "different": sum(not one.pair.same for one in outcomes),
        "wrong": sum(one.served and not one.pair.same for one in outcomes),
        "same": sum(one.pair.same for one in outcomes),
        "right": sum(one.served and one.pair.same for one in outcomes),
        "kinds": kinds,
        "served_wrong": [_shown(one) for one in outcomes if one.served and not one.pair.same],
        "not_served": [_shown(one) for one in outcomes if not one.served and one.pair.same],
    }


def _shown(one: Outcome) -> dict[str, Any]:
    shown = {
        "kind": one.pair.kind,
        "plan": one.pair.plan,
        "stored": _said(one.stored),
        "asked": _said(one.asked),
    }
    return shown | {"reason": one.reason}


def _said(request: Request) -> Any:
    alone = len(request.messages) == 1 and set(request.messages[0]) == {"role", "content"}
    said: Any = request.messages[0]["content"] if alone else request.messages
    return [said, request.fields] if request.fields else said


def report(found: Mapping[str, Any]) -> str:
    """A table by kind, and what was served wrong by its words."""
    rows = [
        [
            kind["kind"],
            "same" if kind["same"] else "different",
            ", ".join(f"{reason} {count}" for reason, count in kind["reasons"].items()),
            str(kind["asked"]),
            str(kind["served"]),
        ]
        for kind in found["kinds"]
    ]
    head = ["kind", "is", "why not", "asked", "served"]
    wrong = "\n".join(
        f"{one['kind']}: {one['stored']!r} -> {one['asked']!r}" for one in found["served_wrong"]
    )
    total = (
        f"Another request's answer was served to {found['wrong']:,} of {found['different']:,}; "
        f"the right one to {found['right']:,} of {found['same']:,} ({found['seconds']:.0f} s)"
    )
    return "\n\n".join(part for part in (table(head, rows, texts=3), wrong, total) if part)


@contextmanager
def _gateway(var: Path) -> Iterator[Gateway]:
    chosen = Options(data=None, json=None, provider=None, model=MODEL, latency_ms=0, var=var)
    with stage(chosen, var) as scene:
        for name, settings in PLANS.items():
            create_plan(scene.url, scene.admin_key, json.dumps({"plan_name": name, **settings}))
        sleep(PLAN_SECONDS)
        yield Gateway(scene.url, scene.virtual_key, scene.admin_key)


def _client(gateway: Gateway) -> httpx.Client:
    return httpx.Client(
        base_url=gateway.url,
        headers={"authorization": f"Bearer {gateway.virtual_key}"},
        timeout=SECONDS,
    )


if __name__ == "__main__":
    raise SystemExit(main())
