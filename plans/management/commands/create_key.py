"""manage.py create_key: create a virtual key for SDK clients."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from plans import selectors, services
from plans.api_errors import PlanNotFound
from plans.models import Plan, Tenant


class Command(BaseCommand):
    help = "Makes a virtual key for /v1 and prints it, once, as the only line of standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="SLUG", required=True, help="whose key it is")
        parser.add_argument(
            "--create-tenant",
            action="store_true",
            help="make the tenant if there is none of that slug",
        )
        parser.add_argument("--name", default="made by create_key", help="who or what uses the key")
        parser.add_argument(
            "--route",
            action="append",
            default=[],
            metavar="NAME",
            help="a route it may use; repeat for several (default: all)",
        )
        parser.add_argument(
            "--plan",
            metavar="NAME",
            help="the plan of requests that name none (default: the tenant's, else the route's)",
        )

    def handle(
        self,
        *args: Any,
        tenant: str,
        create_tenant: bool,
        name: str,
        route: list[str],
        plan: str | None = None,
        **options: Any,
    ) -> None:
        owner = Tenant.objects.filter(slug=tenant).first() or (
            _create_tenant(tenant) if create_tenant else None
        )
        if owner is None:
            raise CommandError(f"There is no tenant {tenant!r}: add --create-tenant to make it.")
        row, secret = services.issue_virtual_key(
            tenant=owner,
            name=name,
            routes=route,
            default_plan=_find_plan(owner, plan) if plan else None,
        )
        self.stderr.write(
            f"Virtual key {row.prefix}... for tenant {owner}. It is shown this once; only "
            "its HMAC is kept."
        )
        self.stdout.write(secret)


def _find_plan(owner: Tenant, name: str) -> Plan:
    try:
        return selectors.find_visible_plan(owner, name)
    except PlanNotFound:
        raise CommandError(f"Neither {owner} nor the platform has a plan {name!r}.") from None


def _create_tenant(slug: str) -> Tenant:
    try:
        return services.create_tenant(slug=slug)
    except ValidationError as error:
        raise CommandError("; ".join(error.messages)) from error
