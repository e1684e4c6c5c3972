"""Real gateway processes for tests: `manage.py serve` on a database
and a cache prefix of its own."""

import os
import re
import signal
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from openai import DefaultHttpxClient, OpenAI

from tests.support import databases
from tests.support.process_logs import shown_on_failure
from tests.support.upstream import MockUpstream

ROOT, ROUTE = databases.ROOT, databases.ROUTE
PROMISED = 2.0  # seconds within which a change reaches every worker
# Reading the certificates takes tens of milliseconds: once, not for each connection.
TLS = ssl.create_default_context()
ADDRESS = re.compile(r"^Tokenthrift: (http://[^/]+)\S*/(?:v1\b|start\?)", re.MULTILINE)


@dataclass
class Gateway:
    """A running gateway, its keys and its environment."""

    url: str
    process: "subprocess.Popen[bytes]"
    environment: dict[str, str]
    log: Path
    workers: int = 1
    virtual_key: str = ""
    admin_key: str = ""
    password: str = ""

    @property
    def sdk(self) -> OpenAI:
        """The official SDK, pointed here; it never retries, so that every call is one request."""
        return OpenAI(
            base_url=f"{self.url}/v1",
            api_key=self.virtual_key,
            max_retries=0,
            http_client=DefaultHttpxClient(verify=TLS),
        )

    def api(self, method: str, path: str, **fields: Any) -> httpx.Response:
        """A call of the management API with the platform's admin key."""
        return httpx.request(
            method,
            f"{self.url}{path}",
            headers={"authorization": f"Bearer {self.admin_key}"},
            timeout=30,
            verify=TLS,
            **fields,
        )

    def chat(
        self, question: str = "How do I pay?", *, key: str | None = None, **fields: Any
    ) -> httpx.Response:
        """One raw chat request."""
        body = {"model": ROUTE, "messages": [{"role": "user", "content": question}]} | fields
        headers = {"authorization": f"Bearer {self.virtual_key if key is None else key}"}
        return httpx.post(
            f"{self.url}/v1/chat/completions", json=body, headers=headers, timeout=60, verify=TLS
        )

    def worker_pids(self) -> list[int]:
        """The workers alive, beside multiprocessing's own helper."""
        children = (
            Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        )
        return sorted(
            int(pid)
            for pid in children
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )

    def manage(self, *arguments: str) -> str:
        """What a management command printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return done.stdout.strip()

    def stop(self) -> None:
        """End it as an operator would."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def restart(self, **environment: str) -> None:
        """Stop it and start it again, with these changes of its environment and another address."""
        self.stop()
        self.environment |= environment
        self.process = _serve(self.workers, self.environment, self.log)
        _wait(self)

    def stats(self, plan: str, *, requests: int, seconds: float = 10.0) -> dict[str, Any]:
        """The plan's stats, once they count that many requests."""
        deadline = time.monotonic() + seconds
        found: dict[str, Any] = {}
        while time.monotonic() < deadline:
            found = self.api("GET", f"/token-saving/plans/{plan}/stats").json()
            if found["total_requests"] >= requests:
                return found
            time.sleep(0.1)
        raise AssertionError(f"{requests} requests were not counted within {seconds} s: {found}")

    def wait_plan(self, plan: str, seconds: float = PROMISED + 3) -> None:
        """Return once requests find the plan, on every worker."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = self.chat(cache={"only-if-cached": True}, token_saving_plan_id=plan)
            if (
                answer.status_code in (200, 504)
                and answer.headers.get("x-tokenthrift-bypass-reason") != "unknown-plan"
            ):
                self.let_others_follow()
                return
            time.sleep(0.05)
        raise AssertionError(f"the plan {plan} was not found within {seconds} s")

    def let_others_follow(self) -> None:
        """What one worker knows, all know two seconds after it was said."""
        if self.workers > 1:
            time.sleep(PROMISED)


@contextmanager
def running_gateway(
    upstream: MockUpstream, folder: Path, *, workers: int = 1, **environment: str
) -> Iterator[Gateway]:
    """A gateway with a tenant, keys and the route `smart/balanced` to the upstream.

    Its database is a copy of one with tables, prices and accounts; on a server named by
    DATABASE_URL it begins with an empty one.
    """
    own = environment.pop("DATABASE_URL", "")
    ready = None if own else databases.ready_database()
    with databases.own_database(
        own or os.environ["DATABASE_URL"], copy_of=ready.name if ready else "template1"
    ) as database:
        environment = {
            **os.environ,
            "DATABASE_URL": database,
            "TOKENTHRIFT_INSTANCE": f"test-{uuid.uuid4().hex[:8]}",
            "TOKENTHRIFT_SPOOL_DIR": str(folder / "spool"),
            # On a busy machine a look-up that is late would be a miss, as it should.
            "TOKENTHRIFT_CACHE_BUDGET_MS": "1000",
            **environment,
        }
        if ready is not None:
            databases.point(database, upstream.base_url)
        log = folder / "gateway.log"
        gateway = Gateway("", _serve(workers, environment, log), environment, log, workers)
        with shown_on_failure(log):
            try:
                _wait(gateway)
                made = (
                    ready.accounts if ready else databases.accounts(environment, upstream.base_url)
                )
                gateway.virtual_key, gateway.admin_key, gateway.password = (
                    made.virtual_key,
                    made.admin_key,
                    made.password,
                )
                _wait_known(gateway)
                yield gateway
            finally:
                gateway.stop()


@contextmanager
def empty_gateway(folder: Path, *, workers: int = 1, **environment: str) -> Iterator[Gateway]:
    """A gateway as it is first started: no account, key, route or plan; its log has the way in."""
    with databases.own_database(os.environ["DATABASE_URL"], copy_of="template1") as database:
        environment = {
            **os.environ,
            "DATABASE_URL": database,
            "TOKENTHRIFT_INSTANCE": f"test-{uuid.uuid4().hex[:8]}",
            "TOKENTHRIFT_SPOOL_DIR": str(folder / "spool"),
            "TOKENTHRIFT_CACHE_BUDGET_MS": "1000",
            **environment,
        }
        log = folder / "gateway.log"
        gateway = Gateway("", _serve(workers, environment, log), environment, log, workers)
        with shown_on_failure(log):
            try:
                _wait(gateway)
                yield gateway
            finally:
                gateway.stop()


def inodes(pid: int) -> Iterator[str]:
    """Those of the sockets that a process has open; none when it ended."""
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                yield os.readlink(link).removeprefix("socket:[").removesuffix("]")


def _serve(workers: int, environment: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "manage.py", "serve", "--port", "0", "--workers", str(workers)]
    with log.open("wb") as output:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)


def _wait(gateway: Gateway, seconds: float = 150.0) -> None:
    """Until every worker has started; the address is read where a person reads it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and gateway.process.poll() is None:
        log = gateway.log.read_text()
        if (said := ADDRESS.search(log)) and log.count(
            "Application startup complete."
        ) == gateway.workers:
            gateway.url = said[1]
            with suppress(httpx.TransportError):  # a worker says so a moment before it listens
                if httpx.get(f"{gateway.url}/readyz", timeout=30).status_code == 200:
                    return
        time.sleep(0.05)
    raise AssertionError(f"the gateway did not start:\n{gateway.log.read_text()[-3000:]}")


def _wait_known(gateway: Gateway, seconds: float = PROMISED + 3) -> None:
    """Until its key is known, as it is from the beginning where the database had it then."""
    deadline = time.monotonic() + seconds
    first = True
    while time.monotonic() < deadline:
        if gateway.chat(cache={"only-if-cached": True}).status_code == 504:
            if not first:
                gateway.let_others_follow()
            return
        first = False
        time.sleep(0.05)
    raise AssertionError(f"the new key was not known within {seconds} s")
