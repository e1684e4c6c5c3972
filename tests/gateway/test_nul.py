"""A NUL in a prompt or in a model's name: PostgreSQL takes none, and nothing is lost for it."""

import json
import time

import psycopg

from tests.support.gateways import Gateway

OUTCOMES = "SELECT outcome, status FROM stats_requestevent WHERE event_id = %s"


def outcome(gateway: Gateway, event_id: str) -> tuple[str, int]:
    """Of the request, once it is recorded."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with psycopg.connect(gateway.environment["DATABASE_URL"]) as connection:
            if (found := connection.execute(OUTCOMES, [event_id]).fetchone()) is not None:
                return str(found[0]), int(found[1])
        time.sleep(0.1)
    raise AssertionError(f"{event_id} was not recorded")


def test_a_request_with_a_nul_is_recorded_once(gateway: Gateway) -> None:
    replies = [
        gateway.chat("a\0b"),
        gateway.chat(model="smart\0/balanced"),
        gateway.chat(token_saving_plan_id="a\0b"),
    ]
    for reply in replies:
        assert outcome(gateway, reply.headers["x-request-id"])[1] == reply.status_code
    time.sleep(2)
    found = json.loads(gateway.manage("reconcile", "--json"))
    assert found["agrees"]
    assert found["spooled_bytes"] == 0
