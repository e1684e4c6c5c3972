"""The configuration that an importer writes, for `manage.py apply`."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import yaml
from django.core.exceptions import ValidationError

from proxy.config_files.exporting import escape_variables, name_variable
from proxy.config_files.references import find_variables
from proxy.models import ROUTE_NAME

MAX_UPSTREAM_NAME_LENGTH: Final = 64
MAX_MODEL_NAME_LENGTH: Final = 200
HEADER: Final = """\
# From {source}, by `manage.py {command}`. Its report says what is left to do.
# Show what it would change: manage.py apply FILE --dry-run
"""
ENVIRONMENT_PREFIX: Final = "os.environ/"


class FreeNames:
    """Gives names that are not taken yet, by a number at their end."""

    def __init__(self, taken: Iterable[str] = (), *, separator: str = "-") -> None:
        self._taken, self._separator = set(taken), separator
        self._next: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Take a name, or one made of it."""
        number = self._next.get(name, 1)
        while (free := self._number(name, number)) in self._taken:
            number += 1
        self._next[name] = number + 1
        self._taken.add(free)
        return free

    def _number(self, name: str, number: int) -> str:
        return name if number == 1 else f"{name}{self._separator}{number}"


class ConfigDraft:
    """Sections by name; what is empty is left out of the file."""

    def __init__(self) -> None:
        self.upstreams: dict[str, dict[str, Any]] = {}
        self.routes: dict[str, dict[str, Any]] = {}
        self.tenants: dict[str, dict[str, Any]] = {}
        self.plans: dict[str, dict[str, Any]] = {}
        self.prices: dict[str, dict[str, Any]] = {}
        self._upstream_names = FreeNames()
        self._upstreams_by_fields: dict[str, str] = {}

    def add_upstream(self, name: str, fields: Mapping[str, Any], *, literal_key: bool) -> str:
        """Add an upstream and return its name; an equal one is the same.

        `literal_key`: the key stood in the file itself. It becomes a variable, named after the
        upstream: nobody expects it in a second file.
        """
        digest = json.dumps(fields, sort_keys=True, default=str)
        if not literal_key and digest in self._upstreams_by_fields:
            return self._upstreams_by_fields[digest]
        free = self._upstream_names.take(name[: MAX_UPSTREAM_NAME_LENGTH - 8] or "upstream")
        self.upstreams[free] = dict(fields)
        if literal_key:
            self.upstreams[free]["key"] = name_variable("UPSTREAM", free, "KEY")
        else:
            self._upstreams_by_fields[digest] = free
        return free

    def set_default_plan(self, plan: str) -> None:
        """Let the plan apply to each route's requests that name none."""
        for route in self.routes.values():
            route["default_plan"] = plan

    @property
    def sections(self) -> dict[str, dict[str, Any]]:
        return {
            name: section
            for name, section in (
                ("upstreams", self.upstreams),
                ("routes", self.routes),
                ("tenants", self.tenants),
                ("plans", self.plans),
                ("prices", self.prices),
            )
            if section
        }

    def list_variables(self) -> list[str]:
        """List the environment variables that must be set when the file is applied."""
        return sorted(
            {name for text in _iter_texts(self.sections) for name in find_variables(text)}
        )

    def render(self, *, source: str, command: str) -> str:
        """Return the file as YAML."""
        header = HEADER.format(source=ascii(source)[1:-1], command=command)
        if not self.sections:
            return f"{header}{{}}\n"
        return header + yaml.safe_dump(
            self.sections, sort_keys=False, allow_unicode=True, width=100
        )


def is_route_name(name: str) -> bool:
    """Whether a route can have the name; ROUTE_NAME.message says which it can have."""
    try:
        ROUTE_NAME(name)
    except ValidationError:
        return False
    return True


def is_model_name(name: str) -> bool:
    """Whether a route can lead to a model of that name, as text that is not translated yet."""
    return 0 < len(name) <= MAX_MODEL_NAME_LENGTH and name.isprintable()


def translate_text(text: str) -> str:
    """Return a text of a foreign file as ours has it: `os.environ/NAME` becomes `${NAME}`."""
    name = read_variable_name(text)
    return f"${{{name}}}" if name else str(escape_variables(text))


def read_variable_name(value: Any) -> str:
    """Return the variable that `os.environ/NAME` names; "" for anything else."""
    if not isinstance(value, str) or not value.startswith(ENVIRONMENT_PREFIX):
        return ""
    name = value.removeprefix(ENVIRONMENT_PREFIX)
    return name if name.isascii() and name.isidentifier() else ""


def _iter_texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _iter_texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _iter_texts(one)
    elif isinstance(value, str):
        yield value
