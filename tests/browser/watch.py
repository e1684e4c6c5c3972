"""What a page must not do while somebody looks at it."""

from dataclasses import dataclass, field

from playwright.sync_api import ConsoleMessage, Page, Request, Response

# A blocked style says so in the console too, but a violation that only reports would not.
REPORT = """document.addEventListener('securitypolicyviolation', event =>
  console.error(`content security policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`))"""  # noqa: E501 -- laid out as it is read


@dataclass
class Watch:
    """Collects what went wrong on a page: errors in its console, violations of its policy,
    requests to anybody else, replies of 500."""

    site: str
    found: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        page.add_init_script(REPORT)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.found.append(f"error: {error}"))
        page.on("request", self._request)
        page.on("response", self._response)

    def forgive(self, part: str) -> None:
        """Forget what was found that has this in it: a test that asks for a refusal gets one."""
        self.found = [line for line in self.found if part not in line]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.found.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _request(self, request: Request) -> None:
        if not request.url.startswith(
            (self.site, self.site.replace("http", "ws", 1), "data:", "blob:")
        ):
            self.found.append(f"external request: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 500:
            self.found.append(f"{response.status}: {response.url}")
