"""`manage.py serve` as a person starts it: in a folder of its own,
with the services it brings along."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import Settings

from gateway_project.embedded import configuration, lease
from gateway_project.embedded import processes as embedded_processes
from gateway_project.management.commands.serve import _build_browser_url
from gateway_project.serving import metrics_dir
from tests.support import databases
from tests.support.gateways import running_gateway
from tests.support.upstream import MockUpstream

ADD_BOSS = "from django.contrib.auth.models import User; User.objects.create_superuser('boss')"
START, STOP = 120.0, 60.0  # seconds, generous: two cores, and PostgreSQL makes its cluster first


@dataclass
class Serve:
    """A running `manage.py serve`."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def wait_ready(self) -> "Serve":
        deadline = time.monotonic() + START
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                answer = httpx.get(f"http://127.0.0.1:{self.port}/v1/models", timeout=5)
                # Not the last words of a killed one.
                if answer.status_code == 401 and "Tokenthrift:" in self.log.read_text():
                    return self
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(STOP)


Starter = Callable[..., Serve]


@pytest.fixture
def var(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Callable[[str], Path]]:
    """Makes var folders: below the run's own, which every account may enter,
    with the exported model linked in."""
    made: list[Path] = []

    def make(name: str) -> Path:
        path = configuration.find_var_dir() / f"serve-{name}-{time.monotonic_ns()}"
        path.mkdir()
        (path / "models").symlink_to(models)
        made.append(path)
        return path

    yield make
    for path in made:
        assert _wait_until(lambda path=path: processes(path) == []), processes(path)  # type: ignore[misc]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Starts a server on a free port in that var folder; stops it at the end."""
    started: list[Serve] = []

    def run(var: Path, *arguments: str, port: int | None = None) -> Serve:
        chosen = port or embedded_processes.find_free_port()
        log = tmp_path / f"serve-{len(started)}.log"
        command = [sys.executable, "manage.py", "serve", "--port", str(chosen), *arguments]
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=configuration.BASE_DIR,
                env=environment(var),
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        started.append(Serve(process, chosen, log))
        return started[-1]

    yield run
    for serve in started:
        if serve.process.poll() is None:
            serve.stop()


def environment(var: Path) -> dict[str, str]:
    """Nothing configured but the var folder."""
    ours = ("DATABASE_URL", "REDIS_", "TOKENTHRIFT_", "DJANGO_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {
        "TOKENTHRIFT_VAR_DIR": str(var),
        "TOKENTHRIFT_ENV_FILE": os.devnull,
    }


def read(serve: Serve) -> str:
    return serve.log.read_text()


