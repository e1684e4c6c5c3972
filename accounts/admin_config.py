"""Django's admin app with our site; apart from apps.py, where Django expects one app's only."""

from django.contrib.admin.apps import AdminConfig


class GatewayAdminConfig(AdminConfig):
    default_site = "accounts.site.GatewayAdminSite"
