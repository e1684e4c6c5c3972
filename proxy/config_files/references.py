"""Fill in what a configuration file takes from its surroundings.

`${NAME}` anywhere in a text is an environment variable, `${NAME:-text}` one with a default, `$${`
the characters `${`. A secret may also be `file:<path>`, the first line of a file. No message holds
what was filled in.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from proxy.config_files.reader import BadConfigFile, ConfigDocument, Problem, ValuePath

MAX_SECRET_BYTES: Final = 64 * 1024
_VARIABLE: Final = re.compile(r"\$(\$)?\{([^}]*)\}")
_NAME: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


class MissingReference(Exception):
    """What a text names is not there. The message is one sentence without any secret."""


def fill_references(document: ConfigDocument, environment: Mapping[str, str] = os.environ) -> None:
    """Replace the variables of all texts. Raises BadConfigFile with all that are missing."""
    problems: list[Problem] = []

    def fill(value: Any, path: ValuePath) -> Any:
        if isinstance(value, dict):
            return {name: fill(one, (*path, name)) for name, one in value.items()}
        if isinstance(value, list):
            return [fill(one, (*path, str(number))) for number, one in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        try:
            return fill_text(value, environment)
        except MissingReference as error:
            problems.append(document.make_problem(path, str(error)))
            return value

    document.values = fill(document.values, ())
    if problems:
        raise BadConfigFile(problems)


def fill_text(text: str, environment: Mapping[str, str]) -> str:
    """Replace the variables of a text. Raises MissingReference."""

    def replace(match: re.Match[str]) -> str:
        escaped, inner = match.groups()
        if escaped:
            return f"${{{inner}}}"
        named = _NAME.fullmatch(inner)
        if named is None:
            raise MissingReference("Must be ${NAME} or ${NAME:-default}.")
        name, default = named.groups()
        if (found := environment.get(name)) is not None:
            return found
        if default is None:
            raise MissingReference(f"The environment variable {name} is not set.")
        return str(default)

    return _VARIABLE.sub(replace, text)


def find_variables(text: str) -> list[str]:
    """List the variables without a default that a text names."""
    found = []
    for escaped, inner in _VARIABLE.findall(text):
        named = None if escaped else _NAME.fullmatch(inner)
        if named and named[2] is None:
            found.append(named[1])
    return found


def read_secret(text: str, *, reads_files: bool = True) -> str:
    """Return a secret that is given itself, or as `file:<path>`. Raises MissingReference."""
    kind, _, path = text.partition(":")
    if kind != "file":
        return text.strip()
    if not reads_files:
        raise MissingReference("Must be the secret itself: only configuration files name files.")
    try:
        with Path(path).open("rb") as opened:
            content = opened.read(MAX_SECRET_BYTES + 1)
        lines = content.decode().splitlines()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise MissingReference(f"The file {path} cannot be read: {reason}.") from error
    if len(content) > MAX_SECRET_BYTES or not lines or not lines[0].strip():
        raise MissingReference(f"The file {path} must have the secret in its first line.")
    return lines[0].strip()
