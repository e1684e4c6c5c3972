"""People log in as their company has them do it: at an identity provider, in a browser, in front of
real processes."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_pages import AXE, SERIOUS, told
from tests.browser.test_plan_form import shoot
from tests.browser.watch import Watch
from tests.support.gateways import Gateway, running_gateway
from tests.support.mailbox import Mailbox, running_mailbox
from tests.support.oidc_server import CLIENT_ID, CLIENT_SECRET, OidcServer, running_oidc_server
from tests.support.upstream import running_upstream

ROLES = {"gateway-admins": "platform-admin", "finance": "viewer"}


@pytest.fixture(scope="module")
def idp() -> Iterator[OidcServer]:
    with running_oidc_server() as server:
        server.people = {
            "alice": {"groups": ["gateway-admins"], "preferred_username": "alice"},
            "bob": {"groups": ["finance"], "preferred_username": "bob"},
            "carol": {"groups": ["lunch"], "preferred_username": "carol"},
        }
        yield server


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    with running_mailbox() as running:
        yield running


@pytest.fixture(scope="module")
def gate(
    idp: OidcServer, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    secret = tmp_path_factory.mktemp("secrets") / "client_secret"
    secret.write_text(f"{CLIENT_SECRET}\n")
    with (
        running_upstream() as upstream,
        running_gateway(
            upstream,
            tmp_path_factory.mktemp("sign-on"),
            workers=2,
            TOKENTHRIFT_OIDC_ISSUER=idp.issuer,
            TOKENTHRIFT_OIDC_CLIENT_ID=CLIENT_ID,
            TOKENTHRIFT_OIDC_CLIENT_SECRET_FILE=str(secret),
            TOKENTHRIFT_OIDC_ROLES=json.dumps(ROLES),
            TOKENTHRIFT_OIDC_ALLOW_PRIVATE="yes",
            TOKENTHRIFT_OIDC_BUTTON="Log in with Example ID",
            TOKENTHRIFT_SMTP_URL=mailbox.url,
            TOKENTHRIFT_MAIL_FROM="gateway@example.org",
        ) as gateway,
    ):
        yield gateway


@pytest.fixture
def own_watch(gate: Gateway) -> Iterator[Watch]:
    watching = Watch(gate.url)
    yield watching
    assert not watching.found


@pytest.fixture
def visitor(gate: Gateway, browser: Browser, own_watch: Watch) -> Iterator[Page]:
    """Somebody whom nobody knows yet."""
    context = browser.new_context(base_url=gate.url, viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    own_watch.over(opened)
    yield opened
    context.close()


def sign_in(page: Page, watch: Watch, name: str) -> None:
    page.get_by_role("link", name="Log in with Example ID").click()
    expect(page.get_by_role("heading", name="Provider")).to_be_visible()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_load_state()
    watch.forgive("external request: http://127.0.0.1")  # the provider's own page
    watch.forgive("favicon")


def test_an_admin_logs_in_works_and_logs_out(
    visitor: Page, own_watch: Watch, idp: OidcServer, screens: Path | None
) -> None:
    visitor.goto("/dashboard/requests")
    shoot(visitor, screens, "sign-on-login")
    sign_in(visitor, own_watch, "alice")
    visitor.wait_for_url("**/dashboard/requests")
    expect(visitor.locator(".who")).to_have_text("alice")
    visitor.goto("/admin/plans/plan/")
    expect(visitor.get_by_role("link", name="Add plan").first).to_be_visible()
    visitor.goto("/dashboard/")
    visitor.get_by_role("button", name="Log out").click()
    expect(visitor.get_by_text("You are logged out of Tokenthrift.")).to_be_visible()
    shoot(visitor, screens, "sign-on-logged-out")
    visitor.get_by_role("link", name="log out there too").click()
    expect(visitor.get_by_role("heading", name="Signed out")).to_be_visible()
    own_watch.forgive("external request: http://127.0.0.1")
    own_watch.forgive("favicon")
    visitor.goto("/dashboard/")
    expect(visitor.get_by_role("link", name="Log in with Example ID")).to_be_visible()


def test_a_viewer_sees_numbers_and_no_form(visitor: Page, own_watch: Watch) -> None:
    visitor.goto("/dashboard/")
    sign_in(visitor, own_watch, "bob")
    visitor.wait_for_url("**/dashboard/")
    assert visitor.request.get("/admin/plans/plan/add/").status == 403


def test_who_has_no_role_reads_why(
    visitor: Page, own_watch: Watch, gate: Gateway, screens: Path | None
) -> None:
    visitor.goto("/admin/")
    sign_in(visitor, own_watch, "carol")
    expect(visitor.get_by_role("heading", name="You were not logged in")).to_be_visible()
    expect(visitor.get_by_text("has no role here")).to_be_visible()
    shoot(visitor, screens, "sign-on-refused")
    reference = visitor.get_by_text("Reference").inner_text().split()[1].rstrip(":")
    assert reference in gate.log.read_text()
    own_watch.forgive("403")


def test_the_local_account_logs_in_beside_it(
    visitor: Page, gate: Gateway, own_watch: Watch, idp: OidcServer, screens: Path | None
) -> None:
    visitor.goto("/admin/login/?next=/dashboard/")
    visitor.get_by_label("Username").fill("admin")
    visitor.get_by_label("Password").fill(gate.password)
    visitor.get_by_role("button", name="Log in").click()
    visitor.wait_for_url("**/dashboard/")
    visitor.goto("/admin/auth/user/")
    visitor.get_by_role("link", name="alice").click()
    expect(visitor.get_by_text(f"id-of-alice at {idp.issuer}")).to_be_visible()
    shoot(visitor, screens, "sign-on-person")


def log_in_locally(page: Page, gate: Gateway, name: str = "admin") -> None:
    page.goto("/admin/login/?next=/dashboard/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(gate.password)
    page.get_by_role("button", name="Log in").click()


def test_a_token_is_made_used_and_revoked(
    visitor: Page, own_watch: Watch, gate: Gateway, screens: Path | None
) -> None:
    log_in_locally(visitor, gate)
    visitor.goto("/admin/accounts/apitoken/")
    visitor.get_by_role("link", name="Add API token").first.click()
    visitor.get_by_label("Name").fill("grafana")
    visitor.get_by_label("stats").check()
    shoot(visitor, screens, "token-add")
    visitor.get_by_role("button", name="Save", exact=True).click()
    expect(visitor.get_by_role("heading", name="Copy the token now")).to_be_visible()
    shoot(visitor, screens, "token-made")
    secret = visitor.locator("#secret").inner_text()
    header = {"authorization": f"Bearer {secret}"}
    assert httpx.get(f"{gate.url}/token-saving/stats", headers=header).status_code == 200
    assert httpx.get(f"{gate.url}/token-saving/plans", headers=header).status_code == 403
    visitor.get_by_role("link", name="I have copied it").click()
    shoot(visitor, screens, "token-list")
    visitor.get_by_label("Select this object for an action").first.check()
    visitor.locator("select[name=action]").select_option("revoke_tokens")
    visitor.get_by_role("button", name="Go", exact=True).click()
    expect(visitor.get_by_role("heading", name="Revoke this token?")).to_be_visible()
    shoot(visitor, screens, "token-revoke")
    visitor.get_by_role("button", name="Revoke it for good").click()
    expect(visitor.get_by_text("1 token was revoked")).to_be_visible()
    assert httpx.get(f"{gate.url}/token-saving/stats", headers=header).status_code == 401


def test_a_second_factor_is_set_up_and_asked_for(
    visitor: Page, own_watch: Watch, gate: Gateway, screens: Path | None
) -> None:
    gate.manage(
        "shell",
        "--verbosity",
        "0",
        "-c",
        "from django.contrib.auth.models import User; "
        f"User.objects.create_superuser('dora', password={gate.password!r})",
    )
    log_in_locally(visitor, gate, "dora")
    visitor.wait_for_url("**/dashboard/")
    visitor.goto("/admin/")
    visitor.get_by_role("link", name="Second factor").click()
    shoot(visitor, screens, "factor-set-up")
    app = pyotp.TOTP(visitor.locator(".tt-secret").inner_text().replace(" ", ""))
    visitor.get_by_label("Code").fill("000000")
    visitor.get_by_role("button", name="Set it up").click()
    expect(visitor.locator(".errorlist")).to_contain_text("not the app's present code")
    visitor.get_by_label("Code").fill(app.at(int(time.time()) - 30))
    visitor.get_by_role("button", name="Set it up").click()
    expect(visitor.get_by_text("shown this once")).to_be_visible()
    shoot(visitor, screens, "factor-recovery")
    recovery = visitor.locator("#codes").inner_text().split()
    visitor.get_by_role("link", name="I have kept them").click()
    visitor.goto("/account/second-factor")
    shoot(visitor, screens, "factor-present")
    visitor.context.clear_cookies()
    log_in_locally(visitor, gate, "dora")
    visitor.wait_for_url("**/account/code")
    shoot(visitor, screens, "factor-code")
    visitor.get_by_label("Code of your authenticator app").fill(app.now())
    visitor.get_by_role("button", name="Go on").click()
    visitor.wait_for_url("**/dashboard/")
    visitor.context.clear_cookies()
    log_in_locally(visitor, gate, "dora")
    visitor.get_by_label("Code of your authenticator app").fill(recovery[0])
    visitor.get_by_role("button", name="Go on").click()
    visitor.wait_for_url("**/dashboard/")


def test_somebody_is_invited_and_forgets_their_password(
    visitor: Page, own_watch: Watch, gate: Gateway, mailbox: Mailbox, screens: Path | None
) -> None:
    log_in_locally(visitor, gate)
    visitor.goto("/admin/accounts/invitation/add/")
    visitor.get_by_label("E-mail address").fill("nina@example.org")
    shoot(visitor, screens, "invitation-add")
    visitor.get_by_role("button", name="Save", exact=True).click()
    expect(visitor.get_by_text("It is being mailed to nina@example.org")).to_be_visible()
    shoot(visitor, screens, "invitation-made")
    visitor.goto("/admin/accounts/invitation/")
    shoot(visitor, screens, "invitation-list")
    link = re.search(r"http://\S+", mailbox.wait()[-1].get_content())
    assert link
    visitor.context.clear_cookies()
    visitor.goto(link[0])
    shoot(visitor, screens, "invitation-accept")
    visitor.get_by_label("Username").fill("nina")
    visitor.get_by_label("Password:", exact=True).fill("correct-horse-battery")
    visitor.get_by_label("Password confirmation").fill("correct-horse-battery")
    visitor.get_by_role("button", name="Make my account").click()
    expect(visitor.get_by_text("Your account nina is made")).to_be_visible()
    shoot(visitor, screens, "invitation-accepted")
    visitor.get_by_role("link", name="Log in").click()
    visitor.get_by_role("link", name="Forgot your password?").click()
    shoot(visitor, screens, "reset-form")
    visitor.get_by_label("Email").fill("nina@example.org")
    visitor.get_by_role("button", name="Send it").click()
    expect(visitor.get_by_text("a mail is on its way")).to_be_visible()
    shoot(visitor, screens, "reset-sent")
    link = re.search(r"http://\S+", mailbox.wait(2)[-1].get_content())
    assert link
    visitor.goto(link[0])
    shoot(visitor, screens, "reset-confirm")
    for label in ("New password:", "New password confirmation:"):
        visitor.get_by_label(label, exact=True).fill("a-better-password-9")
    visitor.get_by_role("button", name="Set it").click()
    expect(visitor.get_by_text("Your new password is set")).to_be_visible()
    visitor.goto(link[0])
    expect(visitor.get_by_text("This link was used")).to_be_visible()


INVITE = """
from accounts.invitations.service import create_invitation
from django.contrib.auth.models import User
print(create_invitation(by=User.objects.get(username="admin"), role="viewer", tenant=None)[1])
"""


def test_pages_for_strangers_shut_nobody_out(gate: Gateway, browser: Browser) -> None:
    """As tests/browser/test_pages.py looks at the pages of those who are in."""
    token = gate.manage("shell", "--verbosity", "0", "-c", INVITE)
    paths = ("reset", "reset/sent", "reset/done", "reset/MQ/over", f"invitation/{token}")
    found = []
    for scheme in ("light", "dark"):
        context = browser.new_context(
            base_url=gate.url,
            color_scheme=scheme,
            bypass_csp=True,
        )
        opened = context.new_page()
        for path in ("/admin/login/", *(f"/account/{each}" for each in paths)):
            reply = opened.goto(path, wait_until="networkidle")
            assert reply is not None
            assert reply.status == 200, path
            opened.evaluate(AXE.read_text())
            seen = opened.evaluate("axe.run(document, {resultTypes: ['violations']})")
            found += [
                (path, line)
                for violation in seen["violations"]
                if violation["impact"] in SERIOUS
                for line in told(violation)
            ]
        context.close()
    assert found == []
