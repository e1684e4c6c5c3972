"""Two workers against one, neither of them pinned, with the load beside them on the same two cores."""

from benchmarks import machine
from benchmarks.bench import Bench, bench
from benchmarks.place import Place
from benchmarks.tally import Tally

CONNECTIONS, SECONDS, WARM = 32, 6.0, 1.5
BOTH = machine.GATEWAY_CORE | machine.REST_CORE


def measure(place: Place, keys: dict[str, str], tally: Tally) -> dict[str, float]:
    """Exact hits: what two workers answer of what one does, and the CPU seconds each request costs them of what it costs one."""
    rates, costs = [], []
    with machine.on(BOTH):  # the load itself too
        for workers in (1, 2):
            with bench(place, keys, tally, workers=workers, cores=BOTH) as opened:
                rate, cost = _hits(opened)
                rates.append(rate)
                costs.append(cost)
    one, two = rates
    return {
        "one_worker_rps": one,
        "two_workers_rps": two,
        "one_worker_cpu_us": 1e6 * costs[0],
        "two_worker_factor": two / one,
        "two_worker_cpu_ratio": costs[1] / costs[0],
    }


def _hits(opened: Bench) -> tuple[float, float]:
    """Hits a second, and CPU seconds of all the gateway's processes for one."""
    requests = opened.hot()
    opened.closed(requests, connections=CONNECTIONS, seconds=WARM)
    used, answered = machine.cpu_seconds(opened.pid), len(opened.tally.ids)
    found = opened.closed(requests, connections=CONNECTIONS, seconds=SECONDS, warm=0.0)
    return found.rps, (machine.cpu_seconds(opened.pid) - used) / (len(opened.tally.ids) - answered)
