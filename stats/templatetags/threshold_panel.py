"""The panel of a plan's threshold: a slider, the curve, and the same in words and numbers."""

from typing import Any, Final

from django import forms, template

from plans.models import Plan
from plans.strictness import STRICTNESS_NAMES, find_threshold
from stats.quality.recalibration import describe_recalibration, load_recalibration
from stats.quality.threshold_tuning import ThresholdCurve, build_threshold_curve

register = template.Library()
MIN_THRESHOLD: Final = 0.5  # at the left edge; the right one is 1
CHART_WIDTH, CHART_HEIGHT = 560, 150


def _scale_threshold(threshold: float) -> float:
    return round(
        (min(max(threshold, MIN_THRESHOLD), 1) - MIN_THRESHOLD) / (1 - MIN_THRESHOLD) * CHART_WIDTH,
        1,
    )


def _build_polyline(points: list[tuple[float, float]], top: float) -> str:
    return " ".join(
        f"{_scale_threshold(threshold)},{round(CHART_HEIGHT - share / top * CHART_HEIGHT, 1)}"
        for threshold, share in points
    )


@register.inclusion_tag("admin/threshold.html")
def threshold_panel(original: Plan, form: forms.BaseForm) -> dict[str, Any]:
    """Build the panel's context."""
    # `original` may hold a draft; the threshold in force is that of the saved row.
    saved = Plan.objects.get(pk=original.pk)
    drawn = build_threshold_curve(saved)
    drafted = _find_drafted_threshold(form, saved)
    found = load_recalibration(saved)
    wrong = [(point.threshold, point.wrong) for point in drawn.points if point.wrong is not None]
    most = max([share for _, share in wrong] or [0])
    return {
        "curve": drawn,
        "number": "verifier's score" if saved.match == "verified" else "cosine",
        "saved": saved.threshold,
        "drafted": drafted,
        "saved_at": _scale_threshold(saved.threshold),
        "drafted_at": _scale_threshold(_parse_threshold(drafted, saved.threshold)),
        "hits": _build_polyline([(point.threshold, point.hit_rate) for point in drawn.points], 1),
        "wrongs": _build_polyline(wrong, _find_axis_end(most)),
        "dots": [
            (
                _scale_threshold(at),
                round(CHART_HEIGHT - share / _find_axis_end(most) * CHART_HEIGHT, 1),
            )
            for at, share in wrong
        ],
        "top": _find_axis_end(most),
        "nearest": find_nearest_point(drawn, saved.threshold),
        "width": CHART_WIDTH,
        "height": CHART_HEIGHT,
        "ticks": [(_scale_threshold(step / 10), step / 10) for step in range(5, 11)],
        "low": MIN_THRESHOLD,
        "recalibration": describe_recalibration(saved, found) if found else "",
    }


def _find_drafted_threshold(form: forms.BaseForm, saved: Plan) -> Any:
    """Return the threshold that the form holds, as it was typed."""
    name, match = form["strictness"].value(), form["match"].value()
    typed = form["similarity_threshold"].value()
    return find_threshold(name, match, typed) if name in STRICTNESS_NAMES else typed


def _find_axis_end(most: float) -> float:
    """Return the first axis end that covers the greatest rate of wrong answers."""
    return next(end for end in (0.02, 0.05, 0.1, 0.25, 0.5, 1.0) if most <= end)


def _parse_threshold(value: Any, otherwise: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return otherwise
    return number if number == number else otherwise  # noqa: PLR0124 -- not a number differs from itself


def find_nearest_point(drawn: ThresholdCurve, threshold: float) -> Any:
    """Return the point of the curve closest to a threshold."""
    return min(drawn.points, key=lambda point: abs(point.threshold - threshold))