def manage(var: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        command,
        cwd=configuration.BASE_DIR,
        env=environment(var),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def processes(var: Path) -> list[str]:
    """Command lines of the processes that this var folder's name or environment gives away."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                words = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(var).encode() in words:
                found.append(f"{folder.name} {command}")
    return found


def _wait_until(true: Callable[[], bool], seconds: float = 40.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.1)
    return true()


def database(var: Path) -> "psycopg.Connection[tuple[object, ...]]":
    postgres, _ = configuration.load_service_credentials(var)
    return psycopg.connect(
        f"postgres://tokenthrift:{postgres['password']}@127.0.0.1:{postgres['port']}/tokenthrift",
        connect_timeout=3,
    )


def test_data_survive_a_restart_and_sigterm_leaves_nothing_behind(
    var: Callable[[str], Path], start: Starter
) -> None:
    folder = var("restart")
    first = start(folder).wait_ready()
    assert re.search(
        r"^Tokenthrift: http://127\.0\.0\.1:\d+/start\?token=", read(first), re.MULTILINE
    )
    assert "/dashboard/" not in read(first)
    assert manage(folder, "shell", "-c", ADD_BOSS).returncode == 0
    made = manage(folder, "create_admin_key", "--name", "kept")
    assert made.returncode == 0, made.stderr
    # The second command did not stop the services.
    assert httpx.get(f"http://127.0.0.1:{first.port}/v1/models").status_code == 401
    assert first.stop() == 0
    assert processes(folder) == []  # at once, not after a while

    again = start(folder).wait_ready()
    assert "/dashboard/" in read(again)
    assert "/start to make one" in read(again)  # there is no route
    assert "token=" not in read(again)
    assert "create_admin_key" not in read(again)
    with database(folder) as connection:
        assert connection.execute("SELECT name FROM plans_adminkey").fetchall() == [("kept",)]


def test_requests_leave_no_connection_behind(var: Callable[[str], Path], start: Starter) -> None:
    folder = var("connections")
    serve = start(folder).wait_ready()
    key = manage(folder, "create_admin_key", "--name", "counter").stdout.split()[-1]
    for _ in range(20):
        plans = httpx.get(
            f"http://127.0.0.1:{serve.port}/token-saving/plans",
            headers={"authorization": f"Bearer {key}"},
            timeout=30,
        )
        assert plans.status_code == 200
    with database(folder) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        ).fetchone() or (0,)
    assert isinstance(count, int)
    assert count < 10


def test_two_folders_run_side_by_side(var: Callable[[str], Path], start: Starter) -> None:
    folders = [var("left"), var("right")]
    servers = [start(folder) for folder in folders]
    for server in servers:
        server.wait_ready()
    left, right = (configuration.load_service_credentials(folder) for folder in folders)
    assert {entry["port"] for entry in left}.isdisjoint(entry["port"] for entry in right)
    assert [server.stop() for server in servers] == [0, 0]


def test_a_port_in_use_is_one_clear_line(var: Callable[[str], Path], start: Starter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        serve = start(var("taken"), port=port)
        assert serve.process.wait(START) == 1
    said = [line for line in read(serve).splitlines() if "PostgreSQL and Redis" not in line]
    assert said == [
        f"CommandError: Cannot listen on 127.0.0.1:{port}: Address already in use. Another program "
        "does: end it, or choose another port (make serve ARGS='--port 8001', or "
        "TOKENTHRIFT_PORT)."
    ]


def test_a_database_of_a_newer_version_is_left_alone() -> None:
    ready = databases.ready_database()
    with databases.own_database(os.environ["DATABASE_URL"], copy_of=ready.name) as database:
        with psycopg.connect(database) as connection:
            connection.execute(
                "INSERT INTO django_migrations (app, name, applied) "
                "VALUES ('stats', '0999_later', now())"
            )
        done = subprocess.run(
            [sys.executable, "manage.py", "serve", "--port", "0"],
            cwd=configuration.BASE_DIR,
            env={**os.environ, "DATABASE_URL": database},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "CommandError: A newer version has used this database: it made stats.0999_later" in (
        done.stderr
    )
    assert "Traceback" not in done.stderr


def test_a_database_of_an_older_version_is_brought_up_to_date() -> None:
    ready = databases.ready_database()
    with databases.own_database(os.environ["DATABASE_URL"], copy_of=ready.name) as database:
        environment = {**os.environ, "DATABASE_URL": database}
        for arguments in (("migrate", "proxy", "0007"), ("migrate",), ("migrate", "--check")):
            done = subprocess.run(
                [sys.executable, "manage.py", *arguments],
                cwd=configuration.BASE_DIR,
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr


def test_data_of_another_postgresql_are_left_alone(var: Callable[[str], Path]) -> None:
    folder = var("other-postgres")
    (folder / "postgres").mkdir()
    (folder / "postgres" / "PG_VERSION").write_text("15\n")
    done = manage(folder, "migrate")
    assert done.returncode == 1
    assert "were written by PostgreSQL 15" in done.stderr
    assert "move the folder away to begin anew" in done.stderr
    assert list((folder / "postgres").iterdir()) == [folder / "postgres" / "PG_VERSION"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_after_kill_9_it_starts_again_on_the_same_port(
    var: Callable[[str], Path], start: Starter, workers: str
) -> None:
    folder = var("killed")
    first = start(folder, "--workers", workers).wait_ready()
    first.stop(signal.SIGKILL)
    second = start(folder, "--workers", workers, port=first.port).wait_ready()
    assert second.stop() == 0


def test_services_whose_keeper_is_killed_end_and_can_be_started_again(
    var: Callable[[str], Path],
) -> None:
    folder = var("keeper")
    lease.acquire_lease(folder)
    (keeper,) = [
        line for line in processes(folder) if "gateway_project.embedded.supervisor" in line
    ]
    os.kill(int(keeper.split()[0]), signal.SIGKILL)
    lease.release_lease(folder)
    lease.acquire_lease(folder)
    with database(folder) as connection:
        connection.execute("SELECT 1")
    lease.release_lease(folder)


def test_a_service_that_dies_is_started_again_on_its_port(var: Callable[[str], Path]) -> None:
    folder = var("restarted")
    lease.acquire_lease(folder)
    (redis,) = [line for line in processes(folder) if "valkey-server" in line]
    os.kill(int(redis.split()[0]), signal.SIGKILL)
    _, known = configuration.load_service_credentials(folder)
    # A process that was killed accepts connections until it is gone.
    assert _wait_until(lambda: redis not in processes(folder))
    assert _wait_until(lambda: not _refused(known["port"]))
    lease.release_lease(folder)


def test_the_last_to_leave_stops_the_services(var: Callable[[str], Path]) -> None:
    folder = var("shared")
    lease.acquire_lease(folder)
    shell = manage(
        folder,
        "shell",
        "--verbosity",
        "0",
        "-c",
        "from django.db import connection; connection.ensure_connection()",
    )
    assert shell.returncode == 0, shell.stderr
    with database(folder) as connection:
        connection.execute("SELECT 1")
    lease.release_lease(folder)
    assert processes(folder) == []


def test_a_closed_home_stays_closed_and_its_services_run(var: Callable[[str], Path]) -> None:
    folder = var("closed") / "home" / "var"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o700)
    done = manage(folder, "migrate")
    assert done.returncode == 0, done.stderr
    assert folder.parent.stat().st_mode & 0o777 == 0o700


def test_logs_and_counters_are_closed_to_others_also_where_they_were_open(
    var: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = var("modes")
    former = os.umask(0)  # the widest there is: nothing is left to the account's habits
    try:
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
        for path in (folder / "log", folder / "run" / "metrics"):
            path.mkdir(parents=True, mode=0o777)
        metrics_dir.prepare_metrics_dir(folder)
        lease.acquire_lease(folder)
        lease.release_lease(folder)
        mine = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    finally:
        os.umask(former)
    assert mine.parent == folder / "run" / "metrics"
    closed = (folder / "log", folder / "postgres", folder / "redis", mine.parent, mine)
    assert {path: oct(stat.S_IMODE(path.stat().st_mode)) for path in closed} == dict.fromkeys(
        closed, "0o700"
    )
    logs = {
        path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in (folder / "log").iterdir()
    }
    assert logs == dict.fromkeys(("keeper.log", "postgres.log", "redis.log"), "0o600")


def test_a_folder_that_the_services_cannot_enter_is_one_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where the capability may not be given.
    monkeypatch.setattr("shutil.which", lambda *_, **__: "/bin/false")
    tmp_path.chmod(0o700)
    with pytest.raises(
        embedded_processes.ServiceError,
        match=r"^PostgreSQL cannot run as root, and the account nobody may not enter .*[.]$",
    ):
        embedded_processes.grant_path_access(
            embedded_processes.Account("nobody", 65534, 65534), tmp_path / "postgres"
        )


@pytest.fixture
def unwritable_prices() -> Iterator[str]:
    """A migrated database without prices, whose table of prices takes none."""
    ready = databases.ready_database()
    with databases.own_database(os.environ["DATABASE_URL"], copy_of=ready.name) as database:
        with psycopg.connect(database) as connection:
            connection.execute("DELETE FROM plans_modelprice")
            connection.execute("ALTER TABLE plans_modelprice ADD CHECK (input < 0)")
        yield database


def test_prices_that_cannot_be_written_end_the_start_and_say_why(unwritable_prices: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "serve", "--port", "0"],
        cwd=configuration.BASE_DIR,
        env={**os.environ, "DATABASE_URL": unwritable_prices},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "CommandError: The published prices could not be written:" in done.stderr
    assert "plans_modelprice_input_check" in done.stderr


def test_a_start_writes_the_published_prices_that_are_missing(
    upstream: MockUpstream, tmp_path: Path
) -> None:
    with running_gateway(upstream, tmp_path) as gateway:
        assert "Price list:" not in gateway.log.read_text()
        with psycopg.connect(gateway.environment["DATABASE_URL"]) as connection:
            connection.execute("DELETE FROM plans_modelprice")
        gateway.restart()
        assert re.search(
            r"^Price list: \d{4} prices written\.$", gateway.log.read_text(), re.MULTILINE
        )
        with psycopg.connect(gateway.environment["DATABASE_URL"]) as connection:
            count = connection.execute("SELECT count(*) FROM plans_modelprice").fetchone()
        assert count is not None
        assert count[0] > 1500


def test_debug_is_refused_on_a_public_address(settings: Settings) -> None:
    settings.DEBUG = True
    with pytest.raises(CommandError, match=r"refusing to listen on 0\.0\.0\.0"):
        call_command("serve", "--host", "0.0.0.0", skip_checks=True)


@pytest.mark.parametrize(
    ("host", "hosts", "https", "shown"),
    [
        ("127.0.0.1", ["localhost", "127.0.0.1"], False, "http://127.0.0.1:80"),
        ("::1", ["[::1]"], False, "http://[::1]:80"),
        ("0.0.0.0", ["localhost", "127.0.0.1"], False, "http://localhost:80"),
        ("0.0.0.0", ["*"], False, "http://localhost:80"),
        ("0.0.0.0", [".lan", "gw.lan"], False, "http://gw.lan:80"),
        ("127.0.0.1", ["localhost", "gw.example"], True, "https://gw.example"),
    ],
)
def test_the_address_for_browsers_is_one_that_is_allowed(
    settings: Settings, host: str, hosts: list[str], https: bool, shown: str
) -> None:
    settings.ALLOWED_HOSTS, settings.HTTPS = hosts, https
    assert _build_browser_url(host, 80) == shown


def _refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
