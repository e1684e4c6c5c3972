"""The management API as its users call it: plans by the guide's own curl, figures over HTTP."""

import subprocess
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import httpx

from demo.figures import Bill
from demo.question import FAQ_PLAN

GUIDE_BODY = """{
"plan_name": "support-bot-cache",
"compression": {
"engine": "text_rank",
"max_input_tokens": 4096
},
"cache": {
"backend": "redis_semantic",
"similarity_threshold": 0.85,
"ttl": 3600
}
}"""  # to the letter
FAQ_BODY = f'{{"plan_name": "{FAQ_PLAN}"}}'  # every default: no backend named, so pgvector_semantic
SETTLE_SECONDS = 10.0
PLAN_SECONDS = 2.0  # within which a new plan, key or route is known to every worker


class ApiError(Exception):
    """The management API refused or did not answer. The message holds its words."""


def create_plan(url: str, admin_key: str, body: str) -> None:
    """POST the plan with curl, as the guide does. Raises ApiError unless the answer is 201."""
    command = [
        "curl",
        "-sS",
        "-X",
        "POST",
        f"{url}/token-saving/plans",
        "-w",
        "\n%{http_code}",
        "--max-time",
        "30",
    ]
    # the key goes in by standard input (@-): command lines can be read by everybody on the machine
    command += ["-H", "@-", "-H", "Content-Type: application/json", "-d", body]
    try:
        done = subprocess.run(
            command,
            input=f"Authorization: Bearer {admin_key}\n",
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise ApiError(
            "curl is not installed: the demo creates its plans with it, as the guide does."
        ) from None
    answer, _, status = done.stdout.rpartition("\n")
    if status != "201":
        raise ApiError(
            f"POST /token-saving/plans answered {status or 'nothing'}: "
            f"{answer.strip() or done.stderr.strip()}"
        )


def explain(
    url: str, admin_key: str, plan: str, body: Mapping[str, Any], *, tenant: str
) -> dict[str, Any]:
    """What the plan would do with a chat of the tenant's, from `.../explain`. Raises ApiError."""
    reply = httpx.post(
        f"{url}/token-saving/plans/{plan}/explain",
        params={"tenant": tenant},
        json=dict(body),
        headers={"authorization": f"Bearer {admin_key}"},
        timeout=10,
    )
    if reply.status_code != 200:
        raise ApiError(f"POST .../{plan}/explain answered {reply.status_code}: {reply.text[:300]}")
    found: dict[str, Any] = reply.json()
    return found


def bill(url: str, admin_key: str, plan: str, *, requests: int) -> Bill:
    """The plan's figures once the gateway has counted `requests`,
    or as they stand after ten seconds. Raises ApiError."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        reply = httpx.get(
            f"{url}/token-saving/plans/{plan}/stats",
            headers={"authorization": f"Bearer {admin_key}"},
            timeout=10,
        )
        if reply.status_code != 200:
            raise ApiError(
                f"GET /token-saving/plans/{plan}/stats answered {reply.status_code}: "
                f"{reply.text[:300]}"
            )
        stats = reply.json()
        if stats["total_requests"] >= requests or time.monotonic() > deadline:
            return read_bill(stats)
        time.sleep(0.2)


def read_bill(stats: Mapping[str, Any]) -> Bill:
    """The figures from the body of `.../stats`."""
    detail = stats["detail"]
    tokens, cost, hits = detail["tokens"], detail["cost_usd"], detail["hits"]
    billed, spent = _decimal(cost["billed"]), _decimal(cost["spent"])
    return Bill(
        requests=stats["total_requests"],
        exact_hits=hits["exact"],
        semantic_hits=hits["semantic"],
        compressed=detail["compressed_requests"],
        tokens_saved=stats["tokens_saved"],
        cost_saved=_decimal(stats["cost_saved_usd"]),
        tokens_before=tokens["asked"],
        tokens_after=tokens["sent"],
        completion_tokens=tokens["completion"],
        cost_before=_decimal(cost["would"]),
        cost_after=None if billed is None else billed + (spent or 0),
    )


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))
