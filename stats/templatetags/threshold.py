"""The panel of a plan's threshold: a slider, the curve, and the same in words and numbers."""

from typing import Any, Final

from django import forms, template

from plans.models import Plan
from stats.quality.tuning import Curve, curve

register = template.Library()
LOW: Final = 0.5  # thresholds on the left edge; the right one is 1
WIDTH, HEIGHT = 560, 150


def _x(threshold: float) -> float:
    return round((min(max(threshold, LOW), 1) - LOW) / (1 - LOW) * WIDTH, 1)


def _line(points: list[tuple[float, float]], top: float) -> str:
    return " ".join(
        f"{_x(threshold)},{round(HEIGHT - share / top * HEIGHT, 1)}" for threshold, share in points
    )


@register.inclusion_tag("admin/threshold.html")
def threshold_panel(original: Plan, form: forms.BaseForm) -> dict[str, Any]:
    """`original` may hold a draft: the mark in force is of the saved row."""
    saved = Plan.objects.get(pk=original.pk)
    drawn = curve(saved)
    wrong = [(point.threshold, point.wrong) for point in drawn.points if point.wrong is not None]
    most = max([share for _, share in wrong] or [0])
    return {
        "curve": drawn,
        "number": "verifier's score" if saved.match == Plan.Match.VERIFIED else "cosine",
        "saved": saved.similarity_threshold,
        "drafted": form["similarity_threshold"].value(),
        "saved_at": _x(saved.similarity_threshold),
        "drafted_at": _x(_number(form["similarity_threshold"].value(), saved.similarity_threshold)),
        "hits": _line([(point.threshold, point.hit_rate) for point in drawn.points], 1),
        "wrongs": _line(wrong, _top(most)),
        "dots": [(_x(at), round(HEIGHT - share / _top(most) * HEIGHT, 1)) for at, share in wrong],
        "top": _top(most),
        "nearest": nearest(drawn, saved.similarity_threshold),
        "width": WIDTH,
        "height": HEIGHT,
        "ticks": [(_x(step / 10), step / 10) for step in range(5, 11)],
        "low": LOW,
    }


def _top(most: float) -> float:
    """The upper end of the axis of wrong answers: the first of these that holds them all."""
    return next(end for end in (0.02, 0.05, 0.1, 0.25, 0.5, 1.0) if most <= end)


def _number(value: Any, otherwise: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return otherwise
    return number if number == number else otherwise  # noqa: PLR0124 -- not a number differs from itself


def nearest(drawn: Curve, threshold: float) -> Any:
    """The point of the curve closest to a threshold."""
    return min(drawn.points, key=lambda point: abs(point.threshold - threshold))
