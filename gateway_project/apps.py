from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway_project"

    def ready(self) -> None:
        """Register the system checks."""
        from gateway_project.checks import deployment, services  # noqa: F401 - importing registers
