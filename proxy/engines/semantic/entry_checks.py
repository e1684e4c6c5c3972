"""What every semantic backend checks before it talks to its server."""

import hashlib
import math
import re

import numpy as np

from proxy.core.caching.envelope import to_storable_text
from proxy.core.errors import ToolUnavailable
from proxy.core.ports import SemanticEntry
from proxy.core.types import Vector

__all__ = ["check_entry", "check_unit_vector", "clip_similarity", "slug", "to_storable_text"]

UNIT_LENGTH_TOLERANCE = 0.01


def check_unit_vector(tool: str, vector: Vector, dimension: int) -> Vector:
    """Return the vector as float32 of shape (dimension,).

    Raises ToolUnavailable if the shape differs, a number is not finite or the length is not 1.
    """
    # A server would either raise late (pgvector) or silently leave the entry out of its index
    # (RediSearch).
    checked: Vector = np.asarray(vector, dtype=np.float32)
    if checked.shape != (dimension,):
        raise ToolUnavailable(tool, f"a vector of shape {checked.shape} instead of ({dimension},)")
    length = math.sqrt(checked @ checked)  # numpy.linalg.norm spends 10 us on kinds of norms
    if not abs(length - 1.0) <= UNIT_LENGTH_TOLERANCE:  # NaN compares false
        raise ToolUnavailable(tool, f"not a unit vector: length {length:g}")
    return checked


def check_entry(tool: str, entry: SemanticEntry, embedder_id: str, dimension: int) -> Vector:
    """Return the entry's vector.

    Raises ToolUnavailable unless it is a unit vector of this embedder.
    """
    if entry.embedder != embedder_id:
        raise ToolUnavailable(
            tool, f"an entry of embedder {entry.embedder!r}, this index holds {embedder_id!r}"
        )
    return check_unit_vector(tool, entry.vector, dimension)


def clip_similarity(similarity: float) -> float:
    """Clip a cosine to -1..1, which rounding in the stores can exceed."""
    return max(-1.0, min(1.0, similarity))


def slug(name: str) -> str:
    """Convert a name to letters, digits, `.`, `_` and `-`, with a digest to keep names distinct."""
    # These characters have no special meaning in key patterns and collection names.
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9.-]', '_', name)}-{digest}"
