"""Find runs of characters that are no words: base64, digests, one letter a thousand times."""

import re
from collections.abc import Iterator

# A shorter run costs little, and may be a name.
MIN_RUN_LENGTH = 200
# Characters of a run that are kept: enough to see what it was.
KEPT_HEAD_LENGTH = 32
# Words joined by signs have a joint at least this often.
_MAX_JOINT_DISTANCE = 40
_RUN = re.compile(r"(?<![\w+/=\-])[A-Za-z0-9+/=_\-]{60,}+")
_CAPITAL_OR_FIGURE = re.compile(r"[A-Z0-9+/=]")
_JOINT_CHARACTER = re.compile(r"[_\-/+=]")


def find_opaque_runs(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the spans of opaque runs in order; consecutive lines of base64 are one run."""
    left = right = -1
    for run in _RUN.finditer(text, start, end):
        if left >= 0 and not text[right : run.start()].strip() and run.start() - right <= 4:
            right = run.end()
            continue
        if _is_opaque(text, left, right):
            yield left, right
        left, right = run.span()
    if _is_opaque(text, left, right):
        yield left, right


def _is_opaque(text: str, left: int, right: int) -> bool:
    """Return whether a run is long and no words joined by signs.

    It is full of capitals and digits, or goes a long way without a joint.
    """
    if right - left < MIN_RUN_LENGTH:
        return False
    sample = text[left : left + 4000]
    many = sum(1 for _ in _CAPITAL_OR_FIGURE.finditer(sample))
    joints = sum(1 for _ in _JOINT_CHARACTER.finditer(sample))
    return many * 5 >= len(sample) or joints * _MAX_JOINT_DISTANCE < len(sample)
