"""What a client writes to use a plan: curl, Python and Node, to be copied.

The key is a variable of the environment, never a secret.
"""

import json
import shlex
from dataclasses import dataclass
from typing import Final

from django.db.models import Q
from django.http import HttpRequest

from plans import capabilities
from plans.models import Plan, VirtualKey

KEY: Final = "TOKENTHRIFT_KEY"
QUESTION: Final = "How do I pay?"


@dataclass(frozen=True, slots=True)
class Snippet:
    title: str
    name: str
    text: str


def for_plan(plan: Plan, request: HttpRequest, *, route: str = "") -> list[Snippet]:
    """With the address this page was asked at, and a route there is."""
    route = route or next(iter(capabilities.of(plan.tenant).routes()), "your-route")
    return snippets(base_url=request.build_absolute_uri("/v1"), plan=plan.name, model=route)


def for_key(key: VirtualKey, request: HttpRequest) -> list[Snippet]:
    """With a plan that the key may name; none without a plan."""
    plan = (
        Plan.objects.filter(Q(tenant=key.tenant_id) | Q(tenant=None))
        .order_by("tenant", "name")
        .first()
    )
    route = next(iter(key.routes or capabilities.of(key.tenant).routes()), "")
    return for_plan(plan, request, route=route) if plan else []


def snippets(*, base_url: str, plan: str, model: str) -> list[Snippet]:
    """One for each client. `base_url`: ends in /v1."""
    return [
        Snippet("curl", "curl", _curl(base_url, plan, model)),
        Snippet("Python", "python", _python(base_url, plan, model)),
        Snippet("Node", "node", _node(base_url, plan, model)),
    ]


def _curl(base_url: str, plan: str, model: str) -> str:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": QUESTION}],
        "token_saving_plan_id": plan,
    }
    return (
        f"curl {shlex.quote(f'{base_url}/chat/completions')} \\\n"
        f'  -H "Authorization: Bearer ${KEY}" \\\n'
        f'  -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(json.dumps(body))}"
    )


def _python(base_url: str, plan: str, model: str) -> str:
    return f"""import os
from openai import OpenAI

client = OpenAI(base_url={json.dumps(base_url)}, api_key=os.environ["{KEY}"])
reply = client.chat.completions.create(
    model={json.dumps(model)},
    messages=[{{"role": "user", "content": {json.dumps(QUESTION)}}}],
    extra_body={{"token_saving_plan_id": {json.dumps(plan)}}},
)
print(reply.choices[0].message.content)"""


def _node(base_url: str, plan: str, model: str) -> str:
    return f"""import OpenAI from "openai";

const client = new OpenAI({{ baseURL: {json.dumps(base_url)}, apiKey: process.env.{KEY} }});
const reply = await client.chat.completions.create({{
  model: {json.dumps(model)},
  messages: [{{ role: "user", content: {json.dumps(QUESTION)} }}],
  token_saving_plan_id: {json.dumps(plan)},
}});
console.log(reply.choices[0].message.content);"""
