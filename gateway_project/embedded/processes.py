"""Run a server program as a child: its account, its log, its start timeout and its stop."""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

START_TIMEOUT_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 10.0
LOOPBACK_ADDRESS = "127.0.0.1"
PR_SET_PDEATHSIG = 1  # prctl(2)


class ServiceError(Exception):
    """A service cannot run; the message is one line for a person."""


@dataclass(frozen=True, slots=True)
class Account:
    """The system account a service runs under; `uid` None is this process's own.

    `can_enter_closed_folders`: by a capability given to that one process (see `grant_path_access`).
    """

    name: str = ""
    uid: int | None = None
    gid: int | None = None
    can_enter_closed_folders: bool = False


def find_packaged_file(package: str, *path: str) -> Path:
    """Find a file inside an installed package without running the package's code.

    Raises ServiceError if it is missing.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ServiceError(
            f"The package {package} is not installed: install requirements-runtime.txt, or set "
            "DATABASE_URL and REDIS_URL."
        )
    file = Path(spec.submodule_search_locations[0], *path)
    if not file.exists():
        raise ServiceError(
            f"{file} is missing: install {package} again, or set DATABASE_URL and REDIS_URL."
        )
    return file


def choose_account() -> Account:
    """Return this process's own account, or an unprivileged one if it is root."""
    if os.geteuid() != 0:
        return Account()
    # PostgreSQL refuses to run as root.
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise ServiceError(
        "PostgreSQL cannot run as root and there is no account 'postgres' or 'nobody': set "
        "DATABASE_URL and REDIS_URL."
    )


def grant_path_access(who: Account, *paths: Path) -> Account:
    """Return the account, with a capability if it needs one to reach the paths.

    If root keeps the project in a closed folder (a home of mode 0700), the service gets
    CAP_DAC_READ_SEARCH (capabilities(7)) beside its unprivileged account, by setpriv(1).
    Permissions are never opened: that is for their owner. Raises ServiceError without that
    capability.
    """
    if who.uid is None:
        return who
    closed = [
        folder
        for path in paths
        for folder in path.resolve().parents
        if folder.exists() and not folder.stat().st_mode & stat.S_IXOTH
    ]
    if not closed:
        return who
    passing = replace(who, can_enter_closed_folders=True)
    probe = subprocess.run(  # noqa: S603
        [*_build_account_command(passing, signal.SIGKILL), "test", "-x", f"{closed[0]}/."],
        check=False,
        capture_output=True,
    )
    if probe.returncode:
        raise ServiceError(
            f"PostgreSQL cannot run as root, and the account {who.name} may not enter "
            f"{closed[0]}: run as an ordinary user, move the project to a folder open to all "
            "(such as /srv), or set DATABASE_URL and REDIS_URL."
        )
    return passing


def _build_account_command(who: Account, parent_death: signal.Signals) -> list[str]:
    """Build the prefix that runs a command with the capability; empty for accounts without it."""
    if not who.can_enter_closed_folders:
        return []
    program = shutil.which("setpriv", path="/usr/bin:/bin:/usr/sbin:/sbin") or "/usr/bin/setpriv"
    # Without the secure bit, access(2), by which initdb looks for its programs, would ignore the
    # capability.
    capability = [
        "--inh-caps=+dac_read_search",
        "--ambient-caps=+dac_read_search",
        "--securebits=+no_setuid_fixup",
    ]
    identity = [f"--reuid={who.uid}", f"--regid={who.gid}", "--clear-groups", *capability]
    # changing the account clears what prctl(2) set before, so setpriv sets it again
    return [program, *identity, f"--pdeathsig={parent_death.name.removeprefix('SIG')}", "--"]


