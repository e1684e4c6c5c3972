"""Portkey's open gateway, run as its README says (github.com/Portkey-AI/gateway)
and without its page of logs: `--headless`.

Provider and address come with each request. It has no cache: its answers say
`x-portkey-cache-status: DISABLED`.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers import probe
from benchmarks.peers.probe import Figures
from benchmarks.peers.server import served

VERSION = "1.15.2"
SCRIPT = Path("node_modules", "@portkey-ai", "gateway", "build", "start-server.js")


def install(folder: Path) -> Sequence[Sequence[str]]:
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    return [["npm", "install", "--prefix", str(folder), *options, f"@portkey-ai/gateway@{VERSION}"]]


def measure(folder: Path, upstream_url: str, redis_url: str, core: int) -> Figures:
    """Pass-through. Raises StartError, RuntimeError or OSError."""
    with served(
        "Portkey",
        lambda port: ["node", str(folder / SCRIPT), f"--port={port}", "--headless"],
        path="/",
        core=core,
        folder=folder,
        environment={"NODE_ENV": "production"},
    ) as (url, _):
        more = {"x-portkey-provider": "openai", "x-portkey-custom-host": upstream_url}
        figures = probe.passed(url, probe.request(url, "none", more), upstream_url)
    return {**figures, "note": "its open version does not cache"}
