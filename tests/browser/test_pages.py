"""Every page, in light and dark, wide and on a phone:
no error, nothing from elsewhere, nothing that shuts people out.

Pages of the admin are found in its registry, so one that is added later is looked at too.
"""

from pathlib import Path
from typing import Any, Final

import pytest
from django.contrib import admin
from playwright.sync_api import Browser, Page

from tests.browser.site import Site
from tests.browser.watch import Watch

AXE: Final = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS: Final = {"wide": 1280, "phone": 390}
SERIOUS: Final = {"serious", "critical"}
PAGES: Final[dict[str, str]] = {
    "dashboard": "/dashboard/?range=30d",
    "dashboard-plan": "/dashboard/?range=30d&plan={busy}",
    "dashboard-key": "/dashboard/?range=30d&plan={busy}&key={key}",
    "dashboard-quiet": "/dashboard/?from=2020-01-01&to=2020-02-01",
    "requests": "/dashboard/requests/?range=7d",
    "request": "/dashboard/requests/{request}/",
    "login": "/admin/login/",
    "missing": "/dashboard/nothing",
    "admin": "/admin/",
    "plan-add": "/admin/plans/plan/add/",
    "plan": "/admin/plans/plan/{plan}/change/",
    "plan-draft": "/admin/plans/plan/{plan}/change/?preset=aggressive",
    "plan-test": "/admin/plans/plan/{plan}/test/",
    "plan-history": "/admin/plans/plan/{plan}/history/",
    "plan-preview": "/admin/plans/plan/{plan}/preview/",
    "plan-explain": "/admin/plans/plan/{plan}/explain/",
    "plan-replay": "/admin/plans/plan/{plan}/replay/",
    "plan-tuning": "/admin/plans/plan/{plan}/tuning/",
    "plans-import": "/admin/plans/plan/import/",
    "plan-delete": "/admin/plans/plan/{plan}/delete/",
    "plan-entries": "/admin/proxy/entry/?plan__id__exact={plan}",
    "key": "/admin/plans/virtualkey/{key}/change/",
    "key-history": "/admin/plans/virtualkey/{key}/history/",
    "prices-import": "/admin/plans/modelprice/import/",
    "password": "/admin/password_change/",
    "second-factor": "/account/second-factor",
    "api-docs": "/api/docs",
}
ADDED_BY_HAND: Final = {
    "accounts_apitoken",
    "accounts_invitation",
    "auth_user",
    "plans_adminkey",
    "plans_modelprice",
    "plans_tenant",
    "plans_virtualkey",
    "proxy_route",
    "proxy_upstream",
}
STATUS: Final = {"missing": 404}
for options in admin.site._registry.values():
    name = f"{options.opts.app_label}_{options.opts.model_name}"
    PAGES.setdefault(f"admin-{name}", f"/admin/{name.replace('_', '/')}/")
    if name in ADDED_BY_HAND:
        PAGES[f"admin-{name}-add"] = f"/admin/{name.replace('_', '/')}/add/"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_breaks_nothing_and_fits(
    site: Site, page: Page, name: str, watch: Watch, screens: Path | None
) -> None:
    if name == "login":
        page.context.clear_cookies()
    for scheme in ("light", "dark"):
        for width, pixels in WIDTHS.items():
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": pixels, "height": 900})
            reply = page.goto(path(site, name), wait_until="networkidle")
            assert reply is not None
            assert reply.status == STATUS.get(name, 200)
            # Django's own tables scroll sideways.
            if not name.startswith(("admin", "plan", "price", "password")):
                assert page.evaluate("document.documentElement.scrollWidth") <= pixels
            if screens:
                page.screenshot(path=screens / f"{name}-{scheme}-{width}.png", full_page=True)
    if name in STATUS:
        watch.forgive(str(STATUS[name]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_shuts_nobody_out(site: Site, browser: Browser, name: str, scheme: Any) -> None:
    """On a page load of its own, since axe writes styles that the page's policy refuses."""
    session = None if name == "login" else site.session(browser)
    context = browser.new_context(
        base_url=site.url, storage_state=session, color_scheme=scheme, bypass_csp=True
    )
    opened = context.new_page()
    opened.goto(path(site, name), wait_until="networkidle")
    opened.evaluate(AXE.read_text())
    found = opened.evaluate("axe.run(document, {resultTypes: ['violations']})")
    context.close()
    assert [
        line
        for violation in found["violations"]
        if violation["impact"] in SERIOUS
        for line in told(violation)
    ] == []


def told(violation: dict[str, Any]) -> list[str]:
    """A line for each place, with what is wrong there."""
    return [
        f"{violation['id']}: {' '.join(node['target'])}: {node['failureSummary']}"
        for node in violation["nodes"]
    ]


def path(site: Site, name: str) -> str:
    return PAGES[name].format(
        plan=site.plan,
        busy=site.past.plans["support-bot-cache"],
        key=site.past.keys[0][0],
        request=site.past.request,
    )


def test_the_watch_sees_what_it_is_for(site: Site, page: Page, watch: Watch) -> None:
    """An inline style, a script's error and a request to elsewhere, made on purpose."""
    page.goto("/dashboard/")
    page.evaluate(
        "document.body.setAttribute('style', 'color: red'); setTimeout(() => { throw "
        "Error('on purpose') })"
    )
    page.evaluate("fetch('http://127.0.0.1:9/elsewhere').catch(() => 0)")
    page.wait_for_timeout(300)
    assert {line.split(":")[0] for line in watch.found} >= {"console", "error"}
    assert any("content security policy: style-src-attr" in line for line in watch.found)
    assert any("connect-src" in line for line in watch.found)
    watch.found.clear()
