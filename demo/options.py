"""What the user asked for: make's variables (DATA, JSON, UPSTREAM) come by the environment,
options win over them."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.workspace import VAR

OPENAI = "https://api.openai.com/v1"
MODEL = "gpt-4o-mini"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`data` None: the demo's own traffic; `provider` None:
    the demo's own upstream, else a provider's base URL."""

    data: Path | None
    json: Path | None
    provider: str | None
    model: str
    latency_ms: float
    var: Path


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> Options:
    """Raises SystemExit, with a line on stderr, for what cannot be done."""
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Replay real conversations through the gateway and show what they cost.",
    )
    parser.add_argument(
        "--data",
        default=environment.get("DATA"),
        help="a folder or file of requests to replay instead (DATA=)",
    )
    parser.add_argument(
        "--json", default=environment.get("JSON"), help="a file to write the figures to (JSON=)"
    )
    parser.add_argument(
        "--upstream",
        default=environment.get("UPSTREAM") or "demo",
        help="demo, or openai for a real provider (UPSTREAM=)",
    )
    parser.add_argument(
        "--model",
        default=environment.get("MODEL") or MODEL,
        help=f"the upstream's model (MODEL=), default {MODEL}",
    )
    parser.add_argument(
        "--latency-ms", type=float, default=300.0, help="of the demo upstream, default 300"
    )
    parser.add_argument(
        "--var", default=str(VAR), help="the folder that is emptied and worked in, default var/demo"
    )
    given = parser.parse_args(arguments)
    if given.upstream not in ("demo", "openai"):
        parser.error(f"UPSTREAM must be demo or openai, got {given.upstream!r}")
    provider = None
    if given.upstream == "openai":
        if not (environment.get("OPENAI_API_KEY") or environment.get("OPENAI_BASE_URL")):
            parser.error(
                "UPSTREAM=openai needs OPENAI_API_KEY, or OPENAI_BASE_URL for a provider "
                "that asks for no key"
            )
        provider = environment.get("OPENAI_BASE_URL") or OPENAI
    return Options(
        data=Path(given.data) if given.data else None,
        json=Path(given.json) if given.json else None,
        provider=provider,
        model=given.model,
        latency_ms=given.latency_ms,
        var=Path(given.var).resolve(),
    )
