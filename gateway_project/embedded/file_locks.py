"""Advisory file locks (flock(2)), which the kernel releases however their holder ends."""

import fcntl
import os
import time
from pathlib import Path

SHARED, EXCLUSIVE = fcntl.LOCK_SH, fcntl.LOCK_EX


def acquire_lock(path: Path, kind: int, *, seconds: float = 0.0) -> int:
    """Acquire the lock as an open descriptor; closing it releases the lock.

    Raises TimeoutError if others hold it for `seconds`.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise TimeoutError(f"{path} is locked by another process") from None
            time.sleep(0.02)
        else:
            return descriptor


def is_lock_free(path: Path, kind: int) -> bool:
    """Whether the lock could be acquired now."""
    try:
        os.close(acquire_lock(path, kind))
    except TimeoutError:
        return False
    return True
