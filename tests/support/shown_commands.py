"""The commands that a page shows, with the output it shows for them, and a place to run them.

A block of ```console has commands after `$ ` (a line that is indented goes on with one) and output
between them; one of ```sh has commands alone; a ```python program may be followed by its output in
a ```text block; a ```yaml block whose first line is `# name.yaml` is that file. In shown output
`...` stands for anything, and figures for any figures.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$(?:\n\n?(?=```text\n))?", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w.-]+\.ya?ml)\n")


@dataclass(frozen=True)
class Shown:
    """What a page shows: a `command` of the shell, a `program` in Python, or a `file` to write."""

    kind: str
    text: str
    output: tuple[str, ...] = ()
    name: str = ""


def read_page(path: Path) -> list[Shown]:
    """Return what the page shows to be run, in its order."""
    shown: list[Shown] = []
    for kind, text in BLOCK.findall(path.read_text("utf-8")):
        if kind == "text":
            if shown and shown[-1].kind == "program" and not shown[-1].output:
                shown[-1] = Shown("program", shown[-1].text, tuple(text.splitlines()))
        elif kind == "python":
            shown.append(Shown("program", text))
        elif kind in {"sh", "console"}:
            shown += _read_commands(text, prompted=kind == "console")
        elif named := FILE.match(text):
            shown.append(Shown("file", text, name=named[1]))
    return shown


def _read_commands(text: str, *, prompted: bool) -> Iterator[Shown]:
    if not prompted:
        lines = [line.partition(" # ")[0].strip() for line in text.splitlines()]
        yield from (Shown("command", line) for line in lines if line)
        return
    command: list[str] = []
    output: list[str] = []
    for line in [*text.splitlines(), "$ "]:
        if line.startswith("$ "):
            if command:
                yield Shown("command", "\n".join(command), tuple(output))
            command, output = [line.removeprefix("$ ").partition(" # ")[0].rstrip()], []
        elif line.startswith(" ") and not output:
            command.append(line)
        else:
            output.append(line)


def find_missing_line(shown: tuple[str, ...], output: str) -> str | None:
    """Return the first shown line that the output does not have after those before it."""
    lines = iter(output.splitlines())
    for line in shown:
        if line.strip() == "...":
            continue
        pattern = re.sub(r"\d+", r"\\d+", re.escape(line.rstrip()).replace(r"\.\.\.", ".*"))
        if not any(re.fullmatch(pattern, found.rstrip()) for found in lines):
            return line
    return None


@dataclass
class Shell:
    """Runs commands in a folder one after the other, as a person in a terminal.

    What one exports, the next has. `serve` starts one that stays, and ends the one before it.
    """

    folder: Path
    environment: dict[str, str]
    replaced: dict[str, str] = field(default_factory=dict)
    served: "subprocess.Popen[bytes] | None" = None

    @property
    def log(self) -> Path:
        return self.folder.with_suffix(".log")

    def fill(self, text: str) -> str:
        """Replace what a page cannot know of a test, such as the provider's address."""
        for shown, own in self.replaced.items():
            text = text.replace(shown, own)
        return text

    def run(self, command: str, *, seconds: float = 60) -> str:
        """Run a command to its end; return what it printed. Raises AssertionError if it fails."""
        kept = self.folder.with_suffix(".env")
        script = f"{self.fill(command)}\nstatus=$?; env -0 > {kept}; exit $status"
        done = self._run(["bash", "-c", script], seconds)
        self.environment = dict(
            entry.split("=", 1) for entry in kept.read_text().split("\0") if "=" in entry
        )
        return done

    def run_program(self, text: str, *, seconds: float = 60) -> str:
        """Run a Python program with the environment of the folder."""
        return self._run([str(self.folder / ".venv/bin/python"), "-c", self.fill(text)], seconds)

    def _run(self, arguments: list[str], seconds: float) -> str:
        done = subprocess.run(
            arguments,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"{arguments[-1]}\n{done.stdout}"
        return done.stdout

    def serve(self, command: str, shown: tuple[str, ...], *, seconds: float = 90) -> str:
        """Start a server and return what it printed until it had started up."""
        self.stop()
        with self.log.open("wb") as out:
            self.served = subprocess.Popen(
                ["bash", "-c", self.fill(command)],
                cwd=self.folder,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.served.poll() is None:
            output = self.log.read_text()
            if find_missing_line(shown, output) is None and "startup complete" in output:
                return output
            time.sleep(0.1)
        missing = find_missing_line(shown, self.log.read_text())
        raise AssertionError(f"{command}: {missing!r} is missing in\n{self.log.read_text()}")

    def stop(self) -> None:
        """End the server as Ctrl-C does, of which the terminal tells all of its processes."""
        if self.served is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.served.pid, signal.SIGINT)
            self.served.wait(60)
            self.served = None
