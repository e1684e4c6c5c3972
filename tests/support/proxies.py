"""Real reverse proxies in front of a gateway, each with its example of deploy/proxies.

The example's file is used as it is, but for addresses, ports and the certificate's place.
"""

import os
import shutil
import signal
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway_project.embedded import processes
from tests.support.databases import ROOT

EXAMPLES = ROOT / "deploy" / "proxies"
PUBLIC_NAME = "gateway.example.org"  # in the examples; the tests' is localhost
CERTIFICATES = "/etc/ssl/tokenthrift"
GATEWAY_ADDRESS = "127.0.0.1:8000"
PREFIX = "/llm"
NGINX = """
daemon off;
worker_processes 1;
{user}
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {example};
}}
"""
CADDY = """{{
	admin off
	auto_https disable_redirects
}}
"""
APACHE_MODULES = (
    "mpm_event",
    "authz_core",
    "ssl",
    "socache_shmcb",
    "headers",
    "rewrite",
    "proxy",
    "proxy_http",
)
APACHE = """
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/log
ServerName localhost
{user}
{modules}
Listen 127.0.0.1:{port}
Include {example}
"""


@dataclass(frozen=True, slots=True)
class ReverseProxy:
    """A running proxy. `url` ends with the prefix; `tls` trusts its certificate."""

    program: str
    url: str
    tls: ssl.SSLContext
    log: Path

    @property
    def origin(self) -> str:
        return self.url.removesuffix(PREFIX)


FILES = {
    "nginx": "nginx.conf",
    "caddy": "Caddyfile",
    "haproxy": "haproxy.cfg",
    "apache2": "apache.conf",
}
# Where the example listens, and where the test does.
LISTENING = {
    "nginx": ("listen 443 ssl;", "listen 127.0.0.1:{port} ssl;"),
    "caddy": (PUBLIC_NAME, "https://localhost:{port}"),
    "haproxy": ("bind :443 ", "bind 127.0.0.1:{port} "),
    "apache2": ("<VirtualHost *:443>", "<VirtualHost 127.0.0.1:{port}>"),
}


def find_proxy(program: str) -> str:
    """The program's path; skips the test where it is not installed."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{program} is not installed: on Debian, apt-get install {program}")
    return found


@contextmanager
def running_proxy(
    program: str, gateway_url: str, folder: Path, *, changes: Mapping[str, str] | None = None
) -> Iterator[ReverseProxy]:
    """The proxy with its example, and with these texts of it changed, until the block ends."""
    path, port = find_proxy(program), processes.find_free_port()
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)  # its workers have another account when root starts it
    certificate = write_certificate(folder)
    example = folder / FILES[program]
    example.write_text(render_example(program, port, gateway_url, folder, changes or {}))
    log = folder / "log"
    child = processes.launch_program(
        build_command(program, path, port, folder, example),
        who=processes.Account(),
        log=log,
        parent_death=signal.SIGTERM,
    )
    try:
        processes.wait_until_ready(program, child, lambda: is_listening(port), log)
        tls = ssl.create_default_context(cafile=str(certificate))
        yield ReverseProxy(program, f"https://localhost:{port}{PREFIX}", tls, log)
    finally:
        processes.stop_process(child, signal.SIGTERM)


def render_example(
    program: str, port: int, gateway_url: str, folder: Path, changes: Mapping[str, str]
) -> str:
    """The example with the test's addresses. Each text that is replaced must be in it."""
    text = (EXAMPLES / FILES[program]).read_text()
    before, after = LISTENING[program]
    replacements = {
        **changes,
        before: after.format(port=port),
        GATEWAY_ADDRESS: urlsplit(gateway_url).netloc,
        CERTIFICATES: str(folder),
    }
    for old, new in replacements.items():
        assert old in text, f"{FILES[program]} does not say {old}"
        text = text.replace(old, new)
    return text.replace(PUBLIC_NAME, "localhost")


def build_command(program: str, path: str, port: int, folder: Path, example: Path) -> list[str]:
    is_root = os.geteuid() == 0
    main = folder / "main"
    if program == "nginx":
        user = "user root;" if is_root else ""
        main.write_text(NGINX.format(folder=folder, example=example, user=user))
        return [path, "-p", str(folder), "-c", str(main), "-e", "stderr"]
    if program == "caddy":
        main.write_text(CADDY.format() + example.read_text())
        homes = (f"XDG_DATA_HOME={folder}", f"XDG_CONFIG_HOME={folder}")
        return ["env", *homes, path, "run", "--config", str(main), "--adapter", "caddyfile"]
    if program == "haproxy":
        return [path, "-db", "-f", str(example)]
    modules = "\n".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
        for name in APACHE_MODULES
    )
    user = "User www-data\nGroup www-data" if is_root else ""
    main.write_text(
        APACHE.format(folder=folder, example=example, user=user, modules=modules, port=port)
    )
    return [path, "-f", str(main), "-DFOREGROUND"]


def is_listening(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


def write_certificate(folder: Path) -> Path:
    """A certificate for localhost, its key, and both in one file for HAProxy."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "fullchain.pem").write_bytes(pem)
    (folder / "key.pem").write_bytes(secret)
    (folder / "gateway.pem").write_bytes(pem + secret)
    return folder / "fullchain.pem"
