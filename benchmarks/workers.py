"""Two workers against one, with the load beside them on the same two cores:
nothing is pinned, services included, and nobody goes first.

A client that goes first, as elsewhere in the benchmark, wakes for every single answer in the middle
of a worker's work, and needs a fifth more of the processor itself. Here no latency is measured, so
it waits its turn. Workers are warm, as they are in use.
"""

from statistics import mean

from benchmarks import machine
from benchmarks.bench import Bench, bench
from benchmarks.place import Place
from benchmarks.tally import Tally
from benchmarks.together import together

CONNECTIONS, SECONDS, WARM = 32, 4.0, 1.5
# One worker, two, and both again: the same worker differs by a tenth from start to start.
ROUNDS = 2
BOTH = machine.GATEWAY_CORE | machine.REST_CORE


def measure(place: Place, keys: dict[str, str], tally: Tally) -> dict[str, float]:
    """Exact hits: what two workers answer of what one does,
    and the CPU seconds each request costs them of what it costs one."""
    found: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    with together(BOTH):
        for workers in (1, 2) * ROUNDS:
            with bench(place, keys, tally, workers=workers, cores=BOTH) as opened:
                found[workers].append(_hits(opened))
    (one, cost_of_one), (two, cost_of_two) = (
        map(mean, zip(*found[workers], strict=True)) for workers in (1, 2)
    )
    return {
        "one_worker_rps": one,
        "two_workers_rps": two,
        "one_worker_cpu_us": 1e6 * cost_of_one,
        "two_worker_factor": two / one,
        "two_worker_cpu_ratio": cost_of_two / cost_of_one,
    }


def _hits(opened: Bench) -> tuple[float, float]:
    """Hits a second, and CPU seconds of all the gateway's processes for one."""
    requests = opened.hot()
    opened.closed(requests, connections=CONNECTIONS, seconds=WARM)
    used, answered = machine.cpu_seconds(opened.pid), len(opened.tally.ids)
    found = opened.closed(requests, connections=CONNECTIONS, seconds=SECONDS, warm=0.0)
    return found.rps, (machine.cpu_seconds(opened.pid) - used) / (len(opened.tally.ids) - answered)
