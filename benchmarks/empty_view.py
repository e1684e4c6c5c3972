"""The bare limit of Django: an async view with nothing in it, no middleware.

`python -m benchmarks.empty_view --port 9002`
"""

import argparse

import django
import uvicorn
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path


async def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b'{"ok":true}', content_type="application/json")


urlpatterns = [path("", empty)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], MIDDLEWARE=[])
    django.setup()
    application = get_asgi_application()
    port = parser.parse_args().port
    uvicorn.run(
        application,
        port=port,
        log_level="error",
        lifespan="off",
        loop="uvloop",
        http="httptools",
        access_log=False,
    )


if __name__ == "__main__":
    main()
