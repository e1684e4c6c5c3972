"""The demo's own var folder: emptied at every start,
so that caches and figures begin at nothing and a second run shows the same numbers.

The embedding model that a gateway exports at its first start is shared with those of `make serve`:
it is the same every time.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway_project.embedded import configuration, file_locks

ROOT = Path(__file__).resolve().parent.parent
_DATA = ROOT / "var" if configuration.IS_CHECKOUT else configuration.find_var_dir()
VAR, MODELS = _DATA / "demo", _DATA / "models"


class WorkspaceBusy(Exception):
    """Another process uses the demo's folder. The message names it."""


@contextmanager
def fresh(var: Path) -> Iterator[Path]:
    """The emptied folder, held against a second demo until the block ends. Raises WorkspaceBusy."""
    var.parent.mkdir(parents=True, exist_ok=True)
    lock = var.with_name(f"{var.name}.lock")
    try:
        held = file_locks.acquire_lock(lock, file_locks.EXCLUSIVE)
    except TimeoutError:
        raise WorkspaceBusy(f"Another demo runs in this checkout: it holds {lock}.") from None
    try:
        empty(var)
        yield var
    finally:
        os.close(held)


def empty(var: Path) -> None:
    """Remove everything, then point to the shared models.

    Raises WorkspaceBusy while a gateway's services run there.
    """
    keeper = var / "run" / "keeper.lock"
    if keeper.exists() and not file_locks.is_lock_free(keeper, file_locks.SHARED):
        raise WorkspaceBusy(f"A gateway still runs on {var}: stop that `make serve` first.")
    var.mkdir(exist_ok=True)
    MODELS.mkdir(parents=True, exist_ok=True)
    for entry in var.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    (var / "models").symlink_to(MODELS)
