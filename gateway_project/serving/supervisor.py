"""uvicorn's supervisor of several workers, with a health check that does not make it deaf.

Its own check waits for the answer of one worker, up to the whole time a worker may take to load its
models. A worker that dies with a check outstanding never answers, and meanwhile no other is
replaced and no signal obeyed: a stop would come too late for the container platform.
"""

import socket
import time

from uvicorn import Config
from uvicorn.supervisors import multiprocess

_POLL_SECONDS = 0.2  # seconds between looks at whether the worker lives and a signal came


class WorkerProcess(multiprocess.Process):
    """A worker process, as uvicorn makes them."""

    supervisor: "multiprocess.Multiprocess | None" = None

    def _healthcheck(self, timeout: float) -> bool | None:
        """Whether it has started; None when it is gone or does not answer within so many seconds.

        While a signal waits to be obeyed every worker counts as well.
        """
        until = time.monotonic() + timeout
        try:
            self.parent_conn.send(b"ping")
            while not self.parent_conn.poll(_POLL_SECONDS):
                if self.supervisor is not None and self.supervisor.signal_queue:
                    return True
                if not self.process.is_alive() or time.monotonic() > until:
                    return None
            started: bool = self.parent_conn.recv()
        except (OSError, EOFError):
            return None
        return started


def supervise_workers(config: Config, listener: socket.socket) -> None:
    """Run the workers until SIGINT or SIGTERM."""
    multiprocess.Process = WorkerProcess  # type: ignore[misc]  # the supervisor takes no class of ours
    WorkerProcess.supervisor = multiprocess.Multiprocess(config, [listener])
    WorkerProcess.supervisor.run()
