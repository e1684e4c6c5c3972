"""One compression worker as its parent sees it: start, send jobs, kill."""

import asyncio
import logging
import os
import sys
from pathlib import Path

from proxy.engines.compressors.worker import FRAME_LENGTH

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[3]
# A worker needs none of our secrets, and one thread of numpy: the products are small.
INHERITED_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
SINGLE_THREAD_VARIABLES = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
# What sending a job to a broken worker raises. TimeoutError is an OSError too.
WORKER_ERRORS = (OSError, asyncio.IncompleteReadError)


class WorkerProcess:
    """A child process, started by its first job; `words` is its table of word vectors.

    For one caller at a time.
    """

    def __init__(self, words: Path | None = None) -> None:
        self._word_vectors_path = words
        self.process: asyncio.subprocess.Process | None = None

    async def send_job(self, request: bytes) -> bytes:
        """Send a job and return the reply, JSON.

        Raises ConnectionError or asyncio.IncompleteReadError if the process dies.
        """
        try:
            self.process = self.process or await _start_process(self._word_vectors_path)
            stdin, stdout = self.process.stdin, self.process.stdout
            if stdin is None or stdout is None:
                raise ConnectionError("a worker without pipes")
            stdin.write(request)
            await stdin.drain()
            (length,) = FRAME_LENGTH.unpack(await stdout.readexactly(FRAME_LENGTH.size))
            reply = await stdout.readexactly(length)
        # Without a reply the process is killed: its next reply would be to this job.
        except BaseException:
            self.kill()
            raise
        return reply

    def kill(self) -> asyncio.subprocess.Process | None:
        """Kill the process, which the event loop reaps; return it if one was running."""
        process, self.process = self.process, None
        if process is not None and process.returncode is None:
            try:
                process.kill()
            except ProcessLookupError:
                logger.debug("compression worker was gone already")
        return process


async def _start_process(words: Path | None) -> asyncio.subprocess.Process:
    environment = {
        name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ
    } | SINGLE_THREAD_VARIABLES
    arguments = (
        sys.executable,
        "-m",
        "proxy.engines.compressors.worker",
        *([str(words)] if words else []),
    )
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *arguments, stdin=pipe, stdout=pipe, cwd=ROOT, env=environment
    )
