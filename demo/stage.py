"""What the replay plays on: an upstream, a gateway of its own, and accounts in it.

All of it gone when the block ends.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.options import Options
from demo.processes import StartError, plain_environment, running
from demo.replay import ROUTE
from demo.workspace import ROOT
from gateway_project.embedded.processes import find_free_port
from proxy.management.slow_steps import report_slow_step

# To come up; the gateway's first start exports a model.
GATEWAY_SECONDS, UPSTREAM_SECONDS, ACCOUNTS_SECONDS = 240.0, 30.0, 120.0
USUAL_START = "half a minute when it is the first time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The running gateway and what opens it. `ledger_url` None: a provider without a ledger."""

    url: str
    ledger_url: str | None
    virtual_key: str
    admin_key: str
    password: str


@contextmanager
def stage(chosen: Options, var: Path) -> Iterator[Stage]:
    """Start upstream and gateway in `var` and make the accounts. Raises StartError."""
    environment = plain_environment(
        TOKENTHRIFT_VAR_DIR=str(var), TOKENTHRIFT_ENV_FILE=os.devnull, PYTHONUNBUFFERED="1"
    )
    with ExitStack() as stack:
        provider, ledger_url = chosen.provider, None
        if provider is None:
            address = stack.enter_context(_upstream(chosen.latency_ms, var, environment))
            provider, ledger_url = f"{address}/v1", f"{address}/ledger"
        with report_slow_step("starting the gateway", usual=USUAL_START, write=_say):
            url, _ = stack.enter_context(gateway(var, environment))
            secrets = accounts(
                environment | _provider_key(chosen), provider=provider, model=chosen.model
            )
        yield Stage(url=url, ledger_url=ledger_url, **secrets)


@contextmanager
def _upstream(latency_ms: float, var: Path, environment: Mapping[str, str]) -> Iterator[str]:
    port = find_free_port()
    address = f"http://127.0.0.1:{port}"
    command = ["-m", "demo.upstream", "--port", str(port), "--latency-ms", str(latency_ms)]
    ready = f"{address}/v1/models"
    with running(
        "demo upstream",
        command,
        url=ready,
        log=var / "upstream.log",
        environment=environment,
        seconds=UPSTREAM_SECONDS,
    ):
        yield address


@contextmanager
def gateway(
    var: Path, environment: Mapping[str, str], *, workers: int = 1
) -> Iterator[tuple[str, int]]:
    """A ready gateway on the services of `var`: its address and process id. Raises StartError."""
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        "-m",
        "gateway_project.command_line",
        "serve",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        str(workers),
    ]
    log = var / "gateway.log"
    with running(
        "gateway",
        command,
        url=f"{url}/readyz",
        log=log,
        environment=environment,
        seconds=GATEWAY_SECONDS,
    ) as pid:
        yield url, pid


def _say(line: str) -> None:
    print(line, flush=True)


def _provider_key(chosen: Options) -> dict[str, str]:
    """The key of a real provider, for the process that seals it in the database
    and for no other."""
    return {"OPENAI_API_KEY": os.environ.get("OPENAI_API_KEY", "")} if chosen.provider else {}


def accounts(environment: Mapping[str, str], *, provider: str, model: str) -> dict[str, str]:
    """Tenant, keys, login and the route to the provider, made in the gateway's database;
    the secrets by name. Raises StartError."""
    command = [
        sys.executable,
        "-m",
        "demo.accounts",
        "--route",
        ROUTE,
        "--model",
        model,
        "--base-url",
        provider,
    ]
    done = subprocess.run(
        command,
        env=dict(environment),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=ACCOUNTS_SECONDS,
        check=False,
    )
    if done.returncode:
        raise StartError(f"The accounts could not be made. {done.stderr.strip()[-2000:]}")
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found
