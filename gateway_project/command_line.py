"""The command line: `manage.py` in a checkout, `tokenthrift` where the wheel is installed.

Django's, with the embedded services running for the commands that need them.
"""

import os
import signal
import sys
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from gateway_project import environment
from gateway_project.embedded import configuration, lease
from gateway_project.embedded.processes import ServiceError
from gateway_project.serving import metrics_dir
from proxy.management.slow_steps import report_slow_step

NEEDS_NO_SERVICE = {
    "help",
    "version",
    "makemigrations",
    "makemessages",
    "compilemessages",
    "collectstatic",
    "findstatic",
    "spectacular",
    "prepare_embedder",
    "config_schema",
    "new_secret",
}


def needs_services(words: list[str]) -> bool:
    """Whether the command line `words`, program name left out, touches the database."""
    if (
        not words
        or words[0].startswith("-")
        or words[0] in NEEDS_NO_SERVICE
        or {"-h", "--help"} & set(words)
    ):
        return False
    return words[0] != "check" or bool({"--deploy", "--database"} & set(words))


def main() -> None:
    """Run the command in sys.argv."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway_project.settings")
    environment.load_env_file()
    var = configuration.find_var_dir()
    words = sys.argv[1:]
    if words[:1] == ["serve"]:
        # Before uvicorn takes over and after it: leave by the front door.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        # Before Django loads: prometheus_client reads the variable when it is imported.
        metrics_dir.prepare_metrics_dir(var)
    try:
        if configuration.uses_embedded_services() and needs_services(words):
            with report_slow_step(
                "Starting PostgreSQL and Redis",
                usual="some 5 seconds the first time",
                write=lambda line: sys.stderr.write(f"{line}\n"),
            ):
                lease.acquire_lease(var)
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    except (ServiceError, ImproperlyConfigured) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        lease.release_lease(var)


if __name__ == "__main__":
    main()
