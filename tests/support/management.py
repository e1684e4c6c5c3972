"""A client of the management API for tests, and the guide's own body."""

import json
from typing import Any

from django.test import Client

from plans import services
from plans.models import Tenant

PLANS = "/token-saving/plans"
ONE = f"{PLANS}/plan"
GUIDE = {
    "plan_name": "support-bot-cache",
    "compression": {"engine": "text_rank", "max_input_tokens": 4096},
    "cache": {"backend": "redis_semantic", "similarity_threshold": 0.85, "ttl": 3600},
}


class Manager:
    """Calls the API with one admin key, JSON in and out."""

    def __init__(self, key: str) -> None:
        self.client = Client(
            headers={"authorization": f"Bearer {key}"}, raise_request_exception=False
        )

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The response; `body` bytes are sent as they are, anything else as JSON."""
        if body is None:
            return self.client.generic(method, path)
        return self.client.generic(
            method, path, body if isinstance(body, bytes) else json.dumps(body), "application/json"
        )

    def create(self, **fields: Any) -> Any:
        """The new plan's JSON; fails the test unless the answer is 201."""
        reply = self.call("POST", PLANS, {"plan_name": "plan"} | fields)
        assert reply.status_code == 201, reply.content
        return reply.json()


def manager(tenant: Tenant | None = None) -> Manager:
    """A client with a fresh admin key of this tenant, or of the platform."""
    return Manager(services.issue_admin_key(name="test", tenant=tenant)[1])


def refused(reply: Any, status: int, *, param: str | None = None, code: str | None = None) -> str:
    """Check the whole shape of a refusal; its message."""
    assert reply.status_code == status, reply.content
    error = json.loads(reply.content)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == ("server_error" if status >= 500 else "invalid_request_error")
    assert (error["param"], error["code"]) == (param, code), error
    message: str = error["message"]
    assert message
    return message
