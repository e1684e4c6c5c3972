"""A plan tried for real: two identical requests through the gateway's own /v1,
with a key made for them and revoked after them.

They are what a client would send: counted, paid for, and kept in the plan's cache like any other.
The second costs nothing when the plan answers identical requests.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx

from plans import services
from plans.models import Plan, Tenant

DEADLINE: Final = 30.0  # seconds for both requests and the wait for the key
KNOWN_WITHIN: Final = 4.0  # seconds until every worker knows a new key
SHOWN: Final = 2000  # characters of an answer
NAME: Final = "Test of a plan"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one request. `headers`: the gateway's own, by name."""

    status: int
    milliseconds: float
    headers: dict[str, str]
    text: str

    @property
    def hit(self) -> bool:
        """Whether it was answered from a cache."""
        return self.headers.get("x-tokenthrift-cache", "") in {"exact", "semantic"}


class Unreachable(Exception):
    """The gateway did not answer, in words."""


def trial(*, plan: Plan, tenant: Tenant, route: str, question: str, base_url: str) -> list[Reply]:
    """The first reply, and the second when the first was one.

    Waits up to DEADLINE; raises Unreachable. The key is revoked in any case.
    """
    until = time.monotonic() + DEADLINE
    key, secret = services.issue_virtual_key(
        tenant=tenant,
        name=NAME,
        routes=[route],
        expires_at=datetime.now(UTC) + timedelta(seconds=2 * DEADLINE),
    )
    body = {
        "model": route,
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        "token_saving_plan_id": plan.name,
    }
    if plan.scope == Plan.Scope.USER:
        body["user"] = NAME  # such a plan keeps answers of named users alone
    try:
        with httpx.Client(
            base_url=base_url, headers={"authorization": f"Bearer {secret}"}, trust_env=False
        ) as client:
            first = _until_known(client, body, until)
            return [first] if first.status >= 400 else [first, _ask(client, body, until)]
    except httpx.TimeoutException as error:
        raise Unreachable(f"No answer within {DEADLINE:.0f} seconds.") from error
    except httpx.HTTPError as error:
        raise Unreachable(
            f"The gateway cannot be reached at {base_url} ({type(error).__name__})."
        ) from error
    finally:
        services.revoke(key=key)


def _until_known(client: httpx.Client, body: Mapping[str, object], until: float) -> Reply:
    """A worker knows a new key a moment after it was made;
    until then it answers 401, which costs nothing."""
    known = time.monotonic() + KNOWN_WITHIN
    while True:
        reply = _ask(client, body, until)
        if reply.status != 401 or time.monotonic() > known:
            return reply
        time.sleep(0.2)


def _ask(client: httpx.Client, body: Mapping[str, object], until: float) -> Reply:
    start = time.monotonic()
    left = until - start
    if left <= 0:
        raise httpx.ReadTimeout("")
    reply = client.post("/chat/completions", json=body, timeout=left)
    headers = {name: value for name, value in reply.headers.items() if name.startswith("x-")}
    return Reply(reply.status_code, (time.monotonic() - start) * 1000, headers, _text(reply))


def _text(reply: httpx.Response) -> str:
    """What the model said, or what was refused."""
    try:
        said = reply.json()
        text = (
            said["error"]["message"] if reply.is_error else said["choices"][0]["message"]["content"]
        )
    except (ValueError, LookupError, TypeError):
        text = reply.text
    return str(text or "")[:SHOWN]
