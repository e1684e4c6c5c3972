"""The folder through which the workers of one `serve` share their
counters (prometheus_client's multiprocess mode)."""

import os
import shutil
from pathlib import Path


def prepare_metrics_dir(var: Path) -> None:
    """An empty folder for this process and its workers, named in PROMETHEUS_MULTIPROC_DIR;
    those of dead processes are removed."""
    parent = var / "run" / "metrics"
    parent.mkdir(parents=True, exist_ok=True)
    parent.chmod(0o700)  # names of tenants and plans are for nobody else on the machine
    for folder in parent.iterdir():
        if folder.name == str(os.getpid()) or not Path(f"/proc/{folder.name}").exists():
            shutil.rmtree(folder, ignore_errors=True)
    mine = parent / str(os.getpid())
    mine.mkdir(mode=0o700)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(mine)
