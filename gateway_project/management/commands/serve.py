"""`manage.py serve`: everything needed to answer requests, in one command."""

import errno
import socket
import traceback
from argparse import ArgumentParser
from contextlib import AbstractContextManager
from ipaddress import ip_address
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.urls import reverse

from gateway_project.checks import services
from gateway_project.checks.deployment import LOOPBACK_HOSTS
from gateway_project.embedded import configuration
from gateway_project.management.commands.migrate import hold_migration_lock
from gateway_project.serving import server
from plans import services as plan_services
from plans.models import AdminKey
from proxy.first_run.service import has_route, has_staff_account
from proxy.first_run.setup_token import issue_setup_token
from proxy.management.slow_steps import report_slow_step

SEED_TIMEOUT_SECONDS = 120
MAX_ERROR_LENGTH = 2000
OTHER_PORT = "make serve ARGS='--port 8001', or TOKENTHRIFT_PORT"
LISTEN_ADVICE = {
    errno.EADDRINUSE: f" Another program does: end it, or choose another port ({OTHER_PORT}).",
    errno.EACCES: f" Ports below 1024 are the administrator's: choose another one ({OTHER_PORT}).",
    errno.EADDRNOTAVAIL: " This machine does not have the address: look at --host.",
}


class Command(BaseCommand):
    """Exit code 0 after SIGINT or SIGTERM, 1 if it could not start."""

    help = (
        "Migrate, prepare and serve the gateway, with its own PostgreSQL and Redis unless "
        "DATABASE_URL and REDIS_URL are set."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--host", default=settings.HOST, help="address to listen on (default: %(default)s)"
        )
        parser.add_argument(
            "--port",
            type=int,
            default=settings.PORT,
            help="port to listen on (default: %(default)s)",
        )
        parser.add_argument(
            "--workers",
            type=int,
            default=settings.WORKERS,
            help="worker processes (default: %(default)s)",
        )

    def handle(self, *args: Any, host: str, port: int, workers: int, **options: Any) -> None:
        if settings.DEBUG and host not in LOOPBACK_HOSTS:
            raise CommandError(
                f"TOKENTHRIFT_DEBUG is on: refusing to listen on {host}, which others can reach."
            )
        if workers < 1:
            raise CommandError("--workers must be 1 or more.")
        try:
            listener = server.bind_listener(host, port)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            advice = LISTEN_ADVICE.get(getattr(error, "errno", None) or 0, "")
            raise CommandError(f"Cannot listen on {host}:{port}: {reason}.{advice}") from error
        with listener:
            self._prepare_services()
            self._announce_addresses(host, listener)
            if not server.run_server(listener, workers):
                raise CommandError("The gateway did not start; the log lines above say why.")

    def _prepare_services(self) -> None:
        """Check the services, then update database, price list and embedder."""
        findings = services.check_all_services()
        for finding in findings:
            self.stderr.write(f"{finding.id}: {_format_finding(finding)}")
        if any(finding.is_serious() for finding in findings):
            raise CommandError("The services cannot be used.")
        with self._report("Creating or updating the database’s tables", "some 10 seconds, once"):
            call_command("migrate", verbosity=0, interactive=False)
        self._seed_prices()
        with self._report("Preparing the models that compare questions", "half a minute, once"):
            call_command("prepare_embedder")
        if settings.CONFIG_SOURCE:
            with hold_migration_lock():  # of several hosts that start at once, one after the other
                call_command("apply", settings.CONFIG_SOURCE, stdout=self.stdout)

    def _seed_prices(self) -> None:
        """Update the published prices in a process of its own."""
        # The published prices would stay in the memory of the serving process. A fork has loaded
        # Django already, which takes longer than everything else at a start.
        connections.close_all()  # the fork opens its own
        context = get_context("fork")
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=_send_seeded_count, args=(sender,), daemon=True)
        child.start()
        sender.close()  # its end is then the end of the pipe
        try:
            with self._report("Writing the published prices", "some 5 seconds, once"):
                written = (
                    receiver.recv() if receiver.poll(SEED_TIMEOUT_SECONDS) else "it takes too long"
                )
        except EOFError:
            written = "its process was killed"
        finally:
            child.kill()
            child.join()
        if isinstance(written, str):
            raise CommandError(f"The published prices could not be written: {written}")
        if written:
            self.stdout.write(f"Price list: {written} prices written.")

    def _report(self, doing: str, usual: str) -> AbstractContextManager[None]:
        return report_slow_step(doing, usual=usual, write=self._write_line)

    def _write_line(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _announce_addresses(self, host: str, listener: socket.socket) -> None:
        """Print the URLs; of a new installation the one that sets it up."""
        port = listener.getsockname()[1]
        lines = self._describe_first_run(host, port) or self._describe_addresses(host, port)
        if configuration.uses_embedded_services():
            data = f"{settings.VAR_DIR} (embedded PostgreSQL and Redis, for trying and testing)"
            lines.insert(0, f"Data: {data}")
        connections.close_all()  # the workers open their own
        self._write_line("\n".join(lines))

    def _describe_first_run(self, host: str, port: int) -> list[str]:
        """Return one line while there is neither a staff account nor a route."""
        if has_staff_account() or has_route():
            return []
        return [f"Tokenthrift: {_issue_setup_url(host, port)} sets it up in a browser, once"]

    def _describe_addresses(self, host: str, port: int) -> list[str]:
        base = _build_listening_url(host, port)
        lines = [
            (
                f"Tokenthrift: {base}/v1 (OpenAI SDK: base_url), {base}/admin/, "
                f"{base}/dashboard/, {base}/api/docs"
            )
        ]
        if not has_staff_account():
            lines.append(f"No staff account yet: {_issue_setup_url(host, port)} makes one, once")
        elif not has_route():
            start = f"{_build_browser_url(host, port)}{reverse('start')}"
            lines.append(f"No route to a model yet: log in at {start} to make one")
        if not settings.ADMIN_KEY and not AdminKey.objects.exists():
            lines.append(
                f"No admin key yet. In another shell: {configuration.COMMAND_LINE} create_admin_key"
            )
        return lines


def _issue_setup_url(host: str, port: int) -> str:
    return f"{_build_browser_url(host, port)}{reverse('start')}?token={issue_setup_token()}"


def _build_listening_url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{settings.PATH_PREFIX}"


def _build_browser_url(host: str, port: int) -> str:
    """Return the address at which a browser reaches the pages, as far as the settings tell."""
    named = [each for each in settings.ALLOWED_HOSTS if not each.startswith(("*", "."))]
    public = next((each for each in named if each not in LOOPBACK_HOSTS), "")
    if settings.HTTPS and public:  # a proxy in front has the certificate
        return f"https://{public}{settings.PATH_PREFIX}"
    if _is_every_address(host):  # of which none is a host that is allowed
        return f"http://{next(iter(named), 'localhost')}:{port}{settings.PATH_PREFIX}"
    return _build_listening_url(host, port)


def _is_every_address(host: str) -> bool:
    try:
        return not host or ip_address(host).is_unspecified
    except ValueError:  # a name
        return False


def _send_seeded_count(sender: Connection) -> None:
    """Write the published prices; send how many rows that were, or what went wrong."""
    try:
        with hold_migration_lock():
            written: int | str = plan_services.seed_prices()
    except Exception:
        written = traceback.format_exc()[-MAX_ERROR_LENGTH:]
    sender.send(written)


def _format_finding(finding: CheckMessage) -> str:
    return " ".join(part for part in (finding.msg, finding.hint) if part)
