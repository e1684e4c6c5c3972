"""A gateway that has been in use for a while, as its people find it."""

from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser

from tests.browser.scene import Scene, scene
from tests.support.gateways import Gateway
from tests.support.upstream import MockUpstream, completion

DESK = "support-desk"
QUESTIONS = (
    "How do I change my delivery address?",
    "Where can I see my invoices?",
    "Which cards do you accept?",
    "How long does a refund take?",
)


@dataclass
class Site:
    """What tests ask of the site.

    `plan`: the number of the plan that has requests; `past`: two months of requests under other
    plans.
    """

    gateway: Gateway
    upstream: MockUpstream
    plan: int
    past: Scene
    _session: Any = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return self.gateway.url

    def session(self, browser: Browser) -> Any:
        """The cookies of the platform's administrator, who logs in once."""
        if self._session is None:
            context = browser.new_context(base_url=self.url)
            page = context.new_page()
            page.goto("/admin/login/?next=/dashboard/")
            page.get_by_label("Username").fill("admin")
            page.get_by_label("Password").fill(self.gateway.password)
            page.get_by_role("button", name="Log in").click()
            page.wait_for_url("**/dashboard/**")
            self._session = context.storage_state()
            context.close()
        return self._session


def furnished(gateway: Gateway, upstream: MockUpstream) -> Site:
    """Two months of requests, and a plan with hits, misses, and a chat long enough to be cut."""
    past = scene(gateway)
    body = {"plan_name": DESK, "compression": {"max_input_tokens": 256}, "cache": {"ttl": 3600}}
    made = gateway.api("POST", "/token-saving/plans", json=body)
    assert made.status_code == 201, made.text
    gateway.wait_plan(DESK)
    for number, question in enumerate(QUESTIONS):
        upstream.says = completion(f"Answer {number}: it is on your account page, below Settings.")
        for _ in range(number + 1):
            assert gateway.chat(question, token_saving_plan_id=DESK).status_code == 200
    history = [
        {"role": role, "content": f"{question} " * 40}
        for question in QUESTIONS
        for role in ("user", "assistant")
    ]
    long_chat = [*history, {"role": "user", "content": "And how do I pay by invoice?"}]
    assert gateway.chat(token_saving_plan_id=DESK, messages=long_chat).status_code == 200
    gateway.stats(DESK, requests=sum(range(len(QUESTIONS) + 1)) + 1)
    return Site(gateway, upstream, _number(gateway), past)


def _number(gateway: Gateway) -> int:
    code = f"from plans.models import Plan; print(Plan.objects.get(name={DESK!r}).pk)"
    return int(gateway.manage("shell", "--verbosity", "0", "-c", code))
