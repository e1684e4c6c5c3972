"""Real gateway processes for tests: `manage.py serve` on a database and a cache prefix of its own."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
from openai import OpenAI

from gateway_project.daemons import free_port
from tests.upstream import MockUpstream

ROOT = Path(__file__).resolve().parent.parent
PROMISED = 2.0  # seconds within which a change reaches every worker
ROUTE, MODEL = "smart/balanced", "gpt-4o-mini"


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

    @property
    def sdk(self) -> OpenAI:
        """The official SDK, pointed here; it never retries, so that every call is one request."""
        return OpenAI(base_url=f"{self.url}/v1", api_key=self.virtual_key, max_retries=0)

    def api(self, method: str, path: str, **fields: Any) -> httpx.Response:
        """A call of the management API with the platform's admin key."""
        return httpx.request(method, f"{self.url}{path}", headers={"authorization": f"Bearer {self.admin_key}"}, timeout=30, **fields)

    def chat(self, question: str = "How do I pay?", *, key: str | None = None, **fields: Any) -> httpx.Response:
        """One raw chat request."""
        body = {"model": ROUTE, "messages": [{"role": "user", "content": question}]} | fields
        headers = {"authorization": f"Bearer {self.virtual_key if key is None else key}"}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, headers=headers, timeout=60)

    def worker_pids(self) -> list[int]:
        """The workers alive, beside multiprocessing's own helper."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return sorted(int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes())

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
        """Stop it and start it again, with these changes of its environment."""
        self.stop()
        self.environment |= environment
        self.process = _serve(urlsplit(self.url).port or 0, self.workers, self.environment, self.log)
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
            if answer.status_code in (200, 504) and answer.headers.get("x-tokenthrift-bypass-reason") != "unknown-plan":
                self.let_others_follow()
                return
            time.sleep(0.05)
        raise AssertionError(f"the plan {plan} was not found within {seconds} s")

    def let_others_follow(self) -> None:
        """What one worker knows, all know two seconds after it was said."""
        if self.workers > 1:
            time.sleep(PROMISED)


@contextmanager
def running_gateway(upstream: MockUpstream, folder: Path, *, workers: int = 1, **environment: str) -> Iterator[Gateway]:
    """A gateway with a tenant, keys and the route `smart/balanced` to the upstream."""
    with own_database(environment.pop("DATABASE_URL", "") or os.environ["DATABASE_URL"]) as database:
        port = free_port()
        environment = {
            **os.environ,
            "DATABASE_URL": database,
            "TOKENTHRIFT_INSTANCE": f"test-{uuid.uuid4().hex[:8]}",
            "TOKENTHRIFT_SPOOL_DIR": str(folder / "spool"),
            "TOKENTHRIFT_CACHE_BUDGET_MS": "1000",  # on a busy machine a look-up that is late would be a miss, as it should
            **environment,
        }
        log = folder / "gateway.log"
        gateway = Gateway(f"http://127.0.0.1:{port}", _serve(port, workers, environment, log), environment, log, workers)
        try:
            _wait(gateway)
            _accounts(gateway, upstream)
            yield gateway
        finally:
            gateway.stop()


@contextmanager
def own_database(url: str) -> Iterator[str]:
    """An empty database on the test server; its URL."""
    name = f"gateway_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def inodes(pid: int) -> Iterator[str]:
    """Those of the sockets that a process has open; none when it ended."""
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                yield os.readlink(link).removeprefix("socket:[").removesuffix("]")


def _serve(port: int, workers: int, environment: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "manage.py", "serve", "--port", str(port), "--workers", str(workers)]
    with log.open("ab") as output:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)


def _wait(gateway: Gateway, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and gateway.process.poll() is None:
        try:
            if httpx.get(f"{gateway.url}/readyz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"the gateway did not start:\n{gateway.log.read_text()[-3000:]}")


def _accounts(gateway: Gateway, upstream: MockUpstream) -> None:
    command = [sys.executable, "-m", "demo.accounts", "--route", ROUTE, "--model", MODEL, "--base-url", upstream.base_url]
    done = subprocess.run(command, cwd=ROOT, env=gateway.environment, capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    gateway.virtual_key, gateway.admin_key = found["virtual_key"], found["admin_key"]
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if gateway.chat(cache={"only-if-cached": True}).status_code == 504:
            gateway.let_others_follow()
            return
        time.sleep(0.05)
    raise AssertionError("the new key was not known within five seconds")
