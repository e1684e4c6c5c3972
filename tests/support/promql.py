"""What a PromQL expression asks for: the series it selects,
and the labels by which it groups them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import promql_parser as promql

ADDED = frozenset({"job", "instance"})  # by Prometheus when it scrapes
VARIABLES = {"$__rate_interval": "5m", "$__range": "1d"}


@dataclass(frozen=True)
class Known:
    """The labels of a series, each with the values it may take; None:
    any, they come from the configuration."""

    labels: Mapping[str, frozenset[str] | None]


def problems(text: str, known: Mapping[str, Known]) -> list[str]:
    """What is wrong with the expression: it does not parse, or it names a series,
    a label or a value that nobody exports."""
    for variable, value in VARIABLES.items():
        text = text.replace(variable, value)
    try:
        tree = promql.parse(text)
    except ValueError as error:
        return [f"{text}: {error}"]
    return [f"{text}: {found}" for found in _problems(tree, known)]


def _problems(node: promql.Expr, known: Mapping[str, Known]) -> Iterator[str]:
    for selector in selectors(node):
        yield from _wrong_selector(selector, known)
    for part in nodes(node):
        asked = _labels_of(part)
        offered = {
            label
            for each in selectors(part)
            if each.name is not None and each.name in known
            for label in known[each.name].labels
        } | ADDED
        yield from (f"no label {label}" for label in sorted(asked - offered))


def _wrong_selector(selector: promql.VectorSelector, known: Mapping[str, Known]) -> Iterator[str]:
    if selector.name is None or selector.name not in known:
        yield f"no metric {selector.name}"
        return
    labels = known[selector.name].labels
    for matcher in selector.matchers.matchers:
        if matcher.name not in labels:
            yield f"no label {matcher.name} of {selector.name}"
            continue
        values = labels[matcher.name]
        for value in matcher.value.split("|"):
            if values is not None and not value.startswith("$") and value not in values:
                yield f"no value {value} of {matcher.name} of {selector.name}"


def _labels_of(node: promql.Expr) -> set[str]:
    """By which a node groups or matches."""
    if isinstance(node, promql.AggregateExpr):
        return set(node.modifier.labels) if node.modifier else set()
    if isinstance(node, promql.BinaryExpr) and node.modifier and node.modifier.matching:
        return set(node.modifier.matching.labels)
    return set()


def nodes(node: promql.Expr) -> Iterator[promql.Expr]:
    """The node and all below it."""
    yield node
    children = [
        getattr(node, name, None) for name in ("expr", "param", "lhs", "rhs", "vector_selector")
    ]
    for child in (*children, *(getattr(node, "args", None) or ())):
        if child is not None:
            yield from nodes(child)


def selectors(node: promql.Expr) -> list[promql.VectorSelector]:
    """The series selected in and below a node."""
    return [each for each in nodes(node) if isinstance(each, promql.VectorSelector)]


def legend_labels(legend: str) -> set[str]:
    """The labels that a panel's legend shows."""
    return set(re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", legend))
