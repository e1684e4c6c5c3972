"""The process that keeps the embedded services: starts them, restarts one that dies, and stops them when their last user is gone.

Users hold a shared lock on `run/users.lock`. The kernel drops it however a user ends, `kill -9` included; when the keeper gets that lock for
itself alone, nobody needs the services any more. Should the keeper itself be killed, the kernel tells the services to stop.

Run as `python -m gateway_project.keeper VAR [--throwaway]`; prints `ready` or one line that says what is wrong.
"""

import fcntl
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from gateway_project import daemons
from gateway_project.daemons import ServiceError
from gateway_project.postgres import Postgres
from gateway_project.redis_server import Redis

POLL = 0.2
Service = Postgres | Redis


def services(var: Path, *, durable: bool) -> list[Service]:
    """Both services with the ports and passwords remembered in `services.json`, made at the first start."""
    file = var / "services.json"
    known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    for name in ("postgres", "redis"):
        entry = known.setdefault(name, {"port": 0, "password": secrets.token_urlsafe(24)})
        entry["port"] = daemons.free_port(entry["port"])
    draft = var / "services.json.new"
    draft.unlink(missing_ok=True)
    draft.touch(0o600)
    draft.write_text(json.dumps(known))
    draft.replace(file)
    who, logs = daemons.account(), var / "log"
    return [
        Postgres(var / "postgres", logs / "postgres.log", who=who, durable=durable, **known["postgres"]),
        Redis(var / "redis", logs / "redis.log", who=who, durable=durable, **known["redis"]),
    ]


class Keeper:
    """Holds the services of one var folder."""

    def __init__(self, var: Path, *, durable: bool) -> None:
        self.var, self.durable = var, durable
        self.children: list[tuple[Service, signal.Signals, subprocess.Popen[bytes]]] = []

    def start(self) -> None:
        for name, stop in (("postgres", signal.SIGINT), ("redis", signal.SIGTERM)):
            marker = str(self.var / name) if name == "postgres" else str(self.var / name / "redis.conf")
            daemons.end_orphan(self.var / "run" / f"{name}.pid", marker, stop)
        for service in services(self.var, durable=self.durable):
            self._start(service)

    def _start(self, service: Service) -> None:
        stop = signal.SIGINT if isinstance(service, Postgres) else signal.SIGTERM
        child = service.start()
        (self.var / "run" / f"{service.data.name}.pid").write_text(str(child.pid))
        self.children.append((service, stop, child))

    def restart_dead(self) -> None:
        """Start again what ended by itself."""
        for entry in [entry for entry in self.children if entry[2].poll() is not None]:
            print(f"{entry[0].data.name} ended with code {entry[2].returncode}, starting it again", file=sys.stderr, flush=True)
            self.children.remove(entry)
            self._start(entry[0])

    def stop(self) -> None:
        """The reverse of the start: Redis, then PostgreSQL."""
        for service, how, child in reversed(self.children):
            daemons.end(child, how)
            (self.var / "run" / f"{service.data.name}.pid").unlink(missing_ok=True)


def main(var: Path, *, durable: bool) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole terminal; users end first
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    mine = os.open(var / "run" / "keeper.lock", os.O_RDWR | os.O_CREAT, 0o600)
    users = os.open(var / "run" / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(mine, fcntl.LOCK_EX)
    ready = var / "run" / "ready"
    keeper = Keeper(var, durable=durable)
    try:
        keeper.start()
        ready.touch()
        os.write(1, b"ready\n")
        os.close(1)
        while not _alone(users):
            time.sleep(POLL)
            keeper.restart_dead()
    except ServiceError as error:
        os.write(1 if not ready.exists() else 2, f"{error}\n".encode())
        return 1
    finally:
        ready.unlink(missing_ok=True)
        keeper.stop()
    return 0


def _alone(lock: int) -> bool:
    """Whether no user holds the lock; then it is ours, and a newcomer waits until we are gone."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), durable="--throwaway" not in sys.argv))
