"""Presets: named settings with their risk and measured error rates, fitted to the running system.

The figures are those of plans/operating_points.json, docs/verifier.md, docs/context.md and of `make
eval-compression`; a test compares them with the documents.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from plans.api_errors import InvalidPlan
from plans.capabilities import Capabilities
from plans.strictness import OperatingPoint, get_operating_points


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A preset; its halves are the API's JSON without defaults."""

    name: str
    title: str
    # One sentence.
    risk: str
    # How often it was wrong, and on what.
    measured: str
    compression: Mapping[str, Any] | None
    cache: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedPreset:
    """A preset adapted to this system; `notes`: what was changed, and why."""

    preset: Preset
    compression: dict[str, Any] | None
    cache: dict[str, Any]
    notes: list[str] = field(default_factory=list)

    @property
    def plan_body(self) -> dict[str, Any]:
        return {"compression": self.compression, "cache": self.cache}


def _describe_wrong_answers(threshold: float) -> str:
    """Say how many of the answers reused at this threshold of the verifier were wrong."""
    points: dict[float, OperatingPoint] = {
        each.threshold: each for each in get_operating_points().all_points
    }
    questions, quora = (points[threshold].sets[name] for name in ("questions", "Quora"))
    return (
        f"Wrong among reused answers: {100 * questions.wrong_share:.1f} % on "
        f"{questions.right + questions.traps:,} pairs of everyday questions, "
        f"{100 * quora.wrong_share:.1f} % on Quora's harder ones"
    )


PRESETS: Final = {
    preset.name: preset
    for preset in (
        Preset(
            name="safe",
            title="Safe",
            risk=(
                "Only the very same request is answered again, with an answer up to an hour old; "
                "nothing is shortened."
            ),
            measured="No question is ever taken for another one.",
            compression=None,
            cache={"backend": None, "ttl": 3600},
        ),
        Preset(
            name="balanced",
            title="Balanced",
            risk=(
                "Questions in other words are answered again too, and about one such answer in a "
                "hundred may be wrong."
            ),
            measured=(
                f"{_describe_wrong_answers(0.85)}, none of 401 in chats. Reuse turns itself off "
                "when samples show more than 2 % for certain."
            ),
            compression={"engine": "text_rank", "max_input_tokens": 4096, "when": "saves"},
            cache={"similarity_threshold": 0.85, "max_error_rate": 0.02, "ttl": 3600},
        ),
        Preset(
            name="aggressive",
            title="Aggressive",
            risk=(
                "Reuses most, for a day, and shortens every long chat: expect more wrong or old "
                "answers, and facts lost from chats."
            ),
            measured=(
                f"{_describe_wrong_answers(0.80)}. Of the hardest long chats (locomo), cut to "
                "2,048 tokens, 82.8 % of what a question needed was still sent, 88.7 % at 4,096. "
                "Reuse turns itself off when samples show more than 5 % for certain."
            ),
            compression={"engine": "text_rank", "max_input_tokens": 2048, "when": "always"},
            cache={
                "similarity_threshold": 0.80,
                "max_error_rate": 0.05,
                "ttl": 86_400,
                "stale_if_error": 3600,
            },
        ),
    )
}
FALLBACK_COSINE_THRESHOLD: Final = (
    0.85  # below it, rules alone leave too many wrong answers (docs/verifier.md)
)


def fit_preset(preset: Preset, *, capabilities: Capabilities) -> FittedPreset:
    """Replace what this system cannot run. Probes backends, which may take a second."""
    notes: list[str] = []
    cache = dict(preset.cache) | {"backend": None}
    if "backend" not in preset.cache:
        cache |= _fit_semantic_cache(preset, capabilities, notes)
    return FittedPreset(
        preset=preset,
        compression=_fit_compression(preset, capabilities, notes),
        cache=cache,
        notes=notes,
    )


def _fit_semantic_cache(
    preset: Preset, capabilities: Capabilities, notes: list[str]
) -> dict[str, Any]:
    engines = capabilities.list_cache_engines()
    chosen = next((engine for engine in engines if engine.available), None)
    if chosen is None:
        reasons = " ".join(f"{engine.title}: {engine.reason}" for engine in engines)
        notes.append(
            (
                "Identical requests only, because nothing here can compare questions by "
                f"meaning now. {reasons}"
            ).strip()
        )
        return {"max_error_rate": None}
    if chosen is not engines[0]:
        notes.append(
            f"Questions are compared in {chosen.title}, because {engines[0].title} is not "
            f"available: {engines[0].reason}"
        )
    refusal = capabilities.find_verifier_problem()
    if refusal is None:
        return {"backend": chosen.name}
    notes.append(
        f"Questions match by the cosine at {FALLBACK_COSINE_THRESHOLD}, because the verifier does "
        "not run: "
        f"{refusal} Then 1.7 % of the reused answers were wrong on everyday questions, "
        "6.3 % on Quora's."
    )
    return {
        "backend": chosen.name,
        "match": "cosine",
        "similarity_threshold": FALLBACK_COSINE_THRESHOLD,
    }


def _fit_compression(
    preset: Preset, capabilities: Capabilities, notes: list[str]
) -> dict[str, Any] | None:
    if preset.compression is None:
        return None
    engines = {engine.name: engine for engine in capabilities.list_compression_engines()}
    wanted = engines.get(preset.compression["engine"])
    if wanted and wanted.available:
        return dict(preset.compression)
    other = next((engine for engine in engines.values() if engine.available), None)
    reason = (wanted and wanted.reason) or "it is not installed"
    notes.append(
        f"Long chats are {f'shortened by {other.title}' if other else 'sent whole'}, because "
        f"TextRank does not run: {reason}"
    )
    return dict(preset.compression) | {"engine": other.name} if other else None


def expand_preset(
    body: object, *, capabilities: Capabilities, notes: list[str] | None = None
) -> object:
    """Replace `preset` in a new plan's body by its settings; fields of the body win.

    What had to be changed is added to `notes`. Raises InvalidPlan for an unknown preset.
    """
    if not isinstance(body, Mapping) or "preset" not in body:
        return body
    preset = find_preset(body["preset"])
    full = {name: value for name, value in body.items() if name != "preset"}
    found = fit_preset(preset, capabilities=capabilities)
    if notes is not None:
        notes += found.notes
    for half, settings in found.plan_body.items():
        said = body.get(half, {})
        if isinstance(said, Mapping):
            full[half] = (
                dict(settings or {}) | dict(said) if settings is not None or half in body else None
            )
    return full


def find_preset(name: object) -> Preset:
    """Return the preset of that name. Raises InvalidPlan that lists the known names."""
    preset = PRESETS.get(name) if isinstance(name, str) else None
    if preset is None:
        raise InvalidPlan(
            {"preset": f"Must be one of: {', '.join(PRESETS)}; leave it out for the defaults."}
        )
    return preset
