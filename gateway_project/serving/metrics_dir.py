"""The folder in which the workers of one `serve` share counters.

prometheus_client's multiprocess mode.
"""

import os
import shutil
from pathlib import Path

from stats.process_ids import is_alive


def prepare_metrics_dir(var: Path) -> None:
    """Create the folder of this process and its workers and set PROMETHEUS_MULTIPROC_DIR to it.

    Folders of dead processes are removed.
    """
    parent = var / "run" / "metrics"
    parent.mkdir(parents=True, exist_ok=True)
    parent.chmod(0o700)  # no other account may read names of tenants and plans
    for folder in parent.iterdir():
        if folder.name == str(os.getpid()) or not is_alive(int(folder.name)):
            shutil.rmtree(folder, ignore_errors=True)
    mine = parent / str(os.getpid())
    mine.mkdir(mode=0o700)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(mine)
