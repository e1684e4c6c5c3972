"""`manage.py check_upstream`: ask providers for their models, and make routes of them."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from proxy.models import Upstream
from proxy.upstreams.connection import ConnectionReport, add_routes, check_upstream


class Command(BaseCommand):
    """Exit code 0 if no upstream failed, else 1."""

    help = "Asks upstreams for their models: does the address answer, does it take the key?"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="*", help="upstreams; without a name all of them")
        parser.add_argument(
            "--add-routes",
            metavar="PREFIX",
            help="make a route PREFIX<model> for each model that has none, such as openai/",
        )

    def handle(self, *args: Any, name: list[str], **options: Any) -> None:
        upstreams = self._select_upstreams(name)
        failed = []
        for upstream in upstreams:
            report = check_upstream(upstream)
            self.stdout.write(f"{upstream.name}: {report.state}. {report.message}")
            if report.state == "failed":
                failed.append(upstream.name)
            elif options["add_routes"] is not None:
                self._add_routes(upstream, report, options["add_routes"])
        if failed:
            raise CommandError(f"Failed: {', '.join(failed)}.")

    def _select_upstreams(self, names: list[str]) -> list[Upstream]:
        rows = Upstream.objects.filter(name__in=names) if names else Upstream.objects.all()
        found = list(rows)
        if missing := sorted(set(names) - {each.name for each in found}):
            known = ", ".join(Upstream.objects.values_list("name", flat=True)) or "none"
            raise CommandError(f"No such upstream: {', '.join(missing)}. There are: {known}.")
        return found

    def _add_routes(self, upstream: Upstream, report: ConnectionReport, prefix: str) -> None:
        for route in add_routes(upstream, report.models, prefix=prefix):
            self.stdout.write(f"+ route {route.name}")