def make_private_folder(path: Path, who: Account) -> None:
    """Make `path` a folder that only the service's account can read."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    if who.uid is not None and who.gid is not None:
        for entry in (path, *path.rglob("*")) if path.stat().st_uid != who.uid else ():
            os.chown(entry, who.uid, who.gid, follow_symlinks=False)


def write_private_file(path: Path, content: str, who: Account = Account()) -> Path:
    """Write a file that only the service's account can read."""
    path.unlink(missing_ok=True)
    # A password on a command line would show in `ps`.
    path.touch(0o600)
    path.write_text(content)
    if who.uid is not None and who.gid is not None:
        os.chown(path, who.uid, who.gid)
    return path


def find_free_port(remembered: int = 0) -> int:
    """Return the remembered port if it is free, else another free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK_ADDRESS, remembered))
        except OSError:
            probe.bind((LOOPBACK_ADDRESS, 0))
        return int(probe.getsockname()[1])


def launch_program(
    command: Sequence[str], *, who: Account, log: Path, parent_death: signal.Signals
) -> "subprocess.Popen[bytes]":
    """Start the program in its own session, with its output in `log`.

    The kernel sends it `parent_death` when this process dies, however it dies (on Linux). Raises
    ServiceError if the program is missing or cannot be executed.
    """
    log.touch(0o600)
    with log.open("ab") as out:
        try:
            return subprocess.Popen(  # noqa: S603 - our own programs, no shell
                [*_build_account_command(who, parent_death), *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                user=None if who.can_enter_closed_folders else who.uid,
                group=None if who.can_enter_closed_folders else who.gid,
                extra_groups=() if who.uid is not None else None,
                start_new_session=True,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
                preexec_fn=prepare_parent_death(parent_death),  # noqa: PLW1509 - the supervisor has no threads
            )
        except OSError as error:
            raise ServiceError(f"{command[0]} cannot be started: {error.strerror}.") from error


def prepare_parent_death(how: signal.Signals) -> Callable[[], None]:
    """Return what a process calls to be sent `how` when its parent dies; nothing but on Linux."""
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None).prctl  # found here: after a fork little may be done

    def ask_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, int(how))

    return ask_kernel


def wait_until_ready(
    name: str, child: "subprocess.Popen[bytes]", answers: Callable[[], bool], log: Path
) -> None:
    """Return when the service answers.

    Raises ServiceError with the last lines of its log if it ends or does not answer in time.
    """
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not answers():
        if child.poll() is not None:
            raise ServiceError(
                f"{name} ended at its start with code {child.returncode}. {read_log_tail(log)}"
            )
        if time.monotonic() > deadline:
            raise ServiceError(
                f"{name} did not answer within {START_TIMEOUT_SECONDS:g} s. {read_log_tail(log)}"
            )
        time.sleep(0.05)


def read_log_tail(log: Path, lines: int = 3) -> str:
    """Return the last lines of a log, joined into one."""
    try:
        last = log.read_text(errors="replace").strip().splitlines()[-lines:]
    except OSError:
        last = []
    return f"{log}: " + (" | ".join(line.strip() for line in last) or "empty")


def stop_process(child: "subprocess.Popen[bytes]", how: signal.Signals) -> None:
    """Signal the service to stop, and kill it if it does not."""
    if child.poll() is not None:
        return
    child.send_signal(how)
    try:
        child.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def record_process(pid_file: Path, pid: int) -> None:
    """Write the process's id and start time to a file, so that `end_orphan` finds it."""
    # The start time, because ids are reused.
    pid_file.write_text(f"{pid} {_read_start_time(pid)}")


def end_orphan(pid_file: Path) -> None:
    """Wait for the recorded process, which the kernel signalled to stop; kill it if it does not."""
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    while (pid := _find_recorded_process(pid_file)) is not None:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    pid_file.unlink(missing_ok=True)


def _find_recorded_process(pid_file: Path) -> int | None:
    """Return the recorded process's id if it is still running."""
    try:
        pid, started = pid_file.read_text().split()
    except (OSError, ValueError):
        return None
    return int(pid) if started == _read_start_time(int(pid)) else None


def _read_start_time(pid: int) -> str:
    """Return a process's start time in clock ticks since boot (proc(5), field 22 of stat).

    Empty if there is no such process or it is a zombie.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
