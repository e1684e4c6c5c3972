"""uvicorn's supervisor of several workers, with a health check that does not block it.

uvicorn's own check waits for the answer of one worker, up to the whole time a worker may take to
load its models. A worker that dies during a check never answers, and meanwhile no other is replaced
and no signal handled: a stop would come too late for the container platform.
"""

import pickle
import socket
import time

from uvicorn import Config
from uvicorn.supervisors import multiprocess

_POLL_SECONDS = 0.2  # between checks of the worker and of signals


class WorkerProcess(multiprocess.Process):
    """A worker process, as uvicorn creates them."""

    supervisor: "multiprocess.Multiprocess | None" = None

    def _healthcheck(self, timeout: float) -> bool | None:
        """Whether the worker has started; None if it is dead or does not answer in time."""
        until = time.monotonic() + timeout
        try:
            self.parent_conn.send(b"ping")
            while not self.parent_conn.poll(_POLL_SECONDS):
                if self.supervisor is not None and self.supervisor.signal_queue:
                    # A signal waits to be handled: every worker counts as healthy.
                    return True
                if not self.process.is_alive() or time.monotonic() > until:
                    return None
            started: bool = self.parent_conn.recv()
        except (OSError, EOFError, pickle.UnpicklingError):
            return None
        return started


def supervise_workers(config: Config, listener: socket.socket) -> None:
    """Run the workers until SIGINT or SIGTERM."""
    multiprocess.Process = WorkerProcess  # type: ignore[misc]  # the supervisor takes no class of ours
    WorkerProcess.supervisor = multiprocess.Multiprocess(config, [listener])
    WorkerProcess.supervisor.run()
