"""`python -m benchmarks.faults`: what a frozen or dead Redis or PostgreSQL adds to a request.

Prints one Markdown table.

Each fault gets a pause before it (breakers closed) and 30 requests, one after the other; the first
ones pay, the breaker spares the rest. The servers and the gateway are those of the tests.
"""

import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.gateways import ROUTE, Gateway, running_gateway
from tests.support.servers import PostgresServer, RedisServer, Server
from tests.support.upstream import running_upstream

REQUESTS = 30
PLAN = "faults"


@contextmanager
def frozen(*servers: Server) -> Iterator[None]:
    with ExitStack() as stack:
        for server in servers:
            stack.enter_context(server.frozen())
        yield


@contextmanager
def killed(*servers: Server) -> Iterator[None]:
    for server in servers:
        server.kill()
    yield
    for server in servers:
        server.restart()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tokenthrift-faults-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("postgres", "redis"):
            (folder / part).mkdir()
        postgres, redis = PostgresServer(folder / "postgres"), RedisServer(folder / "redis")
        stack.callback(lambda: [server.kill() for server in (postgres, redis)])
        os.environ |= environment(folder)
        upstream = stack.enter_context(running_upstream())
        urls: dict[str, Any] = {
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            "TOKENTHRIFT_CACHE_BUDGET_MS": "100",
        }
        gateway = stack.enter_context(running_gateway(upstream, folder, **urls))
        assert (
            gateway.api(
                "POST", "/token-saving/plans", json={"plan_name": PLAN, "cache": {}}
            ).status_code
            == 201
        )
        gateway.wait_plan(PLAN)
        send(gateway)  # warm
        faults: dict[str, Callable[[], AbstractContextManager[None]]] = {
            "Redis frozen": lambda: frozen(redis),
            "Redis killed": lambda: killed(redis),
            "PostgreSQL frozen": lambda: frozen(postgres),
            "PostgreSQL killed": lambda: killed(postgres),
            "both frozen": lambda: frozen(redis, postgres),
        }
        print(
            f"| milliseconds a miss takes beyond the upstream, {REQUESTS} in a row | median | "
            "slowest | the first five |"
        )
        print("| --- | --- | --- | --- |")
        show("all well", send(gateway))
        sent = 2 * REQUESTS
        for fault, begin in faults.items():
            time.sleep(3)
            with begin():
                took = send(gateway)
            show(fault, took)
            sent += REQUESTS
        counted = gateway.stats(PLAN, requests=sent, seconds=30)["total_requests"]
        print(f"\nSent {sent}, counted {counted} once all was back.")


def environment(folder: Path) -> dict[str, str]:
    """Secrets for a gateway of its own, and the embedding model of the checkout."""
    from cryptography.fernet import Fernet

    (folder / "var").mkdir()
    models = Path(__file__).resolve().parent.parent / "var" / "models"
    models.mkdir(parents=True, exist_ok=True)
    (folder / "var" / "models").symlink_to(models)
    return {
        "TOKENTHRIFT_VAR_DIR": str(folder / "var"),
        "TOKENTHRIFT_SECRET_KEY": uuid.uuid4().hex * 2,
        "TOKENTHRIFT_KEY_PEPPER": uuid.uuid4().hex,
        "TOKENTHRIFT_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "TOKENTHRIFT_ENV_FILE": os.devnull,
    }


def send(gateway: Gateway) -> list[float]:
    """New questions, one after the other; what each took beyond the upstream, in milliseconds,
    as the gateway measured it."""
    headers = {"authorization": f"Bearer {gateway.virtual_key}"}
    took = []
    with httpx.Client(headers=headers, timeout=30) as client:
        for number in range(REQUESTS):
            content = f"How do I return parcel {number} of {uuid.uuid4().hex[:8]}?"
            body = {
                "model": ROUTE,
                "messages": [{"role": "user", "content": content}],
                "token_saving_plan_id": PLAN,
            }
            answer = client.post(f"{gateway.url}/v1/chat/completions", json=body)
            assert answer.status_code == 200, answer.text
            took.append(float(answer.headers["x-tokenthrift-overhead-ms"]))
    return took


def show(fault: str, took: list[float]) -> None:
    first = ", ".join(f"{value:.0f}" for value in took[:5])
    print(f"| {fault} | {statistics.median(took):.1f} | {max(took):.0f} | {first} |", flush=True)


if __name__ == "__main__":
    main()
