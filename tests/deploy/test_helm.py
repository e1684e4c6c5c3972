"""The chart, rendered by Helm: valid by Kubernetes' schemas, closed to what it does not need,
and every command and probe in it runs."""

import json
import os
import platform
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate  # type: ignore[import-untyped]  # it has no stubs
import pytest
import yaml

from gateway_project.embedded.processes import find_free_port
from tests.support import databases
from tests.support.helm import CHART, NAMESPACE, ROOT, Refused, Rendered, lint, render
from tests.support.process_logs import shown_on_failure
from tests.support.upstream import MockUpstream

pytestmark = pytest.mark.skipif(
    (platform.machine(), sys.platform) != ("x86_64", "linux"), reason="Helm has no wheel here"
)
VERSIONS = ("1.27", "1.31", "1.34", "1.37")
KNOWN = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
POD_IP = "10.1.2.3"
SECRETS = {"existingSecret": "gw-secrets"}
MINIMAL: dict[str, Any] = {"secrets": SECRETS}
SECRET = f"tt-{secrets.token_urlsafe(32)}"
FULL: dict[str, Any] = {
    "image": {"repository": "registry.example/tokenthrift", "digest": f"sha256:{'a' * 64}"},
    "imagePullSecrets": [{"name": "registry"}],
    "secrets": SECRETS
    | {
        "keys": {
            "adminKey": "admin_key",
            "metricsToken": "metrics_token",
            "redisSemanticUrl": "redis_semantic_url",
            "qdrantApiKey": "qdrant_key",
        }
    },
    "config": {
        "files": {
            "gateway.yaml": {"plans": {"faq": {"preset": "safe"}}},
            "routes.yaml": "routes: {}\n",
        },
        "existingSecret": "gw-config",
    },
    "settings": {
        "TOKENTHRIFT_MAX_BODY_BYTES": 16_777_216,
        "TOKENTHRIFT_SIMILARITY_FLOOR": 0.55,
        "TOKENTHRIFT_ENCRYPT_CACHE": True,
        "QDRANT_URL": "http://qdrant:6333",
    },
    "allowedHosts": ["other.example.org"],
    "trustedProxies": ["10.0.0.0/8"],
    "extraEnv": [
        {"name": "OPENAI_API_KEY", "valueFrom": {"secretKeyRef": {"name": "k", "key": "o"}}}
    ],
    "extraEnvFrom": [{"secretRef": {"name": "provider-keys"}}],
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "annotations": {"nginx.ingress.kubernetes.io/proxy-read-timeout": "660"},
        "hosts": ["gateway.example.org"],
        "tls": [{"secretName": "gateway-tls", "hosts": ["gateway.example.org"]}],
    },
    "autoscaling": {"enabled": True, "maxReplicas": 5},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {
        "enabled": True,
        "ingressFrom": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}],
    },
    "podAnnotations": {"a": "b"},
    "podLabels": {"team": "ai"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "ai", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "high",
    "serviceAccountName": "gateway",
}


@pytest.fixture(scope="module")
def minimal() -> Rendered:
    return render(MINIMAL)


@pytest.fixture(scope="module")
def full() -> Rendered:
    return render(FULL)


def pods(rendered: Rendered) -> list[dict[str, Any]]:
    return [rendered.manifests[kind]["spec"]["template"]["spec"] for kind in ("Deployment", "Job")]


def environment(pod: dict[str, Any]) -> dict[str, str]:
    (container,) = pod["containers"]
    return {each["name"]: each.get("value", "") for each in container["env"]}


def test_what_is_rendered_is_what_was_asked_for(minimal: Rendered, full: Rendered) -> None:
    assert minimal.manifests.keys() == {"Deployment", "Job", "PodDisruptionBudget", "Service"}
    assert full.manifests.keys() == minimal.manifests.keys() | {
        "ConfigMap",
        "HorizontalPodAutoscaler",
        "Ingress",
        "NetworkPolicy",
        "ServiceMonitor",
    }
    assert minimal.manifests["Deployment"]["spec"]["replicas"] == 2
    assert "replicas" not in full.manifests["Deployment"]["spec"]
    without = render(
        MINIMAL | {"migration": {"enabled": False}, "podDisruptionBudget": {"enabled": False}}
    )
    assert without.manifests.keys() == {"Deployment", "Service"}


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_are_valid_by_kubernetes_schemas(
    minimal: Rendered, full: Rendered, version: str
) -> None:
    for rendered in (minimal, full):
        for kind, manifest in rendered.manifests.items():
            if kind != "ServiceMonitor":  # the Prometheus operator's own
                kubernetes_validate.validate(manifest, version, strict=True)
    broken = json.loads(json.dumps(full.manifests["Deployment"]))
    broken["spec"]["template"]["spec"]["containers"][0]["imagePullPolice"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, version, strict=True)


