"""A gateway with a month of requests, as a support desk would have made them,
and sessions of who looks at them."""

import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import orjson
import psycopg

from stats.events import Event
from stats.ledger.inserts import INSERT_EVENTS_SQL
from stats.ledger.rollup import ROLL_UP_SQL
from tests.support.events import make_event
from tests.support.gateways import Gateway

PLANS: dict[str, dict[str, Any]] = {
    "support-bot-cache": {
        "cache": {"similarity_threshold": 0.85, "ttl": 3600, "max_error_rate": 0.01}
    },
    "faq-answers": {"cache": {"similarity_threshold": 0.9, "ttl": 86400}},
    "internal-search": {"compression": {"engine": "text_rank", "max_input_tokens": 4096}},
}
DAYS = 60
MODELS = (
    ("gpt-4o-mini", Decimal("0.00000015"), Decimal("0.0000006")),
    ("gpt-4o", Decimal("0.0000025"), Decimal("0.00001")),
)
SESSIONS = """
import json
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
user = User.objects.create(username="maria", is_staff=True, is_superuser=True)
store = SessionStore()
store.update({"_auth_user_id": str(user.pk), "_auth_user_hash": user.get_session_auth_hash(),
              "_auth_user_backend": "django.contrib.auth.backends.ModelBackend"})
store.save()
from plans.models import Plan, VirtualKey
print(json.dumps({"session": store.session_key, "plans": dict(Plan.objects.values_list("name", "pk")),
                  "keys": list(VirtualKey.objects.values_list("pk", "name", "tenant_id", "tenant__slug"))}))
"""  # noqa: E501 -- laid out as it is read


@dataclass(frozen=True)
class Scene:
    """`plans`: numbers by name; `keys`: (number, name, tenant's number, tenant's slug);
    `request`: the id of one that was compressed."""

    gateway: Gateway
    session: str
    plans: dict[str, int]
    keys: list[list[Any]]
    request: str = ""


def scene(gateway: Gateway, *, requests: int = 6_000) -> Scene:
    """Plans made over the API, requests written as the flusher writes them."""
    for name, fields in PLANS.items():
        reply = gateway.api("POST", "/token-saving/plans", json={"plan_name": name} | fields)
        assert reply.status_code == 201, reply.text
    for name in ("web-widget", "mobile-app", "mail-robot"):
        gateway.manage("create_key", "--tenant", tenant(gateway), "--name", name)
    made = json.loads(gateway.manage("shell", "--verbosity", "0", "-c", SESSIONS).splitlines()[-1])
    set_up = Scene(gateway, made["session"], made["plans"], made["keys"])
    with psycopg.connect(gateway.environment["DATABASE_URL"], autocommit=True) as connection:
        batch: list[Event] = []
        for event in events(set_up, requests):
            batch.append(event)
            if len(batch) == 500:
                record(connection, batch)
                batch = []
        record(connection, batch)
        found = connection.execute(
            "SELECT event_id FROM stats_requestevent WHERE engine <> '' ORDER BY at DESC LIMIT 1"
        ).fetchone()
    assert found
    return replace(set_up, request=str(found[0]))


def record(connection: "psycopg.Connection[Any]", batch: list[Event]) -> None:
    connection.execute(INSERT_EVENTS_SQL, (orjson.dumps(batch, default=str),))
    connection.execute(ROLL_UP_SQL.encode())


def tenant(gateway: Gateway) -> str:
    with psycopg.connect(gateway.environment["DATABASE_URL"]) as connection:
        row = connection.execute("SELECT slug FROM plans_tenant ORDER BY id LIMIT 1").fetchone()
    assert row
    return str(row[0])


def events(scene: Scene, number: int) -> Iterator[Event]:
    """More by day than by night, fewer at weekends, more hits as time goes on.

    The same ones each time.
    """
    lot = random.Random(7)
    now = time.time()
    names = list(scene.plans)
    for _ in range(number):
        at = now - DAYS * 86400 * lot.random() ** 1.4
        hour, weekday = time.gmtime(at).tm_hour, time.gmtime(at).tm_wday
        if lot.random() > (0.25 + 0.75 * math.exp(-((hour - 14) ** 2) / 30)) * (
            0.45 if weekday > 4 else 1
        ):
            continue
        yield _event(
            scene,
            lot,
            names[min(2, int(lot.expovariate(1.1)))],
            at,
            age=(now - at) / (DAYS * 86400),
        )


def _event(scene: Scene, lot: random.Random, plan: str, at: float, *, age: float) -> Event:
    key, key_name, tenant_id, slug = lot.choice(scene.keys)
    model, price_in, price_out = MODELS[lot.random() < 0.25]
    prompt, completion = int(lot.lognormvariate(6.6, 0.7)), int(lot.lognormvariate(5, 0.5))
    would = prompt * price_in + completion * price_out
    same = {
        "plan": plan,
        "plan_id": scene.plans[plan],
        "plan_version": 1,
        "key": key_name,
        "key_id": key,
        "tenant_id": tenant_id,
    }
    same |= {
        "tenant": slug,
        "model": model,
        "at": at,
        "would_cost": would,
        "asked_tokens": prompt,
        "served_tokens": completion,
    }
    luck = lot.random() + 0.25 * age
    if luck < 0.34 and plan != "internal-search":
        took = lot.lognormvariate(1.2, 0.4)
        exact = luck < 0.22
        hit: dict[str, Any] = {
            "tier": "exact" if exact else "semantic",
            "attempts": 0,
            "upstream_ms": 0.0,
            "billed_cost": Decimal(0),
        }
        if not exact:
            hit |= {"similarity": 0.93, "score": 0.97, "entry_id": "a3" * 16}
        hit |= {"prompt_tokens": 0, "completion_tokens": 0, "tokens_saved": prompt + completion}
        return make_event(**same, **hit, duration_ms=took * (1 if exact else 4), overhead_ms=took)
    took = lot.lognormvariate(7, 0.5)
    spent: dict[str, Any] = {
        "tier": "miss",
        "completion_tokens": completion,
        "upstream_ms": took - 9,
        "duration_ms": took,
        "overhead_ms": 9.0,
    }
    if luck > 1.18:
        return make_event(
            **same,
            **spent
            | {
                "outcome": "upstream_error",
                "status": 502,
                "billed_cost": Decimal(0),
                "tokens_saved": 0,
            },
        )
    kept = prompt if plan == "faq-answers" or prompt < 700 else int(prompt * lot.uniform(0.4, 0.8))
    billed = kept * price_in + completion * price_out
    spent |= {"prompt_tokens": kept, "tokens_saved": prompt - kept, "billed_cost": billed}
    if kept < prompt:
        spent["engine"] = "text_rank"
    sampled = (
        {"sample": lot.choice(["right"] * 60 + ["wrong"]), "basis": "b", "score": 0.9}
        if lot.random() < 0.05
        else {}
    )
    return make_event(**same, **spent, **sampled)
