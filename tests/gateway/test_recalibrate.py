"""`manage.py recalibrate` beside a running gateway reads what its workers sampled."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.gateways import Gateway

ROOT = Path(__file__).resolve().parents[2]
PLAN = "recalibrated"
CACHE = {"backend": "pgvector_semantic", "max_error_rate": 0.01, "sample_rate": 1.0}
QUESTION = "How do I open an account?"


def recalibrate(gateway: Gateway, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [
            sys.executable,
            "manage.py",
            "recalibrate",
            "--plan",
            PLAN,
            "--output",
            "json",
            *arguments,
        ],
        cwd=ROOT,
        env=gateway.environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    (found,) = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_the_command_names_the_cohort_as_the_workers_do(gateway: Gateway) -> None:
    body = {"plan_name": PLAN, "cache": CACHE}
    assert gateway.api("POST", "/token-saving/plans", json=body).status_code == 201
    gateway.wait_plan(PLAN)
    gateway.chat(QUESTION, token_saving_plan_id=PLAN)
    time.sleep(0.5)
    answer = gateway.chat(QUESTION.lower().rstrip("?"), token_saving_plan_id=PLAN)
    assert answer.headers["x-tokenthrift-cache"] == "semantic"
    deadline = time.monotonic() + 30
    while not (found := recalibrate(gateway, "--dry-run"))["pairs"]:
        assert time.monotonic() < deadline
    assert (found["right"], found["note"]) == (1, "1 of 200 labelled pairs")
    # A former threshold is another cohort, and its pairs still count.
    change = {"cache": {"similarity_threshold": 0.9}}
    assert gateway.api("PATCH", f"/token-saving/plans/{PLAN}", json=change).status_code == 200
    found = recalibrate(gateway)
    assert (found["pairs"], found["now"]["threshold"]) == (1, 0.9)
    shown = gateway.api("GET", f"/token-saving/plans/{PLAN}/stats").json()["detail"]
    assert shown["error_budget"]["samples"] == 0
    assert shown["recalibration"]["detail"] == (
        "Recalibration proposes no other threshold than 0.9: 1 of 200 labelled pairs."
    )