def test_the_oldest_kubernetes_that_is_tested_is_the_oldest_that_is_promised() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["kubeVersion"] == f">={VERSIONS[0]}.0-0"
    image = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["gateway"]["image"]
    assert image == f"tokenthrift:{chart['appVersion']}"


def test_helms_linter_finds_nothing(minimal: Rendered) -> None:
    assert lint(FULL) == []
    assert lint(MINIMAL) == []


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "secrets.existingSecret names the Secret"),
        (MINIMAL | {"replicas": 3}, "replicas"),
        (MINIMAL | {"replicaCount": -1}, "replicaCount"),
        (MINIMAL | {"workers": "two"}, "workers"),
        (MINIMAL | {"image": {"digest": "sha256:abc"}}, "digest"),
        (MINIMAL | {"settings": {"LOG_LEVEL": "INFO"}}, "'LOG_LEVEL'"),
        (MINIMAL | {"settings": {"TOKENTHRIFT_KEY_PEPPER": "x"}}, "TOKENTHRIFT_KEY_PEPPER"),
        (MINIMAL | {"settings": {"TOKENTHRIFT_PORT": 9000}}, "TOKENTHRIFT_PORT"),
        (MINIMAL | {"config": {"files": {"gateway.txt": {}}}}, "gateway.txt"),
        (MINIMAL | {"service": {"type": "ExternalName"}}, "service"),
        ({"secrets": SECRETS | {"keys": {"keyPepper": ""}}}, "keyPepper"),
        ({"secrets": SECRETS | {"password": "x"}}, "password"),
        (MINIMAL | {"serviceMonitor": {"enabled": True}}, "metricsToken"),
        (MINIMAL | {"networkPolicy": {"egressPorts": [0]}}, "egressPorts"),
    ],
)
def test_values_that_cannot_be_right_are_refused_by_name(values: dict[str, Any], told: str) -> None:
    with pytest.raises(Refused) as caught:
        render(values)
    assert told in str(caught.value)


def test_every_value_is_in_the_schema_and_every_default_fits_it() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def compare(said: Any, allowed: dict[str, Any], path: str) -> None:
        if "properties" not in allowed:
            return
        assert said.keys() == allowed["properties"].keys() - {"global"}, path
        for name, one in said.items():
            compare(one, allowed["properties"][name], f"{path}.{name}")

    compare(values, schema, "")


def test_every_variable_is_a_setting(full: Rendered) -> None:
    for pod in pods(full):
        names = {name.removesuffix("_FILE") for name in environment(pod)}
        assert names - KNOWN == {"OPENAI_API_KEY", "POD_IP"}
    found = environment(pods(full)[0])
    assert found["TOKENTHRIFT_MAX_BODY_BYTES"] == "16777216"
    assert found["TOKENTHRIFT_SIMILARITY_FLOOR"] == "0.55"
    assert found["TOKENTHRIFT_HTTPS"] == "yes"
    assert "gateway.example.org" in found["TOKENTHRIFT_ALLOWED_HOSTS"].split(",")
    assert found["TOKENTHRIFT_TRUSTED_PROXIES"] == "127.0.0.1,10.0.0.0/8"


def test_no_secret_is_a_variable_or_in_a_manifest(full: Rendered) -> None:
    secret = {"DATABASE_URL", "REDIS_URL", "REDIS_SEMANTIC_URL"} | {
        name for name in KNOWN if re.search(r"(_KEYS?|PEPPER|TOKEN)$", name)
    }
    for pod in pods(full):
        assert environment(pod).keys() & secret == set()
        for name, value in environment(pod).items():
            if name.endswith("_FILE"):
                assert value.startswith("/run/secrets/tokenthrift/")
    assert "Secret" not in full.manifests


