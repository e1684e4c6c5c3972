"""`manage.py serve`: everything needed to answer requests, in one command."""

import socket
import traceback
from argparse import ArgumentParser
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from gateway_project.checks import services
from gateway_project.checks.deployment import LOOPBACK_HOSTS
from gateway_project.embedded import configuration
from gateway_project.management.commands.migrate import hold_migration_lock
from gateway_project.serving import server
from plans import services as plan_services
from plans.models import AdminKey

SEED_TIMEOUT_SECONDS = 120
MAX_ERROR_LENGTH = 2000


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
            raise CommandError(
                f"Cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}."
            ) from error
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
        call_command("migrate", verbosity=0, interactive=False)
        self._seed_prices()
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

    def _announce_addresses(self, host: str, listener: socket.socket) -> None:
        """Print the URLs, and the next steps for a new installation."""
        shown = f"[{host}]" if ":" in host else host
        base = f"http://{shown}:{listener.getsockname()[1]}{settings.PATH_PREFIX}"
        lines = [
            (
                f"Tokenthrift: {base}/v1 (OpenAI SDK: base_url), {base}/admin/, "
                f"{base}/dashboard/, {base}/api/docs"
            )
        ]
        if configuration.uses_embedded_services():
            lines.append(
                f"Data: {settings.VAR_DIR} (embedded PostgreSQL and Redis, for trying and testing)"
            )
        if not get_user_model().objects.filter(is_staff=True).exists():
            lines.append(
                f"No staff user yet. In another shell: {configuration.COMMAND_LINE} createsuperuser"
            )
        if not settings.ADMIN_KEY and not AdminKey.objects.exists():
            lines.append(
                f"No admin key yet. In another shell: {configuration.COMMAND_LINE} create_admin_key"
            )
        connections.close_all()  # the workers open their own
        self.stdout.write("\n".join(lines))
        self.stdout.flush()


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
