"""A gateway made from imported configurations of LiteLLM answers as the providers do themselves.

Two hundred requests, twenty for each of ten configurations: each goes through the gateway by the
name that clients of LiteLLM use, and to the provider directly, as LiteLLM would send it. Addresses
alone are replaced, so that all providers are one that tells by its answer what it was asked, where
and with which key.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from mock_providers import shapes
from mock_providers.server import Answer, Asked, MockProvider, serve_in_thread
from proxy.config_files.exporting import escape_variables
from proxy.config_files.reader import read_config_files
from proxy.config_files.references import fill_references
from tests.proxy.config_import.imported import CONFIGS, TARGETS, run, set_variables
from tests.support.gateways import PROMISED, TLS, Gateway, running_gateway
from tests.support.upstream import MockUpstream

REQUESTS = 20  # of each configuration; every second one repeats the one before
ANY_MODEL = "some-model"  # for the * of a wildcard
CLIENT_KEY = "sk-a-key-that-litellm-made"
TOPICS = (
    *("capital of Peru", "boiling point of ethanol", "author of Middlemarch"),
    *("rules of offside", "origin of the word tariff", "recipe for injera"),
    *("height of K2", "moons of Neptune", "inventor of the zipper", "currency of Laos"),
)


def tell_what_was_asked(asked: Asked) -> Answer:
    """An answer that no other request, address, model or key gets."""
    told = json.dumps(
        [
            asked.path,
            read_key(asked),
            {name: asked.body.get(name) for name in ("model", "messages", "temperature")},
        ],
        sort_keys=True,
    )
    text = hashlib.sha256(told.encode()).hexdigest()
    completion = shapes.build_completion(
        text,
        id=f"chatcmpl-{text[:16]}",
        created=1_760_000_000,
        model=asked.body["model"],
        usage=shapes.build_usage(12, 7),
    )
    return Answer(completion=completion)


def read_key(asked: Asked) -> str:
    """The key, in whichever header the provider takes it."""
    given = asked.headers.get(b"api-key") or asked.headers.get(b"authorization", b"")
    return given.decode().removeprefix("Bearer ")


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with serve_in_thread(MockProvider(tell_what_was_asked)) as url:
        yield url


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(upstream, tmp_path_factory.mktemp("imported")) as running:
        yield running


def replace_address(provider: str, address: str) -> str:
    parts = urlsplit(address)
    return f"{provider}/{parts.netloc}{parts.path}".rstrip("/")


def write_imported(path: Path, provider: str, file: Path) -> None:
    """Write what was imported, at the provider's address, with a key of the imported gateway."""
    text = run("import_litellm", str(path))
    file.write_text(text)
    document = read_config_files(file)
    fill_references(document, set_variables(text))
    for each in document.values["upstreams"].values():
        each["base_url"] = replace_address(provider, each["base_url"])
        each["allow_private"] = True
    digest = hashlib.sha256(CLIENT_KEY.encode()).hexdigest()
    document.values["tenants"] = {"litellm": {"keys": {"client": {"secret_sha256": digest}}}}
    file.write_text(yaml.safe_dump(escape_variables(document.values)))


def ask(url: str, key: str, body: dict[str, Any]) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.post(f"{url}/chat/completions", json=body, headers=headers, timeout=60, verify=TLS)


def wait_until_served(gateway: Gateway, name: str) -> None:
    deadline = time.monotonic() + PROMISED + 3
    while time.monotonic() < deadline:
        headers = {"authorization": f"Bearer {CLIENT_KEY}"}
        reply = httpx.get(f"{gateway.url}/v1/models", headers=headers, timeout=30, verify=TLS)
        if reply.status_code == 200 and name in {each["id"] for each in reply.json()["data"]}:
            return
        time.sleep(0.05)
    raise AssertionError(f"{name} was not served in time")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_requests_are_answered_as_at_the_provider_itself(
    gateway: Gateway, provider: str, path: Path, tmp_path: Path
) -> None:
    file = tmp_path / "gateway.yaml"
    write_imported(path, provider, file)
    gateway.manage("apply", str(file), "--prune", "--yes")
    names = list(TARGETS[path.name])
    wait_until_served(gateway, next(name for name in names if not name.endswith("*")))
    time.sleep(PROMISED)  # a route of the configuration before may have had the name
    tiers = []
    for number in range(REQUESTS):
        name = names[number // 2 % len(names)]
        address, model, variable = TARGETS[path.name][name]
        name, model = name.replace("*", ANY_MODEL), model.replace("*", ANY_MODEL)
        body: dict[str, Any] = {
            "model": name,
            "messages": [{"role": "user", "content": f"Tell me: {TOPICS[number // 2]}?"}],
            "temperature": 0.5,
        }
        ours = ask(f"{gateway.url}/v1", CLIENT_KEY, body)
        key = f"sk-of-{variable.lower()}" if variable else ""
        direct = ask(replace_address(provider, address), key, body | {"model": model})
        assert direct.status_code == 200
        assert (ours.status_code, ours.json()["choices"]) == (200, direct.json()["choices"])
        assert ours.json()["usage"] == direct.json()["usage"]
        tiers.append(ours.headers["x-tokenthrift-cache"])
    caches = path.stem in {"05_redis_cache", "06_semantic_cache"}
    assert tiers == (["miss", "exact"] if caches else ["bypass", "bypass"]) * (REQUESTS // 2)
