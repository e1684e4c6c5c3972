"""Client code that uses a plan, to copy: curl, Python and Node.

The key is read from an environment variable, never written out.
"""

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Q
from django.http import HttpRequest
from django.urls import get_script_prefix

from plans import capabilities
from plans.models import Plan, VirtualKey
from plans.snapshot import WILDCARD

KEY_VARIABLE: Final = "TOKENTHRIFT_KEY"
SAMPLE_QUESTION: Final = "How do I pay?"
FALLBACK_ROUTE: Final = "your-route"  # while there is none


@dataclass(frozen=True, slots=True)
class ClientSnippet:
    title: str
    name: str
    text: str


def build_base_url(request: HttpRequest) -> str:
    """Return the base URL of the API, as who sent this request reaches it."""
    return request.build_absolute_uri(f"{get_script_prefix()}v1")


def build_plan_snippets(
    plan: Plan, request: HttpRequest, *, route: str = ""
) -> list[ClientSnippet]:
    """Build snippets with the base URL of this request and an existing route."""
    route = route or _find_example_route(
        capabilities.get_tenant_capabilities(plan.tenant).list_routes(), FALLBACK_ROUTE
    )
    return build_snippets(base_url=build_base_url(request), plan=plan.name, model=route)


def build_key_snippets(key: VirtualKey, request: HttpRequest) -> list[ClientSnippet]:
    """Build snippets with a plan the key can name; empty without a plan.

    They name no plan if the key or its tenant has a default.
    """
    plan = (
        Plan.objects.filter(Q(tenant=key.tenant_id) | Q(tenant=None))
        .order_by("tenant", "name")
        .first()
    )
    route = _find_example_route(
        key.routes or capabilities.get_tenant_capabilities(key.tenant).list_routes(), ""
    )
    if key.default_plan_id is not None or key.tenant.default_plan_id is not None:
        base_url = build_base_url(request)
        return build_snippets(base_url=base_url, plan=None, model=route or FALLBACK_ROUTE)
    return build_plan_snippets(plan, request, route=route) if plan else []


def _find_example_route(routes: Iterable[str], otherwise: str) -> str:
    """Return the first that is the name of a model."""
    return next((name for name in routes if not name.endswith(WILDCARD)), otherwise)


def build_snippets(*, base_url: str, plan: str | None, model: str) -> list[ClientSnippet]:
    """Build a snippet for each client; `base_url` ends in /v1. None: they name no plan."""
    return [
        ClientSnippet("curl", "curl", _build_curl_command(base_url, plan, model)),
        ClientSnippet("Python", "python", _build_python_code(base_url, plan, model)),
        ClientSnippet("Node", "node", _build_node_code(base_url, plan, model)),
    ]


def _build_curl_command(base_url: str, plan: str | None, model: str) -> str:
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": SAMPLE_QUESTION}],
    }
    if plan:
        body["token_saving_plan_id"] = plan
    return (
        f"curl {shlex.quote(f'{base_url}/chat/completions')} \\\n"
        f'  -H "Authorization: Bearer ${KEY_VARIABLE}" \\\n'
        f'  -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(json.dumps(body))}"
    )


def _build_python_code(base_url: str, plan: str | None, model: str) -> str:
    named = f'    extra_body={{"token_saving_plan_id": {json.dumps(plan)}}},\n' if plan else ""
    return f"""import os
from openai import OpenAI

client = OpenAI(base_url={json.dumps(base_url)}, api_key=os.environ["{KEY_VARIABLE}"])
reply = client.chat.completions.create(
    model={json.dumps(model)},
    messages=[{{"role": "user", "content": {json.dumps(SAMPLE_QUESTION)}}}],
{named})
print(reply.choices[0].message.content)"""


def _build_node_code(base_url: str, plan: str | None, model: str) -> str:
    named = f"  token_saving_plan_id: {json.dumps(plan)},\n" if plan else ""
    options = f"{{ baseURL: {json.dumps(base_url)}, apiKey: process.env.{KEY_VARIABLE} }}"
    return f"""import OpenAI from "openai";

const client = new OpenAI({options});
const reply = await client.chat.completions.create({{
  model: {json.dumps(model)},
  messages: [{{ role: "user", content: {json.dumps(SAMPLE_QUESTION)} }}],
{named}}});
console.log(reply.choices[0].message.content);"""
