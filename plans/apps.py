from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class PlansConfig(AppConfig):
    name = "plans"

    def ready(self) -> None:
        """Create the groups after each migration and name other apps' admin sections."""
        apps.get_app_config("axes").verbose_name = "Log-ins"
        apps.get_app_config("auth").verbose_name = "People"
        from plans.access import make_groups

        post_migrate.connect(make_groups, dispatch_uid="plans.access")
