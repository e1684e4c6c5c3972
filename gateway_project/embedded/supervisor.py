"""The process that starts the embedded services, restarts them, and stops them when unused.

Run as `python -m gateway_project.embedded.supervisor VAR [--throwaway]`; prints `ready`, or one
line that says what is wrong. It is a process of its own because no user of the services can be
trusted to clean up (`kill -9`), and the first to start them may not be the last to need them.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from gateway_project.embedded import file_locks, processes
from gateway_project.embedded.postgres import EmbeddedPostgres
from gateway_project.embedded.processes import ServiceError
from gateway_project.embedded.redis import EmbeddedRedis

POLL_SECONDS = 0.2
SERVICE_NAMES = ("postgres", "redis")
Service = EmbeddedPostgres | EmbeddedRedis


def build_services(var: Path, *, durable: bool) -> list[Service]:
    """Build both services, with ports and passwords remembered in `services.json`.

    A port that is in use by another process is replaced.
    """
    file = var / "services.json"
    known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    for name in SERVICE_NAMES:
        entry = known.setdefault(name, {"port": 0, "password": secrets.token_urlsafe(24)})
        entry["port"] = processes.find_free_port(entry["port"])
    processes.write_private_file(var / "services.json.new", json.dumps(known)).replace(file)
    who, logs = processes.choose_account(), var / "log"
    return [
        EmbeddedPostgres(
            var / "postgres",
            logs / "postgres.log",
            account=who,
            durable=durable,
            **known["postgres"],
        ),
        EmbeddedRedis(
            var / "redis", logs / "redis.log", account=who, durable=durable, **known["redis"]
        ),
    ]


class ServiceSupervisor:
    """The services of one var folder and their processes, in the order of their start."""

    def __init__(self, var: Path, *, durable: bool) -> None:
        self.var_dir, self.durable = var, durable
        self.running_services: list[tuple[Service, subprocess.Popen[bytes]]] = []

    def start_services(self) -> None:
        """Start both, after ending what a killed supervisor may have left. Raises ServiceError."""
        for name in SERVICE_NAMES:
            processes.end_orphan(self.var_dir / "run" / f"{name}.pid")
        for service in build_services(self.var_dir, durable=self.durable):
            self._start_service(service)

    def _start_service(self, service: Service) -> None:
        child = service.start_process()
        self.running_services.append((service, child))
        processes.record_process(self._pid_file(service), child.pid)

    def restart_dead_services(self) -> None:
        """Restart services that ended by themselves, on the same port. Raises ServiceError."""
        for service, child in [
            entry for entry in self.running_services if entry[1].poll() is not None
        ]:
            write_log_line(
                f"{service.data_dir.name} ended with code {child.returncode}; starting it again"
            )
            self.running_services.remove((service, child))
            self._start_service(service)

    def stop_services(self) -> None:
        """Stop them in the reverse order of their start."""
        for service, child in reversed(self.running_services):
            processes.stop_process(child, service.stop_signal)
            self._pid_file(service).unlink(missing_ok=True)

    def _pid_file(self, service: Service) -> Path:
        return self.var_dir / "run" / f"{service.data_dir.name}.pid"


def write_log_line(line: str) -> None:
    """Write one line to `log/keeper.log`, with the time in UTC."""
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {line}\n")
    sys.stderr.flush()


def run_until_unused(keeper: ServiceSupervisor, run: Path) -> None:
    """Start the services, report that, and return when no lease is left. Raises ServiceError."""
    keeper.start_services()
    (run / "ready").touch()
    os.write(1, b"ready\n")
    os.close(1)
    while not _is_unused(run):
        time.sleep(POLL_SECONDS)
        keeper.restart_dead_services()


def _is_unused(run: Path) -> bool:
    """Whether no process holds a lease."""
    try:
        # The lock is kept, so that a new user waits until this process has ended.
        file_locks.acquire_lock(run / "users.lock", file_locks.EXCLUSIVE)
    except TimeoutError:
        return False
    return True


def main(var: Path, *, durable: bool) -> int:
    """Run the supervisor and return its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    run = var / "run"
    # Another process may be probing it.
    file_locks.acquire_lock(run / "keeper.lock", file_locks.EXCLUSIVE, seconds=1.0)
    keeper = ServiceSupervisor(var, durable=durable)
    try:
        run_until_unused(keeper, run)
    except (ServiceError, OSError) as error:
        # OSError: such as a folder that belongs to another account.
        write_log_line(str(error))
        if not (run / "ready").exists():
            os.write(1, f"{error}\n".encode())
        return 1
    finally:
        (run / "ready").unlink(missing_ok=True)
        keeper.stop_services()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), durable="--throwaway" not in sys.argv))
