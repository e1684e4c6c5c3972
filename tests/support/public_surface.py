"""List what others rely on: `python -m tests.support.public_surface [FILE]`.

Paths, the API's schema, headers, environment variables, metrics with their labels, tables with
their columns, forms, admin actions, commands, permissions. The difference of two commits' lists is
what a change means to those who use the product. Nothing here names a module of the product, so the
file also runs in a commit whose modules lie elsewhere.
"""

import importlib
import json
import os
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("gateway_project", "accounts", "plans", "proxy", "stats")
# As written in the source: a header or a variable that is put together at run time is not found.
HEADER_PATTERN: Final = re.compile(r"(?i)\bx-(?:tokenthrift|token-saving)(?:-[a-z]+)*[a-z]\b")
APPS_PATTERN: Final = re.compile(r"\(\?P<app_label>[a-z|]+\)")
VARIABLE_PATTERN: Final = re.compile(r"\b(?:TOKENTHRIFT_[A-Z0-9_]*[A-Z0-9]|[A-Z_]+_URL)\b")


def list_surface() -> dict[str, Any]:
    """Every public name by its kind, sorted."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway_project.settings")
    import django

    django.setup()
    _import_all_modules()
    return {
        "admin": _list_admin_pages(),
        "commands": _list_commands(),
        "headers": _find_in_sources(HEADER_PATTERN, lower=True),
        "metrics": _list_metrics(),
        "openapi": _list_operations(),
        "paths": sorted(set(_iter_paths())),
        "permissions": _list_permissions(),
        "tables": _list_tables(),
        "variables": _find_in_sources(VARIABLE_PATTERN),
    }


def _import_all_modules() -> None:
    """Metrics and receivers exist once their module is imported."""
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if ".migrations." not in module.name and not module.name.endswith("__main__"):
                try:
                    importlib.import_module(module.name)
                except ImportError as error:  # an optional package is not installed
                    sys.stderr.write(f"passed over: {error}\n")


def _iter_paths(patterns: Any = None, prefix: str = "") -> Iterator[str]:
    from django.urls import get_resolver

    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from _iter_paths(pattern.url_patterns, route)
        else:
            route = APPS_PATTERN.sub("(apps)", route)  # in the order of a set
            yield f"{route} {pattern.name or ''}".strip()


def _list_operations() -> dict[str, Any]:
    """The schema's operations with their parameters and answers, and its components with fields."""
    from drf_spectacular.generators import SchemaGenerator

    schema: Any = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    operations = {
        f"{method.upper()} {path}": {
            "parameters": sorted(each["name"] for each in operation.get("parameters", ())),
            "answers": sorted(operation["responses"]),
        }
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }
    components = {
        name: sorted(
            f"{field} {'required' if field in component.get('required', ()) else 'optional'}"
            for field in component.get("properties", ())
        )
        or sorted(map(str, component.get("enum", ())))
        for name, component in schema["components"]["schemas"].items()
    }
    return {"operations": operations, "components": components}


def _list_metrics() -> dict[str, list[str]]:
    from prometheus_client import REGISTRY

    found = {}
    for collector in list(REGISTRY._collector_to_names):
        labels = sorted(getattr(collector, "_labelnames", ()))
        for name in REGISTRY._collector_to_names[collector]:
            found[name] = labels
    return dict(sorted(found.items()))


def _list_tables() -> dict[str, list[str]]:
    from django.apps import apps

    return {
        model._meta.db_table: [
            f"{field.column} {type(field).__name__}" for field in model._meta.local_concrete_fields
        ]
        for app in PACKAGES
        if apps.is_installed(app)
        for model in apps.get_app_config(app).get_models(include_auto_created=True)
    }


def _list_admin_pages() -> dict[str, Any]:
    from django.contrib import admin

    return {
        model._meta.label: {
            "actions": sorted(
                name if isinstance(name, str) else name.__name__ for name in page.actions or ()
            ),
            "fields": sorted(getattr(page.form, "base_fields", ())),
        }
        for model, page in sorted(admin.site._registry.items(), key=lambda item: item[0].__name__)
    }


def _list_permissions() -> list[str]:
    from django.apps import apps

    return sorted(
        f"{model._meta.app_label}.{name}"
        for app in PACKAGES
        if apps.is_installed(app)
        for model in apps.get_app_config(app).get_models()
        for name in [
            *(f"{action}_{model._meta.model_name}" for action in model._meta.default_permissions),
            *(name for name, _ in model._meta.permissions),
        ]
    )


def _list_commands() -> dict[str, list[str]]:
    """The options of each of our commands."""
    from django.core.management import get_commands, load_command_class

    return {
        name: sorted(
            option
            for action in load_command_class(app, name).create_parser("", name)._actions
            for option in action.option_strings or [action.dest]
        )
        for name, app in sorted(get_commands().items())
        if isinstance(app, str) and app in PACKAGES
    }


def _find_in_sources(pattern: re.Pattern[str], *, lower: bool = False) -> list[str]:
    texts = (
        path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "migrations" not in path.parts
    )
    found = {name for text in texts for name in pattern.findall(text)}
    return sorted({name.lower() for name in found} if lower else found)


if __name__ == "__main__":
    text = json.dumps(list_surface(), indent=1, sort_keys=True)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text + "\n", encoding="utf-8")
    else:
        sys.stdout.write(text)
