"""`python -m benchmarks`: one worker of the gateway on one core, beside the bare limit; everything else on the other core.

Prints one Markdown table. What counts is the ratio within a run: the machine differs, and so does its mood.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import load
from demo.management_api import create_plan
from demo.options import Options
from demo.processes import plain_environment, running
from demo.stage import Stage, stage
from gateway_project import embedded
from gateway_project.daemons import free_port

MESSAGES = '"messages":[{"role":"system","content":"You help customers of a shop."},{"role":"user","content":"%s"}]'
PLAN = "bench"
HIT = f'{{"model":"smart/balanced",{MESSAGES % "How do I return a parcel?"},"token_saving_plan_id":"{PLAN}"}}'.encode()
STREAM = HIT[:-1] + b',"stream":true}'
PASS = f'{{"model":"smart/balanced",{MESSAGES % "How do I return a parcel?"}}}'.encode()
MISS = f'{{"model":"smart/balanced",{MESSAGES % "How do I return parcel %d of shelf B?"},"token_saving_plan_id":"{PLAN}"}}'.encode()


def main() -> None:
    """Measure and print. Needs two cores and taskset; says so and measures unpinned without them."""
    pinned = (os.cpu_count() or 1) >= 2
    if pinned:
        os.sched_setaffinity(0, {1})
    with tempfile.TemporaryDirectory(prefix="tokenthrift-bench-") as folder, ExitStack() as stack:
        var = Path(folder)
        var.chmod(0o755)
        opened = stack.enter_context(stage(Options(data=None, json=None, provider=None, model="gpt-4o-mini", latency_ms=0, var=var), var))
        if pinned:
            pin_gateway()
        create_plan(opened.url, opened.admin_key, f'{{"plan_name": "{PLAN}", "cache": {{}}}}')
        rows = measure(opened, stack.enter_context(bare_limit(var)))
    print("| one worker, one core, 16 connections | requests/s | p50 ms | p99 ms |\n| --- | --- | --- | --- |")
    for name, found in rows.items():
        print(f"| {name} | {found.rps:,.0f} | {found.p50:.2f} | {found.p99:.2f} |")
    print(f"\nPython {sys.version.split()[0]}, {os.cpu_count()} cores, gateway {'pinned to core 0' if pinned else 'not pinned'}.")


def measure(opened: Stage, bare: str) -> dict[str, load.Measured]:
    """Each kind of request in turn, the bare limit first."""
    chat = f"{opened.url}/v1/chat/completions"
    upstream = (opened.ledger_url or "").replace("/ledger", "/v1/chat/completions")
    return {
        "bare ASGI + one Redis GET": load.run(bare, lambda: PASS),
        "the demo upstream alone": load.run(upstream, lambda: PASS),
        "exact hit": load.run(chat, lambda: HIT, key=opened.virtual_key),
        "exact hit, streamed": load.run(chat, lambda: STREAM, key=opened.virtual_key),
        "pass-through, no plan": load.run(chat, lambda: PASS, key=opened.virtual_key),
        "miss: embed, look up, store": load.run(chat, load.counted(MISS), key=opened.virtual_key),
    }


@contextmanager
def bare_limit(var: Path) -> Iterator[str]:
    """The bare ASGI application on the gateway's core and Redis; its URL."""
    port, redis = free_port(), embedded.urls(var).redis
    url, log = f"http://127.0.0.1:{port}", var / "bare.log"
    command = ["-m", "benchmarks.bare", "--port", str(port), "--redis", redis]
    with running("bare application", command, url=url, log=log, environment=plain_environment(), seconds=20):
        pin("benchmarks.bare")
        yield url


def pin_gateway() -> None:
    """The server and its compressor to core 0; PostgreSQL, Redis, the upstream and the load stay where this process is."""
    pin("manage.py serve")
    pin("proxy.engines.compressors.worker")


def pin(command: str) -> None:
    """Every thread of the processes whose command line holds these words, among this process's descendants."""
    for pid in _descendants(os.getpid()):
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        if command in line:
            for thread in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(thread), {0})


def _descendants(pid: int) -> list[int]:
    children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    return [*children, *(below for child in children for below in _descendants(child))]


if __name__ == "__main__":
    main()
