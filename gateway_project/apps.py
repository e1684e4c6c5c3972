from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway_project"

    def ready(self) -> None:
        """Register the system checks."""
        from gateway_project import checks, service_checks  # noqa: F401 - importing registers
