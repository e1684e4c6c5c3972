"""What each worker process loads: the application, in a process that ends with its supervisor.

uvicorn's workers outlive a killed supervisor, and would keep the port.
"""

import multiprocessing
import os
import signal

from gateway_project.embedded.processes import prepare_parent_death

prepare_parent_death(signal.SIGTERM)()
_supervisor = multiprocessing.parent_process()
if _supervisor is not None and _supervisor.pid != os.getppid():  # it died before the line above
    os.kill(os.getpid(), signal.SIGTERM)

from gateway_project.asgi import application  # noqa: E402 - takes seconds, in which the supervisor may die

__all__ = ["application"]
