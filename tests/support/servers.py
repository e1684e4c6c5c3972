"""Servers of a test's own, to be frozen, killed and started again."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import redis

from gateway_project.embedded import processes
from gateway_project.embedded.postgres import EmbeddedPostgres
from gateway_project.embedded.redis import find_redis_server, find_search_module


class Server:
    """A server process with its children. Use as `with`: it ends with the block."""

    url: str

    def __init__(self) -> None:
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        raise TypeError("a subclass says how")

    def signal(self, number: signal.Signals) -> None:
        """To the server and its children, which PostgreSQL puts into sessions of their own.

        Held still first, it makes no new ones.
        """
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGSTOP)
        for pid in (*self._children(), self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        self.process = self.start()

    def _children(self) -> list[int]:
        try:
            return [
                int(pid)
                for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
                .read_text()
                .split()
            ]
        except OSError:
            return []


class PostgresServer(Server):
    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        self._postgres = EmbeddedPostgres(
            folder / "data",
            folder / "log",
            processes.find_free_port(),
            "secret",
            processes.choose_account(),
            durable=False,
        )
        self.url = self._postgres.url
        super().__init__()

    def start(self) -> "subprocess.Popen[bytes]":
        return self._postgres.start_process()


class RedisServer(Server):
    """Without a password; `search` loads the search module."""

    def __init__(self, folder: Path, *, search: bool = True) -> None:
        self._folder, self._search, self._port = folder, search, processes.find_free_port()
        self.url = f"redis://127.0.0.1:{self._port}"
        super().__init__()

    def start(self) -> "subprocess.Popen[bytes]":
        command = [
            str(find_redis_server()),
            "--port",
            str(self._port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self._folder),
        ]
        command += ["--loadmodule", str(find_search_module())] if self._search else []
        log = self._folder / "log"
        child = processes.launch_program(
            command, who=processes.Account(), log=log, parent_death=signal.SIGKILL
        )
        processes.wait_until_ready("Redis", child, self._answers, log)
        return child

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url, socket_timeout=2) as client:
            try:
                return bool(client.ping())
            except (redis.RedisError, OSError):
                return False


class QdrantServer(Server):
    """The stand-in of tests/support/qdrant.py, empty again after a restart.

    With `api_key`, a request without it is refused.
    """

    def __init__(self, folder: Path, api_key: str = "") -> None:
        self._folder, self._key, self._port = folder, api_key, processes.find_free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        super().__init__()

    def start(self) -> "subprocess.Popen[bytes]":
        log = self._folder / "log"
        command = [
            sys.executable,
            str(Path(__file__).with_name("qdrant.py")),
            str(self._port),
            self._key,
        ]
        child = processes.launch_program(
            command, who=processes.Account(), log=log, parent_death=signal.SIGKILL
        )
        processes.wait_until_ready("Qdrant's stand-in", child, self._answers, log)
        return child

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/collections", timeout=2).status_code in (200, 401)
        except httpx.TransportError:
            return False
