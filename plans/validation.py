"""Validation of plans: the bounds of `plans.fields`, and which settings exclude others.

Used by the API, the admin form and imports. A field left out inside a half takes its default. A
half left out is off when the other one is given; a plan that gives neither takes both with their
defaults. null turns a half off. A change merges field by field.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Final, get_args

from plans.api_errors import InvalidPlan
from plans.capabilities import Capabilities, ChatTurnCounts
from plans.fields import PlanHalf, PlanSetting, build_defaults, list_settings
from plans.snapshot import (
    NO_PLAN_NAME,
    CacheSettings,
    CompressionFocus,
    CompressionSettings,
    PlanMode,
    find_serving_route,
    is_opt_out,
)

FieldCheck = Callable[[Any], Any]

PLAN_SECTIONS: Final[tuple[PlanHalf, ...]] = ("compression", "cache")
FOCUS_CHOICES: Final[tuple[CompressionFocus, ...]] = get_args(CompressionFocus)
MAX_STRAY_TURN_SHARE: Final = 0.01  # share of later turns that is tolerated
PLAN_NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DEFAULT_COMPRESSION: Final = CompressionSettings(**build_defaults("compression"))
DEFAULT_CACHE: Final = CacheSettings(**build_defaults("cache"))
READ_ONLY_FIELDS: Final = frozenset({"tenant", "notes", "created_at", "updated_at"})
NOT_YET_SUPPORTED: Final = frozenset({
    "bind", "binding", "bindings", "keys", "routes", "models",
    "rate_limit", "rate_limits", "budget", "budgets",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDraft:
    """A valid plan apart from its row; `id`: of the saved plan it was built from, else None."""

    name: str
    mode: PlanMode
    compression: CompressionSettings | None
    cache: CacheSettings | None
    id: int | None = None
    holdout: float = 0.0


def validate_plan(
    body: object, *, capabilities: Capabilities, base: PlanDraft | None = None
) -> PlanDraft:
    """Validate a new plan's body, or one that changes fields of `base`; return the draft.

    Raises InvalidPlan with every invalid field. A backend is probed only if the body chooses
    another one than `base` has.
    """
    if not isinstance(body, Mapping):
        raise InvalidPlan({"": "The body must be a JSON object that describes a plan."})
    problems: dict[str, str] = {}
    own = _make_checks("", {})
    fields: dict[str, FieldCheck] = {
        "plan_name": partial(_check_plan_name, present=base.name if base else None),
        "mode": own.pop("mode"),
        **dict.fromkeys(PLAN_SECTIONS, _check_section),
        **own,
    }
    top = _validate_fields(body, fields, "", problems)
    if base is None and not any(top.get(half) is not None for half in PLAN_SECTIONS):
        top = {half: {} for half in PLAN_SECTIONS} | top
    if base is None and "plan_name" not in body:
        problems["plan_name"] = "This field is required: " + _PLAN_NAME_RULE
    compression = _validate_compression(top, base, capabilities, problems)
    cache = _validate_cache(top, base, capabilities, problems)
    if problems:
        raise InvalidPlan(problems)
    return PlanDraft(
        name=top.get("plan_name", base.name if base else ""),
        compression=compression,
        cache=cache,
        **{
            each.name: top.get(each.name, getattr(base, each.name) if base else each.default)
            for each in list_settings("")
        },
    )


def _validate_compression(
    top: dict[str, Any],
    base: PlanDraft | None,
    capabilities: Capabilities,
    problems: dict[str, str],
) -> CompressionSettings | None:
    old = base.compression if base else None
    half = top.get("compression", _OMITTED_SECTION)
    if half is None or half is _OMITTED_SECTION:
        return old if half is _OMITTED_SECTION else None
    fields = _make_checks(
        "compression",
        {
            "engine": _make_engine_check(capabilities),
            "language": _make_choice_check(capabilities.list_languages()),
        },
    )
    given = _validate_fields(half, fields, "compression.", problems)
    compression = CompressionSettings(**asdict(old or DEFAULT_COMPRESSION) | given)
    return replace(
        compression, focus=_choose_focus(compression, "focus" in given, old, capabilities, problems)
    )


def _choose_focus(
    half: CompressionSettings,
    chosen: bool,
    old: CompressionSettings | None,
    capabilities: Capabilities,
    problems: dict[str, str],
) -> CompressionFocus:
    """Return the focus chosen now or in the saved plan, else the engine's best one."""
    possible = {engine.name: engine.focus for engine in capabilities.list_compression_engines()}
    accepted = possible.get(half.engine, FOCUS_CHOICES)
    if chosen and half.focus not in accepted and "compression.engine" not in problems:
        others = ", ".join(name for name, focus in possible.items() if half.focus in focus)
        problems["compression.focus"] = (
            f"Must be one of: {', '.join(accepted)} with the engine {half.engine}. "
            f"{half.focus}: {others}."
        )
    # The saved focus of an engine with a single one was not a choice.
    kept = chosen or (old is not None and len(possible.get(old.engine, FOCUS_CHOICES)) > 1)
    return half.focus if kept and half.focus in accepted else accepted[0]


