from django.apps import AppConfig
from django.db.models.signals import post_migrate


class PlansConfig(AppConfig):
    name = "plans"

    def ready(self) -> None:
        """Have the groups made where the tables are."""
        from plans.groups import make_groups

        post_migrate.connect(make_groups, dispatch_uid="plans.groups")
