"""The log as JSON: every line an object, a finished request with its decision record,
no secret and no text of a request in any."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest
from django.core.exceptions import ImproperlyConfigured

from gateway_project import logs
from proxy.core.request_ids import REQUEST_ID
from tests.support.events import make_event
from tests.support.gateways import running_gateway
from tests.support.upstream import running_upstream

SECRETS = ("sk-proj-4f8a9c01d2e3", "postgres://u:hush-hush@h/x", "authorization: Bearer hush-hush")


def record(message: str, *arguments: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("tokenthrift", logging.WARNING, "file.py", 1, message, arguments, None)
    made.__dict__.update(fields)
    return made


def written(made: logging.LogRecord) -> dict[str, object]:
    found = orjson.loads(logs.JsonFormatter().format(made))
    assert isinstance(found, dict)
    return found


def test_a_line_says_when_how_bad_who_and_what() -> None:
    line = written(record("%s is away", "redis"))
    assert {name: line[name] for name in ("level", "logger", "message")} == {
        "level": "WARNING",
        "logger": "tokenthrift",
        "message": "redis is away",
    }
    assert str(line["time"]).endswith("+00:00")
    assert "request_id" not in line


def test_a_line_about_a_request_names_it() -> None:
    token = REQUEST_ID.set("an-id")
    try:
        assert written(record("odd"))["request_id"] == "an-id"
    finally:
        REQUEST_ID.reset(token)


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_is_in_a_line_its_arguments_its_traceback_or_its_decision(secret: str) -> None:
    event = make_event(note=secret)
    try:
        raise ValueError(secret)
    except ValueError:
        made = record("failed with %s", secret, decision=event)
        made.exc_info = sys.exc_info()
    text = logs.JsonFormatter().format(made)
    assert "***" in text
    for hidden in ("4f8a9c01d2e3", "hush-hush"):
        assert hidden not in text
    assert orjson.loads(text)["request_id"] == event.event_id


@pytest.mark.parametrize("odd", ["a\nline", "half \ud800 a pair", "nul \0", '"quoted" \\'])
def test_whatever_the_message_the_line_is_one_line_of_json(odd: str) -> None:
    text = logs.JsonFormatter().format(record("%s", odd))
    assert "\n" not in text
    assert orjson.loads(text)["message"]


def test_another_format_is_refused_by_name() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"TOKENTHRIFT_LOG_FORMAT.*text, json.*yaml"):
        logs.build_logging_config("INFO", "yaml")


def test_a_gateway_writes_a_line_for_each_request_where_it_is_asked_to(tmp_path: Path) -> None:
    canary = "canary-88ab"
    with (
        running_upstream() as upstream,
        running_gateway(
            upstream,
            tmp_path,
            workers=2,
            TOKENTHRIFT_LOG_FORMAT="json",
            TOKENTHRIFT_LOG_REQUESTS="yes",
        ) as gateway,
    ):
        ids = [
            gateway.chat(f"What of {canary} {number}?").headers["x-request-id"]
            for number in range(5)
        ]
        refused = gateway.chat("No key?", key="sk-not-a-key-of-ours").headers["x-request-id"]
        time.sleep(0.5)
    text = gateway.log.read_text()
    spoken = (
        "Tokenthrift:",
        "tokenthrift.",
        "Price list:",
        "Data:",
        "No staff user",
        "No admin key",
        "Embedder ",
        "Verifier ",
    )  # by `serve`, to who started it
    lines = [orjson.loads(line) for line in text.splitlines() if not line.startswith(spoken)]
    decided = {line["request_id"]: line["decision"] for line in lines if "decision" in line}
    assert {*ids, refused} <= set(decided)
    assert decided[ids[0]]["tier"] == "bypass"
    assert decided[ids[0]]["prompt_tokens"] == 19
    assert decided[refused]["error_code"] == "invalid_api_key"
    for hidden in (canary, gateway.virtual_key, "not-a-key-of-ours"):
        assert hidden not in text


def test_management_commands_write_it_too() -> None:
    environment = {**os.environ, "TOKENTHRIFT_LOG_FORMAT": "json"}
    code = "import django, logging; django.setup(); logging.getLogger('x').warning('said')"
    command = [sys.executable, "-c", code]
    environment["DJANGO_SETTINGS_MODULE"] = "gateway_project.settings"
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert orjson.loads(done.stdout)["message"] == "said"
