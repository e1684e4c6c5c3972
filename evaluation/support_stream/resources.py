"""What a stream costs the machine: seconds of its processors, and the workers' memory."""

import os
import time
from dataclasses import dataclass

from benchmarks import machine
from benchmarks.bench import Bench

PROCESSES = ("gateway", "services", "provider", "client")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorTime:
    """Seconds so far: by the clock, and of a processor.

    `gateway`: workers and helper processes; `services`: PostgreSQL and Redis.
    """

    clock: float
    gateway: float
    services: float
    provider: float
    client: float

    def __sub__(self, before: "ProcessorTime") -> "ProcessorTime":
        return ProcessorTime(
            clock=self.clock - before.clock,
            gateway=self.gateway - before.gateway,
            services=self.services - before.services,
            provider=self.provider - before.provider,
            client=self.client - before.client,
        )

    def per_thousand(self, requests: int) -> dict[str, float]:
        """Processor seconds of each for a thousand requests."""
        return {name: round(1000 * seconds / requests, 3) for name, seconds in self._of_each()}

    def shares_of_a_core(self) -> dict[str, float]:
        """Of the time by the clock; two cores in full are 2."""
        return {name: round(seconds / self.clock, 4) for name, seconds in self._of_each()}

    def _of_each(self) -> list[tuple[str, float]]:
        return [(name, getattr(self, name)) for name in PROCESSES]


def read_processor_time(bench: Bench) -> ProcessorTime:
    """As it is now. All started by this process: what is none of the others is a service."""
    gateway, provider = (machine.cpu_seconds(pid) for pid in (bench.pid, bench.place.upstream_pid))
    client = time.process_time()
    services = machine.cpu_seconds(os.getpid()) - client - gateway - provider
    return ProcessorTime(
        clock=time.perf_counter(),
        gateway=gateway,
        services=services,
        provider=provider,
        client=client,
    )


def read_memory(pid: int) -> list[float]:
    """Resident MB of each worker of the gateway."""
    return [round(machine.rss_mb(worker), 1) for worker in machine.workers_of(pid)]