def _validate_cache(
    top: dict[str, Any],
    base: PlanDraft | None,
    capabilities: Capabilities,
    problems: dict[str, str],
) -> CacheSettings | None:
    old = base.cache if base else None
    half = top.get("cache", _OMITTED_SECTION)
    if half is None or half is _OMITTED_SECTION:
        return old if half is _OMITTED_SECTION else None
    given = _validate_fields(
        half, _CACHE_FIELD_CHECKS | {"force": _check_boolean}, "cache.", problems
    )
    forced = given.pop("force", False)
    cache = CacheSettings(**asdict(old or DEFAULT_CACHE) | given)
    if (
        cache.context == "last_message"
        and not forced
        and base
        and base.id
        and (old is None or old.context != cache.context)
    ):
        problems |= _find_context_problem(capabilities.count_later_turns(base.id))
    chosen = (
        cache.backend
        if "cache.backend" not in problems and (old is None or old.backend != cache.backend)
        else None
    )
    if chosen and (reason := capabilities.find_backend_problem(chosen)):
        problems["cache.backend"] = f"{reason} null is accepted too: exact answers only."
    verifies = (
        isinstance(half, Mapping)
        and half.get("match") == "verified"
        and (old is None or old.match != "verified")
    )
    if verifies and (reason := capabilities.find_verifier_problem()):
        problems["cache.match"] = (
            f"{reason} cosine is accepted too: the threshold is then one of the cosine."
        )
    if not cache.exact and cache.backend is None:
        problems.setdefault(
            "cache.exact",
            (
                "False without a backend would cache nothing. Set one of them, or the "
                "whole cache to null."
            ),
        )
    if cache.strictness is not None and cache.match != "verified":
        problems.setdefault(
            "cache.strictness",
            (
                f"{cache.strictness} is a score of the verifier: it needs match verified. null is "
                "accepted too: similarity_threshold decides."
            ),
        )
    if cache.max_error_rate is not None:
        _check_error_budget(cache, problems)
    if cache.judge_model is not None:
        _check_judge_model(cache, old, capabilities, problems)
    return cache


def _find_context_problem(traffic: ChatTurnCounts) -> dict[str, str]:
    """Return a problem if too many of the plan's requests need their earlier turns."""
    share = traffic.later_turns / (traffic.requests or 1)
    if share <= MAX_STRAY_TURN_SHARE:
        return {}
    return {
        "cache.context": (
            f"last_message forgets what was said before, and {share:.1%} of this plan's last "
            f"{traffic.requests} requests were "
            "later turns of a chat: they would get answers of other chats. window compares both. "
            '"force": true beside it sets it all the same.'
        )
    }


def _check_error_budget(cache: CacheSettings, problems: dict[str, str]) -> None:
    """Reject an error budget that nothing would measure."""
    if cache.backend is None:
        problems.setdefault(
            "cache.max_error_rate",
            "Needs a backend: answers of identical requests are not measured. Set it to null.",
        )
    elif not cache.sample_rate:
        problems.setdefault(
            "cache.sample_rate",
            "Must be more than 0 while max_error_rate is set, else nothing is measured.",
        )


def _check_judge_model(
    cache: CacheSettings,
    old: CacheSettings | None,
    capabilities: Capabilities,
    problems: dict[str, str],
) -> None:
    """Reject a judge that would never be used, or whose route does not exist."""
    if cache.max_error_rate is None and "cache.max_error_rate" not in problems:
        problems.setdefault(
            "cache.judge_model",
            (
                "Needs max_error_rate: without it nothing is measured. Set it to "
                "null, or set that one."
            ),
        )
    # A judge saved before is accepted: its deleted route is no reason to reject another change.
    elif (old is None or old.judge_model != cache.judge_model) and not find_serving_route(
        routes := capabilities.list_routes(), cache.judge_model or ""
    ):
        accepted = (
            f"Must be the name of a route: {', '.join(routes)}"
            if routes
            else "There is no route yet"
        )
        problems.setdefault("cache.judge_model", f"{accepted}. null is accepted too: rules judge.")


def _validate_fields(
    half: Mapping[str, Any], fields: Mapping[str, FieldCheck], prefix: str, problems: dict[str, str]
) -> dict[str, Any]:
    """Return the valid fields; add the others to `problems` under their dotted names."""
    passed = {}
    for name, value in half.items():
        if name not in fields:
            problems[prefix + _make_printable(name)] = _describe_unknown_field(name, fields)
            continue
        try:
            passed[name] = fields[name](value)
        except ValueError as error:
            problems[prefix + name] = str(error)
    return passed


