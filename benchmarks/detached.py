"""Compression without a gateway around it (`benchmarks.compression`),
in a process of its own on the gateway's core."""

import json
import subprocess
import sys

from benchmarks import machine
from benchmarks.curves import Curve
from benchmarks.place import Place

CODE = (
    "import json; from dataclasses import asdict; from benchmarks.compression import measure; "
    "print(json.dumps(asdict(measure())))"
)
FIGURES = {
    "cold_ms": "compress_cold_ms",
    "cold_p99_ms": "compress_cold_p99_ms",
    "next_ms": "compress_next_ms",
    "next_p99_ms": "compress_next_p99_ms",
    "versus_sumy": "compress_vs_sumy",
    "growth_exponent": "compress_growth_exponent",
}


def compression(place: Place) -> tuple[dict[str, float], dict[str, Curve]]:
    """Its figures and its curve. Raises RuntimeError with the process's last words."""
    with machine.on(machine.GATEWAY_CORE):
        done = subprocess.run(
            [sys.executable, "-c", CODE],
            env=dict(place.environment),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"benchmarks.compression: {done.stderr.strip()[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    curve = [(float(size), float(value)) for size, value in found["growth"]]
    return {ours: found[theirs] for theirs, ours in FIGURES.items()}, {
        "compress_ms_by_sentences": curve
    }
