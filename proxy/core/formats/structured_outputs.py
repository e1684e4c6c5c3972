"""Check that an answer is the JSON that the request demanded, before it is stored."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from proxy.core.formats.provider_json import is_readable

# A broken answer would be served until it expires.
#
# A schema is untrusted: it is walked in bounded steps, references are followed only within it, and
# its patterns are never run. Only types, required keys, enums and closed sets of keys are checked.
#
# After so many steps the rest of an answer is not checked.
MAX_WALK_STEPS: Final = 200_000
MAX_REFERENCE_LENGTH: Final = 1_000  # characters; a longer one allows anything
# Steps of checking one value against one schema, besides the lists it reads.
_STEPS_PER_NODE: Final = 10
MAX_SCHEMA_DEPTH: Final = 64  # of nested schemas and references
_JSON_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


class NotJson(ValueError):
    """The text is not pure JSON, or repeats a name."""


def parse_strict_json(text: Any) -> Any:
    """Parse a JSON text that every client reads alike.

    Raises NotJson for a fence, text around it, NaN or a repeated name.
    """
    if not isinstance(text, str):
        raise NotJson("no text")
    if not is_readable(text.encode("utf-8", "surrogatepass")):
        raise NotJson("more than can be read")
    try:
        orjson.loads(text)  # strict, and fails fast
        return json.loads(text, object_pairs_hook=_refuse_repeated_names)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error


def _refuse_repeated_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJson("a name twice")
    return found


@dataclass(slots=True)
class StepLimit:
    """The steps left to check one answer, shared by all of its choices and calls."""

    steps_left: int = MAX_WALK_STEPS


def matches_schema(value: Any, schema: Any, steps: StepLimit | None = None) -> bool:
    """Return whether the value has what the JSON schema requires, as far as it is checked here."""
    return _SchemaWalk(schema, steps or StepLimit()).value_matches(value, schema, 0)


class _SchemaWalk:
    def __init__(self, root: Any, steps: StepLimit) -> None:
        self._root = root
        self._step_limit = steps
        self._references: dict[str, Any] = {}

    def value_matches(self, value: Any, schema: Any, depth: int) -> bool:
        if (
            not isinstance(schema, Mapping)
            or depth > MAX_SCHEMA_DEPTH
            or not self._take_steps(_STEPS_PER_NODE)
        ):
            return True
        if isinstance(reference := schema.get("$ref"), str) and not self.value_matches(
            value, self._resolve_reference(reference), depth + 1
        ):
            return False
        return (
            self._has_allowed_type(value, schema)
            and self._is_allowed_value(value, schema)
            and self._combinations_match(value, schema, depth)
            and self._contents_match(value, schema, depth)
        )

    def _resolve_reference(self, reference: str) -> Any:
        """Return what a reference in this schema names; None, which allows anything, for others."""
        if len(reference) > MAX_REFERENCE_LENGTH or not reference.startswith("#"):
            return None
        if reference not in self._references:
            found = self._root
            for name in reference[1:].split("/")[1:MAX_SCHEMA_DEPTH]:
                found = (
                    found.get(name.replace("~1", "/").replace("~0", "~"))
                    if isinstance(found, Mapping)
                    else None
                )
            self._references[reference] = found
        return self._references[reference]

    def _combinations_match(self, value: Any, schema: Mapping[str, Any], depth: int) -> bool:
        """Check all of `allOf`, and at least one of `anyOf` and `oneOf`."""
        for name in ("anyOf", "oneOf"):
            choices = schema.get(name)
            if (
                isinstance(choices, list)
                and choices
                and not any(self.value_matches(value, choice, depth + 1) for choice in choices)
            ):
                return False
        parts = schema.get("allOf")
        return not isinstance(parts, list) or all(
            self.value_matches(value, part, depth + 1) for part in parts
        )

    def _contents_match(self, value: Any, schema: Mapping[str, Any], depth: int) -> bool:
        if isinstance(value, dict):
            return self._has_allowed_keys(value, schema) and self._properties_match(
                value, schema, depth
            )
        items = schema.get("items")
        return (
            not isinstance(value, list)
            or not isinstance(items, Mapping)
            or all(self.value_matches(each, items, depth + 1) for each in value)
        )

    def _has_allowed_keys(self, value: dict[str, Any], schema: Mapping[str, Any]) -> bool:
        required = schema.get("required")
        names = required if isinstance(required, list) and self._take_steps(len(required)) else []
        if not all(name in value for name in names if isinstance(name, str)):
            return False
        known = schema.get("properties")
        closed = (
            schema.get("additionalProperties") is False
            and isinstance(known, Mapping)
            and "patternProperties" not in schema
        )
        return not closed or not self._take_steps(len(value)) or value.keys() <= known.keys()  # type: ignore[union-attr]  # `closed` implies a mapping

    def _properties_match(
        self, value: dict[str, Any], schema: Mapping[str, Any], depth: int
    ) -> bool:
        known = schema.get("properties")
        return not isinstance(known, Mapping) or all(
            self.value_matches(each, known.get(name), depth + 1) for name, each in value.items()
        )

    def _has_allowed_type(self, value: Any, schema: Mapping[str, Any]) -> bool:
        given = schema.get("type")
        names: list[Any] = given if isinstance(given, list) else [given]
        if (value is None and schema.get("nullable") is True) or not self._take_steps(len(names)):
            return True
        return any(_is_json_type(value, name) for name in names)

    def _is_allowed_value(self, value: Any, schema: Mapping[str, Any]) -> bool:
        if "const" not in schema and "enum" not in schema:
            return True
        size = _estimate_comparison_cost(value)
        if (
            "const" in schema
            and self._take_steps(size)
            and not _is_same_json(value, schema["const"])
        ):
            return False
        listed = schema.get("enum")
        return (
            not isinstance(listed, list)
            or not self._take_steps(len(listed) * size)
            or any(_is_same_json(value, each) for each in listed)
        )

    def _take_steps(self, steps: int) -> bool:
        """Count steps; return whether they are within the limit."""
        # Everything of untrusted size counts: lists of a schema are read for each value.
        self._step_limit.steps_left -= steps
        return self._step_limit.steps_left >= 0


def _is_json_type(value: Any, name: Any) -> bool:
    """Return whether the value is of that JSON type; True for an unknown type."""
    if name == "integer":
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and float(value).is_integer()
        )
    kind = _JSON_TYPES.get(name) if isinstance(name, str) else None
    if kind is None:
        return True
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _estimate_comparison_cost(value: Any) -> int:
    """Estimate how much one comparison of the value reads."""
    if isinstance(value, str):
        return 1 + len(value) // 1000
    try:
        return len(orjson.dumps(value)) if isinstance(value, dict | list) else 1
    except orjson.JSONEncodeError:  # too deep, or a number too long
        return MAX_WALK_STEPS


def _is_same_json(one: Any, other: Any) -> bool:
    """Return whether two values are equal and of one type: true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
