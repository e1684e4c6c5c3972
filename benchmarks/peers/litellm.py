"""LiteLLM, set up as its documentation asks for in production
(docs.litellm.ai/docs/proxy/prod, October 2026).

From that page: one uvicorn worker per core; master key; `LITELLM_MODE=PRODUCTION`;
`set_verbose: false`, JSON logs and `LITELLM_LOG=ERROR`, which also silences the line per request;
`request_timeout: 600`; routing by `simple-shuffle`, the default and the fastest; Redis by host,
port and password, not by URL. No database: no key look-ups, no spend written. The price list and
header table that it would fetch from the web at its start are the ones in the package. Its Rust
core is a beta that is off by default and does not cover OpenAI's chat completions
(docs.litellm.ai/docs/proxy/rust_gateway).
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from benchmarks.peers import probe
from benchmarks.peers.probe import Figures
from benchmarks.peers.server import served
from gateway_project.embedded.processes import LOOPBACK_ADDRESS, write_private_file

VERSION = "1.105.2"
KEY = "sk-bench"
CACHE_SECONDS = 10.0
CACHE_HEADER = "x-litellm-cache-key"  # on answers from the cache only


def install(folder: Path) -> Sequence[Sequence[str]]:
    python = str(folder / "bin" / "python")
    return [
        [sys.executable, "-m", "venv", str(folder)],
        [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            f"litellm[proxy]=={VERSION}",
        ],
    ]


def measure(folder: Path, upstream_url: str, redis_url: str, core: int) -> Figures:
    """Pass-through without a cache and hits with one, each on a process of its own.

    Raises StartError, RuntimeError or OSError.
    """
    with _serving(folder, _config(upstream_url), core) as url:
        figures = probe.passed(url, probe.request(url, KEY), upstream_url)
    with _serving(
        folder, _config(upstream_url) | {"litellm_settings": _settings() | cache(redis_url)}, core
    ) as url:
        _fill(url)
        return figures | probe.cached(url, probe.request(url, KEY), upstream_url)


def _config(upstream_url: str) -> dict[str, Any]:
    target = {"model": f"openai/{probe.MODEL}", "api_base": upstream_url, "api_key": "none"}
    return {
        "model_list": [{"model_name": probe.MODEL, "litellm_params": target}],
        "general_settings": {"master_key": KEY},
        "litellm_settings": _settings(),
    }


def _settings() -> dict[str, Any]:
    return {"set_verbose": False, "json_logs": True, "request_timeout": 600}


def cache(redis_url: str) -> dict[str, Any]:
    """The part of `litellm_settings` that has answers cached on that Redis."""
    parts = urlsplit(redis_url)
    where = {
        "host": parts.hostname,
        "port": parts.port,
        "password": parts.password or "",
        "db": int(parts.path.strip("/") or 0),
    }
    return {"cache": True, "cache_params": {"type": "redis", **where}}


@contextmanager
def _serving(folder: Path, config: dict[str, Any], core: int) -> Iterator[str]:
    """One worker on that core, ready: its address."""
    file = write_private_file(folder / "config.yaml", json.dumps(config))  # JSON is YAML
    with served(
        "LiteLLM",
        lambda port: [
            str(folder / "bin" / "litellm"),
            "--config",
            str(file),
            "--host",
            LOOPBACK_ADDRESS,
            "--port",
            str(port),
            "--num_workers",
            "1",
        ],
        path="/health/readiness",
        core=core,
        folder=folder,
        environment={
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOG": "ERROR",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
        },
    ) as (url, _):
        yield url


def _fill(url: str) -> None:
    """Ask until the answer comes from the cache, which is written after the answer.

    Raises RuntimeError.
    """
    deadline = time.monotonic() + CACHE_SECONDS
    with httpx.Client(
        headers={"authorization": f"Bearer {KEY}", "content-type": "application/json"}, timeout=30
    ) as client:
        while time.monotonic() < deadline:
            answer = client.post(f"{url}/v1/chat/completions", content=probe.BODY)
            if answer.status_code != 200:
                raise RuntimeError(f"LiteLLM answered {answer.status_code}: {answer.text[:200]}")
            if CACHE_HEADER in answer.headers:
                return
            time.sleep(0.2)
    raise RuntimeError(f"LiteLLM served nothing from its cache within {CACHE_SECONDS:g} s.")