@pytest.mark.parametrize("which", [0, 1])
def test_pods_are_closed_to_what_they_do_not_need(full: Rendered, which: int) -> None:
    pod = pods(full)[which]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    uid = re.search(r"--uid (\d+)", (ROOT / "Dockerfile").read_text())
    assert uid is not None
    assert pod["securityContext"]["runAsUser"] == int(uid[1])
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "privileged": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"].keys() == {"memory"}
    assert container["image"] == f"registry.example/tokenthrift@sha256:{'a' * 64}"
    writable = {each["mountPath"] for each in container["volumeMounts"] if "readOnly" not in each}
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["gateway"]
    known = {each.split(":")[0] for each in compose["tmpfs"]}
    assert writable == known | {each.split(":")[1] for each in compose["volumes"]}
    assert {each["name"] for each in container["volumeMounts"]} <= {
        each["name"] for each in pod["volumes"]
    }


def test_only_the_gateways_pods_get_requests_and_are_counted(full: Rendered) -> None:
    labels = full.manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    migration = full.manifests["Job"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        full.manifests["Service"]["spec"]["selector"],
        full.manifests["Deployment"]["spec"]["selector"]["matchLabels"],
        full.manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        *(
            each["labelSelector"]["matchLabels"]
            for each in pods(full)[0]["topologySpreadConstraints"]
        ),
    ]
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not selector.items() <= migration.items()
    # The monitor selects services by their labels.
    monitor = full.manifests["ServiceMonitor"]["spec"]
    service = full.manifests["Service"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    scaled = full.manifests["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert scaled["name"] == full.manifests["Deployment"]["metadata"]["name"]
    rules = full.manifests["NetworkPolicy"]["spec"]["podSelector"]["matchExpressions"]
    for found in (labels, migration):
        assert all(found[rule["key"]] in rule["values"] for rule in rules)


def test_a_pod_has_its_own_time_to_end() -> None:
    pod = pods(render(MINIMAL | {"shutdownSeconds": 600}))[0]
    assert environment(pod)["TOKENTHRIFT_SHUTDOWN_SECONDS"] == "600"
    assert pod["terminationGracePeriodSeconds"] >= 600 + 5 + 10


def test_the_kubelet_evicts_no_pod_for_a_spool_that_the_gateway_allows() -> None:
    pod = pods(render(MINIMAL | {"workers": 4, "spool": {"megabytesPerWorker": 1_000_000}}))[0]
    found = environment(pod)
    assert (found["TOKENTHRIFT_WORKERS"], found["TOKENTHRIFT_SPOOL_MB"]) == ("4", "1000000")
    volumes = {each["name"]: each for each in pod["volumes"]}
    assert volumes["spool"]["emptyDir"]["sizeLimit"] == "8000000Mi"


def test_a_changed_configuration_replaces_the_pods(full: Rendered) -> None:
    changed = FULL | {"config": {"files": {"gateway.yaml": {"plans": {}}}}}
    before, after = (
        each.manifests["Deployment"]["spec"]["template"]["metadata"]["annotations"]
        for each in (full, render(changed))
    )
    assert before["checksum/config"] != after["checksum/config"]
    existing = render(MINIMAL | {"config": {"existingConfigMap": "ours"}})
    assert "ConfigMap" not in existing.manifests
    volumes = {each["name"]: each for each in pods(existing)[0]["volumes"]}
    assert volumes["config"]["configMap"]["name"] == "ours"


def test_the_notes_name_addresses_and_commands_that_are_there(
    minimal: Rendered, full: Rendered
) -> None:
    assert "https://gateway.example.org/v1" in full.notes
    assert f"http://gw-tokenthrift.{NAMESPACE}:80/v1" in minimal.notes
    assert "No configuration was given" in minimal.notes
    for command in re.findall(r"manage\.py (\w+)", minimal.notes):
        assert command == "createsuperuser" or list(
            ROOT.glob(f"*/management/commands/{command}.py")
        )


def test_the_guides_values_and_secret_are_those_of_the_chart() -> None:
    guide = (ROOT / "docs" / "deploy.md").read_text()
    block = re.search(r"```yaml\n(# values\.yaml\n.*?)```", guide, re.DOTALL)
    assert block is not None
    rendered = render(yaml.safe_load(block[1]))
    made = set(re.findall(r"^keep (\w+)", (ROOT / "deploy/make-secrets").read_text(), re.MULTILINE))
    named = re.search(r"for name in (.*?); do", guide.replace("\\\n", " "))
    assert named is not None
    assert set(named[1].split()) <= made
    files = {
        Path(value).name
        for name, value in environment(pods(rendered)[0]).items()
        if name.endswith("_FILE")
    }
    assert files == set(named[1].split())


# What follows runs the commands of the manifests on this machine.


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with databases.own_database(os.environ["DATABASE_URL"], copy_of="template1") as url:
        yield url


class Pod:
    """A pod's container as a process: its volumes are folders, its image's variables are set."""

    def __init__(self, manifests: Rendered, folder: Path, database: str) -> None:
        self.manifests, self.folder = manifests, folder
        (folder / "var").mkdir()
        (folder / "tmp").mkdir()
        (folder / "var" / "models").symlink_to(ROOT / "var" / "models")
        self._mount("secrets", self._make_secrets(database))
        self._mount("config-secrets", {"web": SECRET})

    def mount_config(self) -> None:
        self._mount("config", self.manifests.manifests["ConfigMap"]["data"])

    def environment(self, pod: dict[str, Any]) -> dict[str, str]:
        mounts = {
            each["mountPath"]: str(self.folder / each["name"])
            for each in pods(self.manifests)[0]["containers"][0]["volumeMounts"]
            if "readOnly" in each
        }
        found = {
            name: value.replace("$(POD_IP)", POD_IP) for name, value in environment(pod).items()
        }
        for path, folder in mounts.items():
            found = {name: value.replace(path, folder) for name, value in found.items()}
        return found | {
            "PATH": os.environ["PATH"],
            "TOKENTHRIFT_ENV_FILE": os.devnull,
            "TOKENTHRIFT_VAR_DIR": str(self.folder / "var"),
            "TOKENTHRIFT_SPOOL_DIR": str(self.folder / "spool"),
            "TMPDIR": str(self.folder / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TOKENTHRIFT_HOST": "127.0.0.1",  # not for others on this machine's network
        }

    def _mount(self, name: str, files: dict[str, str]) -> None:
        """As the kubelet mounts: files are links into a folder that is a link itself."""
        folder = self.folder / name
        data = folder / "..2026_12_01_10_00_00.123456789"
        data.mkdir(parents=True)
        (folder / "..data").symlink_to(data.name)
        for file, text in files.items():
            (data / file).write_text(text)
            (folder / file).symlink_to(Path("..data") / file)

    def _make_secrets(self, database: str) -> dict[str, str]:
        """What deploy/make-secrets makes, with the addresses of the services of this test."""
        copy = self.folder / "deploy"
        copy.mkdir()
        shutil.copy(ROOT / "deploy" / "make-secrets", copy)
        subprocess.run([copy / "make-secrets"], check=True, capture_output=True)
        made = {file.name: file.read_text() for file in (copy / "secrets").iterdir()}
        return made | {"database_url": database, "redis_url": os.environ["REDIS_URL"]}


# The root in $1 is read-only, but for the folders before "--"; then the command behind it.
READ_ONLY_ROOT = """
set -e
root=$1; shift
mount --make-rprivate /
mount --bind / "$root"
mount -o remount,ro,bind "$root"
for each in /proc /dev; do mount --rbind "$each" "$root$each"; done
while [ "$1" != -- ]; do mount --bind "$1" "$root$1"; shift; done
shift
inside='cd "$1" && shift && ! touch /written 2>/dev/null && exec "$@"'
exec chroot "$root" sh -c "$inside" - "$PWD" "$@"
"""


def confine(pod: Pod, command: list[str]) -> list[str]:
    """The command under a read-only root, as in the pod; as it is where nobody may mount."""
    folders = [Path("/"), ROOT, Path(sys.prefix).resolve(), pod.folder]
    one_disk = len({each.stat().st_dev for each in folders}) == 1
    if not one_disk or subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        return command
    root = pod.folder / "root"
    writable = [pod.folder / name for name in ("var/run", "spool", "tmp")]
    for each in (root, *writable):
        each.mkdir(parents=True, exist_ok=True)
    script = ["unshare", "--mount", "sh", "-c", READ_ONLY_ROOT, "-", str(root)]
    return [*script, *map(str, writable), "--", *command]


@contextmanager
def serving(pod: Pod, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    spec = pods(pod.manifests)[0]
    (container,) = spec["containers"]
    arguments = [str(port) if each == "8000" else each for each in container["args"]]
    log = pod.folder / "gateway.log"
    with shown_on_failure(log), log.open("wb") as output:
        process = subprocess.Popen(
            confine(pod, [sys.executable, "manage.py", *arguments]),
            cwd=ROOT,
            env=pod.environment(spec),
            stdout=output,
            stderr=output,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def probe(port: int, action: dict[str, Any], timeout: float) -> int:
    """The status that a kubelet would see, or 0; it asks by the pod's address."""
    headers = {"Host": f"{POD_IP}:{port}"} | {
        each["name"]: each["value"] for each in action.get("httpHeaders", [])
    }
    try:
        url = f"http://127.0.0.1:{port}{action['path']}"
        return httpx.get(url, headers=headers, timeout=timeout, follow_redirects=False).status_code
    except httpx.TransportError:
        return 0


def test_the_job_migrates_the_pod_serves_its_configuration_and_the_probes_answer(
    database: str, upstream: MockUpstream, tmp_path: Path
) -> None:
    config = {
        "upstreams": {"mock": {"base_url": upstream.base_url, "allow_private": True}},
        "routes": {"by/chart": {"upstream": "mock", "model": "gpt-4o-mini"}},
        "tenants": {"acme": {"keys": {"web": {"secret": f"file:{tmp_path}/config-secrets/web"}}}},
    }
    values = {
        "secrets": SECRETS | {"keys": {"metricsToken": "metrics_token"}},
        "config": {"files": {"gateway.yaml": config}, "existingSecret": "gw-config"},
        "ingress": FULL["ingress"],
        "workers": 1,
        "serviceMonitor": {"enabled": True},
    }
    pod = Pod(render(values), tmp_path, database)
    job = pods(pod.manifests)[1]
    done = subprocess.run(
        [sys.executable, "manage.py", *job["containers"][0]["args"]],
        cwd=ROOT,
        env=pod.environment(job),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Applying plans.0001_initial... OK" in done.stdout
    pod.mount_config()
    port = find_free_port()
    (container,) = pods(pod.manifests)[0]["containers"]
    startup = container["startupProbe"]
    with serving(pod, port) as process:
        deadline = time.monotonic() + startup["periodSeconds"] * startup["failureThreshold"]
        while probe(port, startup["httpGet"], startup["timeoutSeconds"]) != 200:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        if (tmp_path / "root").exists():
            assert Path(f"/proc/{process.pid}/root").readlink() == tmp_path / "root"
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            action = container[name]["httpGet"]
            assert probe(port, action, container[name]["timeoutSeconds"]) == 200, name
        reply = httpx.post(
            f"http://127.0.0.1:{port}/v1/chat/completions",
            json={"model": "by/chart", "messages": [{"role": "user", "content": "How do I pay?"}]},
            headers={"authorization": f"Bearer {SECRET}", "host": "gateway.example.org"},
            timeout=60,
        )
        assert reply.status_code == 200, reply.text
        assert reply.json()["choices"] == upstream.says["choices"]
        assert_is_monitored(pod, port)
        command = container["lifecycle"]["preStop"]["exec"]["command"]
        assert shutil.which(command[0])
        process.send_signal(signal.SIGTERM)
        grace = pods(pod.manifests)[0]["terminationGracePeriodSeconds"]
        assert process.wait(grace - float(command[1])) == 0


def assert_is_monitored(pod: Pod, port: int) -> None:
    """The monitor's request is answered with its token alone."""
    (endpoint,) = pod.manifests.manifests["ServiceMonitor"]["spec"]["endpoints"]
    token = (pod.folder / "secrets" / endpoint["authorization"]["credentials"]["key"]).read_text()
    url = f"http://127.0.0.1:{port}{endpoint['path']}"
    headers = {"host": f"{POD_IP}:{port}"}
    assert httpx.get(url, headers=headers).status_code == 401
    headers["authorization"] = f"{endpoint['authorization']['type']} {token.strip()}"
    answered = httpx.get(url, headers=headers)
    assert answered.status_code == 200, answered.text
    assert "tokenthrift_requests_total" in answered.text
