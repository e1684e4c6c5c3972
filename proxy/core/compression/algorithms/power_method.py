"""Run the power method in a Krylov space: many steps for the price of few."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Norm of the part of an iterate that may be left out.
MAX_TRUNCATION_ERROR = 1e-11
# Limits of the basis: vectors and numbers held. At a limit the process restarts from the current
# iterate.
MAX_BASIS_VECTORS, MAX_BASIS_ENTRIES = 48, 4_000_000
# From this many basis vectors on, whether they are enough is tested every few steps.
MIN_BASIS_VECTORS, CHECK_INTERVAL_STEPS = 12, 4
# What remains of a product outside the basis, relative to the product: below the first ratio it is
# orthogonalised once more, below the second it is rounding error.
REORTHOGONALIZE_RATIO, ROUNDING_RATIO = 0.1, 1e-12


# The iterates p, Ap, A²p ... lie in a Krylov space, and Arnoldi's process (Saad 2003, "Iterative
# Methods for Sparse Linear Systems", 6.3) gives it an orthonormal basis V with A V = V' H. A step
# within the space multiplies by the small matrix H. What leaves the space is a multiple of the next
# basis vector: while all that was left out stays below MAX_TRUNCATION_ERROR, the large matrix is
# not needed. A chat in which one sentence in ten has stop words only takes 60 steps, as its mass
# leaks away slowly, and half as many products.
def power_iteration(step: Callable[[Floats], Floats], start: Floats, epsilon: float) -> Floats:
    """Return the first iterate of `step` that is within `epsilon` of the previous one.

    `step` must be linear.
    """
    while True:
        start, done = _iterate_with_basis(step, start, epsilon)
        if done:
            return start


def _iterate_with_basis(
    step: Callable[[Floats], Floats], start: Floats, epsilon: float
) -> tuple[Floats, bool]:
    """Return the iterate reached with one basis, and whether it has converged."""
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
    """Remove the basis from `image` in place; return its coordinates and the norm of the rest.

    The norm is 0 if the rest is only rounding error.
    """
    whole = np.linalg.norm(image)
    parts = basis @ image
    image -= parts @ basis
    if (rest := np.linalg.norm(image)) < REORTHOGONALIZE_RATIO * whole:
        more = basis @ image
        image -= more @ basis
        parts, rest = parts + more, np.linalg.norm(image)
    return parts, float(rest) if rest > ROUNDING_RATIO * whole else 0.0


def _finish_in_basis(matrix: Floats, point: Floats, epsilon: float) -> Floats | None:
    """Iterate to convergence within the basis; None if too much would be left out."""
    lost = 0.0
    while (lost := lost + abs(point[-1])) <= MAX_TRUNCATION_ERROR:
        before, point = point, matrix @ point[:-1]
        if np.linalg.norm(point - before) <= epsilon:
            return point
    return None
