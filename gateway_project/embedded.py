"""The services and secrets a checkout brings along, so that it runs with nothing installed and nothing configured.

With DATABASE_URL and REDIS_URL set nothing here starts anything. Without them, `start` makes sure that a keeper (`gateway_project.keeper`)
runs PostgreSQL and Redis for this var folder, and holds on to them until this process ends.
"""

import fcntl
import json
import os
import secrets
import selectors
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from gateway_project import environment
from gateway_project.daemons import START_DEADLINE, STOP_DEADLINE, ServiceError, tail

BASE_DIR = Path(__file__).resolve().parent.parent
NOT_STARTED = {"port": 1, "password": ""}  # an address that refuses: commands that need no service can still read the settings
_held: dict[Path, int] = {}


@dataclass(frozen=True)
class Urls:
    """Where the services are. `redis` names the database of exact entries; `redis_semantic` always database 0, the only one that
    can be searched; `qdrant` may be empty."""

    database: str
    redis: str
    redis_semantic: str
    qdrant: str


def needed() -> bool:
    """Whether this configuration uses an embedded service."""
    return not (environment.text("DATABASE_URL") and environment.text("REDIS_URL"))


def urls(var: Path) -> Urls:
    """The configured addresses, the embedded ones where none is configured."""
    known = _remembered(var)
    postgres, redis = known["postgres"], known["redis"]
    database = environment.text("DATABASE_URL") or f"postgres://tokenthrift:{postgres['password']}@127.0.0.1:{postgres['port']}/tokenthrift"
    exact = environment.text("REDIS_URL") or f"redis://:{redis['password']}@127.0.0.1:{redis['port']}"
    semantic = environment.text("REDIS_SEMANTIC_URL") or exact
    return Urls(database, _with_database(exact, None), _with_database(semantic, 0), environment.text("QDRANT_URL"))


def secret(var: Path, name: str) -> str:
    """The secret from the environment; with the embedded database, one made at the first start and kept in `var/secrets`.

    Raises ImproperlyConfigured when DATABASE_URL is set and the secret is not: data that outlive this folder need a key that does."""
    value = environment.text(name)
    if value:
        return value
    if environment.text("DATABASE_URL"):
        raise ImproperlyConfigured(f"{name} (or {name}_FILE) must be set when DATABASE_URL is.")
    file = var / "secrets" / name.lower()
    if not file.exists():
        _keep(file, Fernet.generate_key().decode() if name == "TOKENTHRIFT_ENCRYPTION_KEYS" else secrets.token_urlsafe(48))
    return file.read_text().strip()


def start(var: Path, *, durable: bool = True) -> None:
    """Have the services of `var` running until this process ends or calls `release`. Raises ServiceError."""
    run = var.resolve() / "run"
    for folder in (var, run, var / "log"):
        folder.mkdir(parents=True, exist_ok=True)
    starting = _lock(run / "start.lock", fcntl.LOCK_EX, START_DEADLINE * 2)
    try:
        _held[run] = _lock(run / "users.lock", fcntl.LOCK_SH, STOP_DEADLINE * 2.5)
        if _keeper_runs(run):
            _wait_for(run / "ready")
        else:
            _start_keeper(var.resolve(), durable=durable)
    except BaseException:
        release(var, wait=0)
        raise
    finally:
        os.close(starting)


def release(var: Path, *, wait: float = STOP_DEADLINE) -> None:
    """Give the services up; when nobody else uses them, return after they stopped or `wait` seconds passed."""
    run = var.resolve() / "run"
    held = _held.pop(run, None)
    if held is None:
        return
    os.close(held)
    deadline = time.monotonic() + wait
    while _users_gone(run) and _keeper_runs(run) and time.monotonic() < deadline:
        time.sleep(0.05)


def _start_keeper(var: Path, *, durable: bool) -> None:
    (var / "run" / "ready").unlink(missing_ok=True)
    log = var / "log" / "keeper.log"
    command = [sys.executable, "-m", "gateway_project.keeper", str(var), *([] if durable else ["--throwaway"])]
    with log.open("ab") as errors:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, cwd=BASE_DIR, start_new_session=True
        )
    assert child.stdout is not None  # noqa: S101 - PIPE was asked for
    with selectors.DefaultSelector() as selector, child.stdout as answer:
        selector.register(answer, selectors.EVENT_READ)
        line = answer.readline().decode().strip() if selector.select(START_DEADLINE * 8) else ""  # a first start creates the cluster
    if line != "ready":
        raise ServiceError(line or f"The embedded services did not start. {tail(log)}")
    child.returncode = 0  # it outlives this process: no warning about a child that still runs


def _remembered(var: Path) -> dict[str, dict[str, object]]:
    try:
        known: dict[str, dict[str, object]] = json.loads((var / "services.json").read_text())
    except OSError:
        return {"postgres": NOT_STARTED, "redis": NOT_STARTED}
    return known


def _with_database(url: str, number: int | None) -> str:
    """The Redis address with its database replaced by `number`; None keeps the one it names, or takes 1."""
    base, _, query = url.partition("?")
    head, slash, name = base.rpartition("/")
    named = slash and not head.endswith("/") and name.isdigit()
    stem = head if named or (slash and not name) else base
    chosen = number if number is not None else (name if named else 1)
    return f"{stem}/{chosen}" + (f"?{query}" if query else "")


def _keep(file: Path, value: str) -> None:
    """Write the secret once, readable by its owner only. When two processes race, the first wins and both read the same."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.parent.chmod(0o700)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.touch(0o600)
    draft.write_text(value)
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _lock(path: Path, kind: int, seconds: float) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise ServiceError(f"Another process holds {path} since {seconds:g} s: is a start or stop of the services stuck?") from None
            time.sleep(0.05)
        else:
            return descriptor


def _free(path: Path, kind: int) -> bool:
    """Whether the lock could be taken now."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _keeper_runs(run: Path) -> bool:
    return not _free(run / "keeper.lock", fcntl.LOCK_SH)


def _users_gone(run: Path) -> bool:
    """Whether the keeper alone is left: it holds the users' lock, or nobody does."""
    return not _free(run / "users.lock", fcntl.LOCK_SH) or _free(run / "users.lock", fcntl.LOCK_EX)


def _wait_for(file: Path) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while not file.exists():
        if time.monotonic() > deadline:
            raise ServiceError(f"The embedded services are starting elsewhere but did not answer within {START_DEADLINE:g} s.")
        time.sleep(0.05)
