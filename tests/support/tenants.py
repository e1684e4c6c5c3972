"""A gateway with two tenants, each with keys of its own."""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.gateways import ROUTE, TLS, Gateway, running_gateway
from tests.support.upstream import MockUpstream, running_upstream

TENANTS = ("acme", "rival")
# Four commands in one process: each of their own would import everything again.
KEYS = f"""
import io, json
from django.core.management import call_command
def made(command, **options):
    said = io.StringIO()
    call_command(command, stdout=said, stderr=io.StringIO(), **options)
    return said.getvalue().split()[-1]
keys = {{
    tenant: made("create_key", create_tenant=True, tenant=tenant, name=f"{{tenant}}-app")
    for tenant in {TENANTS}
}}
admins = {{
    tenant: made("create_admin_key", tenant=tenant, name=f"{{tenant}}-admin")
    for tenant in {TENANTS}
}}
print(json.dumps({{"keys": keys, "admins": admins}}))
"""


@dataclass
class Both:
    """`keys` and `admins`: virtual and admin keys by tenant."""

    gateway: Gateway
    upstream: MockUpstream
    keys: dict[str, str]
    admins: dict[str, str]

    def post(self, path: str, body: Any, secret: str, **query: str) -> httpx.Response:
        """On a connection of its own, so that several workers get some each."""
        return httpx.post(
            f"{self.gateway.url}{path}",
            json=body,
            params=query,
            headers={"authorization": f"Bearer {secret}"},
            timeout=30,
            verify=TLS,
        )

    def explain(
        self, plan: str, body: dict[str, Any], *, admin: str = "", **query: str
    ) -> httpx.Response:
        secret = self.admins[admin] if admin else self.gateway.admin_key
        return self.post(f"/token-saving/plans/{plan}/explain", body, secret, **query)

    def chat(self, plan: str, body: dict[str, Any], tenant: str = "acme") -> httpx.Response:
        return self.post(
            "/v1/chat/completions", body | {"token_saving_plan_id": plan}, self.keys[tenant]
        )

    def feedback(self, request_id: Any, tenant: str = "acme", **fields: Any) -> httpx.Response:
        return self.post(
            "/v1/cache/feedback",
            {"request_id": request_id, "wrong": True} | fields,
            self.keys[tenant],
        )

    def plan(self, **fields: Any) -> str:
        """A plan of the platform's with these fields."""
        name = f"plan-{uuid.uuid4().hex[:8]}"
        made = self.gateway.api("POST", "/token-saving/plans", json={"plan_name": name} | fields)
        assert made.status_code == 201, made.text
        self.gateway.wait_plan(name)
        return name


@contextmanager
def two_tenants(folder: Path, **options: Any) -> Iterator[Both]:
    """The gateway, with these options of `running_gateway`, once it knows the keys."""
    with running_upstream() as upstream, running_gateway(upstream, folder, **options) as gateway:
        made = json.loads(gateway.manage("shell", "--verbosity", "0", "-c", KEYS))
        keys, admins = made["keys"], made["admins"]
        time.sleep(2)
        yield Both(gateway, upstream, keys, admins)


def ask(question: str, *, before: list[str] | None = None, **fields: Any) -> dict[str, Any]:
    """A request; `before`: earlier turns, the user first."""
    turns = [
        {"role": "user" if number % 2 == 0 else "assistant", "content": text}
        for number, text in enumerate(before or [])
    ]
    return {"model": ROUTE, "messages": [*turns, {"role": "user", "content": question}], **fields}