def _describe_unknown_field(name: str, fields: Mapping[str, FieldCheck]) -> str:
    accepted = f"Accepted here: {', '.join(fields)}."
    if name in NOT_YET_SUPPORTED:
        return f"Not available in this version. {accepted}"
    if name in READ_ONLY_FIELDS:
        return f"Set by the gateway, leave it out (the owner is chosen with ?tenant=). {accepted}"
    return f"Unknown field. {accepted}"


def _make_printable(name: str) -> str:
    """Return a field name from a request, up to 64 characters, with unprintable ones replaced."""
    return "".join(char if char.isprintable() else "?" for char in name[:64]) or "(empty)"


_OMITTED_SECTION: Final = object()
_PLAN_NAME_RULE = (
    "1 to 64 letters, digits, dots, dashes or underscores, starting with a letter or digit."
)


def _check_plan_name(value: object, *, present: str | None) -> str:
    if not isinstance(value, str) or not PLAN_NAME_PATTERN.fullmatch(value):
        raise ValueError("Must be " + _PLAN_NAME_RULE)
    # A plan that was named so before may keep its name.
    if is_opt_out(value) and value != present:
        raise ValueError(f"{NO_PLAN_NAME} is what requests say to go without a plan.")
    return value


def _check_section(value: object) -> Mapping[str, Any] | None:
    if value is None or isinstance(value, Mapping):
        return value
    raise ValueError("Must be an object, or null to turn this half off.")


def _check_boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("Must be true or false.")
    return value


def _make_integer_check(low: int, high: int) -> FieldCheck:
    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"Must be a whole number from {low} to {high}.")
        return value

    return check


def _make_number_check(low: float, high: float) -> FieldCheck:
    def check(value: object) -> float:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
            or not math.isfinite(value)
        ):
            raise ValueError(f"Must be a number from {low:g} to {high:g}.")
        return float(value)

    return check


def _make_choice_check(accepted: tuple[str, ...] | list[str]) -> FieldCheck:
    def check(value: object) -> str:
        if isinstance(value, str) and value in accepted:
            return value
        later = (
            f"{value} is not available in this version. "
            if isinstance(value, str) and value in NOT_YET_SUPPORTED
            else ""
        )
        raise ValueError(f"{later}Must be one of: {', '.join(accepted)}.")

    return check


def _make_engine_check(capabilities: Capabilities) -> FieldCheck:
    engines = capabilities.list_compression_engines()
    known = _make_choice_check([engine.name for engine in engines if engine.available])
    reasons = {engine.name: engine.reason for engine in engines if not engine.available}

    def check(value: object) -> Any:
        if isinstance(value, str) and value in reasons:
            raise ValueError(f"{value} cannot run: {reasons[value]}")
        return known(value)

    return check


def _check_backend_name(value: object) -> str | None:
    """Check the type only."""
    # Whether the backend exists and answers is checked once, and only when it changes.
    if value is None or (isinstance(value, str) and value):
        return value
    raise ValueError(
        "Must be the name of a cache engine (GET /token-saving/cache-engines), or null for "
        "exact answers only."
    )


def _check_route_name(value: object) -> str | None:
    """Check the type only, as for the backend; "" becomes None."""
    if value is None or isinstance(value, str):
        return value or None
    raise ValueError("Must be the name of a route, or null: rules judge.")


def _make_nullable_check(check: FieldCheck, null_means: str) -> FieldCheck:
    def check_or_null(value: object) -> Any:
        try:
            return None if value is None else check(value)
        except ValueError as error:
            raise ValueError(f"{error} null is accepted too: {null_means}.") from None

    return check_or_null


def make_setting_check(setting: PlanSetting) -> FieldCheck:
    """Make the check for the setting's kind and bounds."""
    check: FieldCheck
    match setting.kind:
        case "whole":
            check = _make_integer_check(int(setting.low), int(setting.high))
        case "number":
            check = _make_number_check(setting.low, setting.high)
        case "choice":
            check = _make_choice_check(tuple(setting.choices))
        case _:
            check = _check_boolean
    return _make_nullable_check(check, setting.null_means) if setting.nullable else check


def _make_checks(half: PlanHalf, of_names: Mapping[str, FieldCheck]) -> dict[str, FieldCheck]:
    """Make a check for each setting of a half; `of_names` has those of settings of kind "name"."""
    return {
        each.name: of_names[each.name] if each.kind == "name" else make_setting_check(each)
        for each in list_settings(half)
    }


_CACHE_FIELD_CHECKS: Final = _make_checks(
    "cache", {"backend": _check_backend_name, "judge_model": _check_route_name}
)
