"""The power method, many steps for the price of few.

The iterates p, Ap, A²p ... lie in a Krylov space, and Arnoldi's process (Saad 2003, "Iterative
Methods for Sparse Linear Systems", 6.3) gives it an orthonormal basis V with A V = V' H. A step
within the space multiplies by the small matrix H. What leaves the space is a multiple of the next
basis vector: when all that was left out stays below PRECISION, the large matrix need not be asked
again. A chat in which one sentence in ten has stop words only takes 60 steps, as its mass leaks
away slowly, and half as many products.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Length of the part of an iterate that may be left out.
MAX_TRUNCATION_ERROR = 1e-11
# Basis vectors, and how many numbers they may hold; then the process starts again where it stands.
MAX_BASIS_VECTORS, MAX_BASIS_ENTRIES = 48, 4_000_000
# From so many on it is tried every few steps whether they are enough.
MIN_BASIS_VECTORS, CHECK_INTERVAL_STEPS = 12, 4
# What is left of a product outside the basis, as a part of it: below the first, split once more;
# below the second, it is rounding.
REORTHOGONALIZE_RATIO, ROUNDING_RATIO = 0.1, 1e-12


def power_iteration(step: Callable[[Floats], Floats], start: Floats, epsilon: float) -> Floats:
    """The first of step(start), step(step(start)) ... that is no further
    than `epsilon` from the one before. `step` is linear."""
    while True:
        start, done = _iterate_with_basis(step, start, epsilon)
        if done:
            return start


def _iterate_with_basis(
    step: Callable[[Floats], Floats], start: Floats, epsilon: float
) -> tuple[Floats, bool]:
    """The iterate that is reached with one basis, and whether it is the last."""
    most = max(2, min(MAX_BASIS_VECTORS, MAX_BASIS_ENTRIES // len(start)))
    basis, matrix, point = (
        np.zeros((most + 1, len(start))),
        np.zeros((most + 1, most)),
        np.zeros(most + 1),
    )
    point[0] = np.linalg.norm(start)
    basis[0] = start / point[0]
    for size in range(1, most + 1):
        image = step(basis[size - 1])
        matrix[:size, size - 1], rest = _orthogonalize(image, basis[:size])
        if rest:
            matrix[size, size - 1] = rest
            basis[size] = image / rest
        before, point = point, matrix @ point[:most]
        if np.linalg.norm(point - before) <= epsilon:
            return point @ basis, True
        if not rest or (size >= MIN_BASIS_VECTORS and size % CHECK_INTERVAL_STEPS == 0):
            last = _finish_in_basis(matrix[: size + 1, :size], point[: size + 1], epsilon)
            if last is not None:
                return last @ basis[: size + 1], True
    return point @ basis, False


def _orthogonalize(image: Floats, basis: Floats) -> tuple[Floats, float]:
    """Take from a product what lies in the basis:
    its coordinates, and the length of what is left of it, 0 when that is rounding only."""
    whole = np.linalg.norm(image)
    parts = basis @ image
    image -= parts @ basis
    if (rest := np.linalg.norm(image)) < REORTHOGONALIZE_RATIO * whole:
        more = basis @ image
        image -= more @ basis
        parts, rest = parts + more, np.linalg.norm(image)
    return parts, float(rest) if rest > ROUNDING_RATIO * whole else 0.0


def _finish_in_basis(matrix: Floats, point: Floats, epsilon: float) -> Floats | None:
    """The last iterate in the basis as it is; None when too much of it would be left out."""
    lost = 0.0
    while (lost := lost + abs(point[-1])) <= MAX_TRUNCATION_ERROR:
        before, point = point, matrix @ point[:-1]
        if np.linalg.norm(point - before) <= epsilon:
            return point
    return None
