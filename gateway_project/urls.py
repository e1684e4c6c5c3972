"""Every path Django serves. /v1 never gets here: `gateway_project.asgi` sends it to `proxy.asgi`."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path

urlpatterns: list[URLPattern | URLResolver] = [path("admin/", admin.site.urls)]
