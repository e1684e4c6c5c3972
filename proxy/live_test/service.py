"""Try a plan with two identical requests through the gateway's own /v1.

They are real: counted, paid for and cached. The second costs nothing if the plan has an exact
cache.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx

from plans import services
from plans.models import Plan, Tenant

LIVE_TEST_TIMEOUT_SECONDS: Final = 30.0  # seconds for both requests and the wait for the key
KEY_PROPAGATION_SECONDS: Final = 4.0  # seconds until every worker knows a new key
ANSWER_PREVIEW_LENGTH: Final = 2000  # characters of an answer
TEST_KEY_NAME: Final = "Test of a plan"


@dataclass(frozen=True, slots=True)
class LiveTestReply:
    """The reply to one request; `headers` holds the gateway's own, by name."""

    status: int
    milliseconds: float
    headers: dict[str, str]
    text: str

    @property
    def is_hit(self) -> bool:
        """Whether it was answered from a cache."""
        return self.headers.get("x-tokenthrift-cache", "") in {"exact", "semantic"}


class GatewayUnreachable(Exception):
    """The gateway did not answer; the message says why."""


def run_live_test(
    *, plan: Plan, tenant: Tenant, route: str, question: str, base_url: str
) -> list[LiveTestReply]:
    """Send the request, and again if it succeeded; return the replies.

    Blocks up to LIVE_TEST_TIMEOUT_SECONDS. Raises GatewayUnreachable. The key made for it is
    revoked in any case.
    """
    until = time.monotonic() + LIVE_TEST_TIMEOUT_SECONDS
    key, secret = services.issue_virtual_key(
        tenant=tenant,
        name=TEST_KEY_NAME,
        routes=[route],
        expires_at=datetime.now(UTC) + timedelta(seconds=2 * LIVE_TEST_TIMEOUT_SECONDS),
    )
    body = {
        "model": route,
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        "token_saving_plan_id": plan.name,
    }
    if plan.scope == "user":
        body["user"] = TEST_KEY_NAME  # such a plan caches only for named users
    try:
        with httpx.Client(
            base_url=base_url, headers={"authorization": f"Bearer {secret}"}, trust_env=False
        ) as client:
            first = _retry_until_known(client, body, until)
            return [first] if first.status >= 400 else [first, _send_request(client, body, until)]
    except httpx.TimeoutException as error:
        raise GatewayUnreachable(
            f"No answer within {LIVE_TEST_TIMEOUT_SECONDS:.0f} seconds."
        ) from error
    except httpx.HTTPError as error:
        raise GatewayUnreachable(
            f"The gateway cannot be reached at {base_url} ({type(error).__name__})."
        ) from error
    finally:
        services.revoke_key(key=key)


def _retry_until_known(
    client: httpx.Client, body: Mapping[str, object], until: float
) -> LiveTestReply:
    """Retry until the worker knows the new key."""
    # Until then it answers 401, which costs nothing.
    known = time.monotonic() + KEY_PROPAGATION_SECONDS
    while True:
        reply = _send_request(client, body, until)
        if reply.status != 401 or time.monotonic() > known:
            return reply
        time.sleep(0.2)


def _send_request(client: httpx.Client, body: Mapping[str, object], until: float) -> LiveTestReply:
    start = time.monotonic()
    left = until - start
    if left <= 0:
        raise httpx.ReadTimeout("")
    reply = client.post("/chat/completions", json=body, timeout=left)
    headers = {name: value for name, value in reply.headers.items() if name.startswith("x-")}
    return LiveTestReply(
        reply.status_code, (time.monotonic() - start) * 1000, headers, _extract_text(reply)
    )


def _extract_text(reply: httpx.Response) -> str:
    """Return what the model said, or the error message."""
    try:
        said = reply.json()
        text = (
            said["error"]["message"] if reply.is_error else said["choices"][0]["message"]["content"]
        )
    except (ValueError, LookupError, TypeError):
        text = reply.text
    return str(text or "")[:ANSWER_PREVIEW_LENGTH]
