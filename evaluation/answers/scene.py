"""A model, a gateway in front of it, and plans: all of it gone when the block ends."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demo import stage
from demo.management_api import PLAN_SECONDS, create_plan
from demo.processes import plain_environment
from evaluation.answers.ask import Door
from evaluation.answers.model import NAME, Model, model


@contextmanager
def scene(var: Path, arms: Mapping[str, dict[str, Any] | None]) -> Iterator[tuple[Door, Model]]:
    """A gateway on services of its own in `var`, with a plan for each arm that has one.

    Raises StartError or ApiError.
    """
    environment = plain_environment(TOKENTHRIFT_VAR_DIR=str(var), PYTHONUNBUFFERED="1")
    with model(var, environment) as reader, stage.gateway(var, environment) as (url, _):
        secrets = stage.accounts(environment, provider=f"{reader.url}/v1", model=NAME)
        door = Door(url, secrets["virtual_key"], secrets["admin_key"])
        set_up(door, arms)
        yield door, reader


def set_up(door: Door, arms: Mapping[str, dict[str, Any] | None]) -> None:
    """Make the plans and wait until they are known. Raises ApiError."""
    for body in arms.values():
        if body is not None:
            create_plan(door.url, door.admin_key, json.dumps(body))
    time.sleep(PLAN_SECONDS)
