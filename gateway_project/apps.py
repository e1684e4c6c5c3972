from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway_project"

    def ready(self) -> None:
        """Register the system checks."""
        from gateway_project.checks import (  # noqa: F401 - importing registers
            deployment,
            services,
            sign_on,
        )
