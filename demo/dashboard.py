"""The dashboard as staff see it: log in with the browser's form,
read what the page says of each plan."""

import re
from collections.abc import Iterator, Mapping

import httpx

from demo.figures import Bill

_ROW = re.compile(r"<tr\b.*?</tr>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class LoginRefused(Exception):
    """The log-in that was just made does not open the dashboard."""


def page(url: str, name: str, password: str) -> str:
    """The HTML of /dashboard/. Raises LoginRefused."""
    with httpx.Client(base_url=url, timeout=10, follow_redirects=True) as browser:
        form = browser.get("/admin/login/", params={"next": "/dashboard/"})
        found = _TOKEN.search(form.text)
        fields = {
            "username": name,
            "password": password,
            "next": "/dashboard/",
            "csrfmiddlewaretoken": found[1] if found else "",
        }
        shown = browser.post("/admin/login/", data=fields, headers={"referer": str(form.url)})
    if shown.status_code != 200 or not shown.url.path.startswith("/dashboard"):
        raise LoginRefused(
            f"the log-in of {name} ended at {shown.url.path} with {shown.status_code}."
        )
    return shown.text


def disagreements(html: str, bills: Mapping[str, Bill]) -> Iterator[str]:
    """One line for each plan whose requests and tokens saved do not stand in one row of the page
    with its name."""
    rows = [" ".join(_TAG.sub(" ", row).split()) for row in _ROW.findall(html)]
    for plan, bill in bills.items():
        wanted = {plan, f"{bill.requests:,}", f"{bill.tokens_saved:,}"}
        if bill.requests and not any(wanted <= set(row.split()) for row in rows):
            yield (
                f"{plan}: the dashboard has no row with {bill.requests:,} requests and "
                f"{bill.tokens_saved:,} tokens saved"
            )
