"""Small dense quadratic programs as the dual active set method of kernels/active_set.py works on them.

The Hessian H = P + diag(weight) has a weight only where P is singular to rounding: then each minimum is
that of a proximal point, whose centre follows (Rockafellar, 1976).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy

from sparseopt.kernels.active_set import OPTIMAL, advance
from sparseopt.kernels.dual_start import SINGULAR, begin
from sparseopt.kernels.held_sides import (
    EQUAL,
    LOWER,
    NEGATIVE,
    POSITIVE,
    UPPER,
    ZERO,
    Held,
    Metric,
    Objective,
    Sides,
    Standing,
)
from sparseopt.solvers.quadratic.quadratic_program import equilibrate
from sparseopt.solvers.quadratic.rays import descent_ray, separating_ray

# Weight of the proximal term in the equilibrated program, and in a second attempt.
_WEIGHT, _HEAVY = 1e-6, 1e-3
# Work of one call, less than a tenth of a second, and refinements of a point.
_WORK, _ROUNDS = 1e8, 4
# Part of the sum of its terms that the support of a ray must exceed, or it may be rounding.
_SIGNIFICANT = 1e-11

# The first terms that were made, and where those keep their types.
_TYPE_NAMES = ("_numba_type", "_numba_type_")
_TYPES: dict[str, tuple] = {}


class Settled(NamedTuple):
    """A solution with multipliers of rows and bounds, its residuals in the units of the data, and its objective."""

    w: np.ndarray
    y: np.ndarray
    box: np.ndarray
    violation: float
    stationarity: float
    gap: float
    objective: float

    @property
    def residual(self):
        """Largest of the residuals."""
        return max(self.violation, self.stationarity, self.gap)

    def misses(self, tol):
        """Whether a residual is above the tolerance; a gap that rounding keeps up counts relative to the objective."""
        return not (max(self.violation, self.stationarity) <= tol and self.gap <= tol * max(1.0, abs(self.objective)))


class DualProgram:
    """A quadratic program with its factor, and where the method stands on it; its data but for matrices may change."""

    def __init__(self, program):
        self.program = program
        self.P, self.A = _matrices(program)
        m, p = self.A.shape
        count = m + p
        weight, inverse = _factorised(program, self.P)
        self.is_proximal = bool(weight.any())
        self.metric = self._metric(inverse)
        self.sides = Sides(np.empty(count), np.empty(count), np.zeros(count))
        held = np.empty(p, np.int64), np.zeros(1, np.int64), np.empty((p, p)), np.empty(p), np.empty(p)
        self.held = Held(*held)
        states, zeros = np.full(count, POSITIVE), (np.zeros(count) for _ in range(5))
        self.standing = Standing(states, *zeros, np.empty(p), np.empty(p))
        self.objective = Objective(
            self.P, self.A, weight, *(np.zeros(p) for _ in range(3)), np.zeros(count), np.zeros(2), np.zeros(count)
        )
        self.parts = _typed(self.objective, self.metric, self.sides, self.held, self.standing)
        self.space = np.empty(m), np.empty(p)
        #: Changes that one call may make.
        self.chunk = int(np.clip(_WORK / (3 * count * p + 1), 1, 10_000))
        self.set(program.q, program.row_lower, program.row_upper, program.lower, program.upper, program.alpha)

    def _metric(self, inverse):
        """The metric that the inverse of a Cholesky factor gives."""
        m, p = self.A.shape
        normals = np.empty((m + p, p))
        normals[:m], normals[m:] = self.A @ inverse.T, inverse.T
        norms = np.sqrt(np.einsum("ij,ij->i", normals, normals))
        return Metric(normals, norms, np.empty((m + p, m + p)), np.zeros(m + p, bool))

    def set(self, q, row_lower, row_upper, lower, upper, alpha):
        """Give the program other data; where a slope alpha_j |w_j| has one sign in the bounds it becomes linear."""
        m, sides = row_lower.size, self.sides
        sides.low[:m], sides.low[m:] = row_lower, lower
        sides.high[:m], sides.high[m:] = row_upper, upper
        c = self.objective.c
        c[:] = q
        if alpha.any():
            above, below = lower >= 0.0, upper <= 0.0
            sides.alpha[m:] = np.where(above | below, 0.0, alpha)
            c += np.where(above, alpha, 0.0) - np.where(below & ~above, alpha, 0.0)
        else:
            sides.alpha[m:] = 0.0

    def start(self, w=None):
        """Begin anew: with the kinks held that w lies on, or with those at zero."""
        sides, states = self.sides, self.standing.states
        self.held.size[0] = 0
        self.standing.multipliers[:] = 0.0
        states[:] = np.where(sides.alpha > 0.0, ZERO, POSITIVE)
        states[sides.low == sides.high] = EQUAL
        self.objective.centre[:] = 0.0 if w is None else w
        count, p = self.metric.normals.shape
        self.is_new = True
        if w is not None:
            values = np.append(self.A @ w, w)
            is_open = (states != EQUAL) & (values != 0.0)
            states[is_open] = np.where(values > 0.0, POSITIVE, NEGATIVE)[is_open]
            is_open = np.abs(states) == POSITIVE
            states[is_open & (values <= sides.low)] = LOWER
            states[is_open & (values >= sides.high)] = UPPER
        if np.count_nonzero(np.abs(states) != POSITIVE) * count * p > _WORK:
            # one call of BLAS instead of a row at a time
            np.matmul(self.metric.normals, self.metric.normals.T, out=self.metric.products)
            self.metric.known[:] = True

    def retry(self):
        """Prepare another attempt, where rounding has spoilt one: a new factor, and heavier proximal weights."""
        if self.is_proximal:
            # more points, in a metric where sides that nearly depend on each other do so less
            weight, inverse = _factorised(self.program, self.P, _HEAVY)
            self.objective.weight[:] = weight
            self.metric = self._metric(inverse)
            self.parts = _typed(self.objective, self.metric, self.sides, self.held, self.standing)
            self.start()
        self.held.size[0] = 0
        self.is_new = True

    def advance(self, enough, limit):
        """A chunk of at most `limit` changes: how it ended, how many there were, and the solution if that was the end."""
        m, p = self.A.shape
        w, y, box = np.empty(p), np.empty(m), np.empty(p)
        code, changes, *found = advance(
            *self.parts, w, y, box, *self.space, self.is_new, self.is_proximal, enough, _ROUNDS, min(limit, self.chunk)
        )
        self.is_new = False
        return code, changes, Settled(w, y, box, *found) if code == OPTIMAL else None

    def infeasibility(self, program):
        """The ray of multipliers at which an ascent has ended, where it proves that there is no feasible point, or None."""
        m = self.A.shape[0]
        y, box = self.objective.ray[:m].copy(), self.objective.ray[m:]
        used = np.flatnonzero(y)
        if used.size:
            # the rows balance exactly on the coefficients whose bounds take no part
            columns = self.A[used][:, box == 0.0].T
            for _ in range(2):  # the second time takes off the rounding of the first
                y[used] -= np.linalg.lstsq(columns, columns @ y[used], rcond=1e-10)[0]
        ray = separating_ray(program, y)
        if ray is None:
            return None
        used = ray != 0
        terms = ray[used] * np.where(ray > 0, self.sides.high, self.sides.low)[used]
        # a sum of sides that rounding may have made negative proves nothing
        return ray if -terms.sum() > _SIGNIFICANT * np.abs(terms).sum() else None

    def unboundedness(self, program) -> Iterator[np.ndarray]:
        """Candidates for a direction along which the objective falls for ever: where an ascent has ended, and cleaned."""
        direction = self.objective.ray[self.A.shape[0] :].copy()
        yield direction
        cleaned = descent_ray(program, direction)
        if cleaned is not None:
            yield cleaned


def _typed(*terms):
    """These terms, with the compiled types of earlier ones: their fields are of the same kinds, and a look costs 10 us each."""
    known = _TYPES.get("parts")
    if known is None:
        _TYPES["parts"] = terms
    else:
        for term, other in zip(terms, known, strict=True):
            for name in _TYPE_NAMES:
                if name in other.__dict__:
                    term.__dict__[name] = other.__dict__[name]
    return terms


# The memory of the last small program, for the next one of its size: to allot it takes longer than to solve some.
_SPARE: list[tuple] = []


def solved_at_once(program, enough, limit):
    """The solution of a small dense program without proximal points, the changes it took and the sides it holds.

    None where the curvature is singular to rounding, or the limit comes first.
    """
    p, m = program.lower.size, program.row_lower.size
    try:
        parts, image, rest = memory = _SPARE.pop()  # whoever takes it is alone with it
    except IndexError:
        memory = None
    if memory is None or (image.size, rest.size) != (m, p):
        parts, image, rest = memory = _blank(p, m), np.empty(m), np.empty(p)
    found = None
    if begin(*program, *parts):
        w, y, box = np.empty(p), np.empty(m), np.empty(p)
        code, changes, *residuals = advance(*parts, w, y, box, image, rest, True, False, enough, _ROUNDS, limit)
        if code == OPTIMAL:
            found = Settled(w, y, box, *residuals), changes, int(parts[3].size[0])
    if not _SPARE:
        _SPARE.append(memory)
    return found


def _blank(p, m):
    """The terms of p coefficients and m rows, without proximal weights; the rest is for `begin` to set."""
    count = m + p
    objective = Objective(
        np.empty((p, p)), np.empty((m, p)), np.zeros(p), *(np.empty(p) for _ in range(3)), np.empty(count), np.empty(2),
        np.empty(count),
    )  # fmt: skip
    metric = Metric(np.empty((count, p)), np.empty(count), np.empty((count, count)), np.empty(count, bool))
    sides = Sides(np.empty(count), np.empty(count), np.empty(count))
    held = Held(np.empty(p, np.int64), np.empty(1, np.int64), np.empty((p, p)), np.empty(p), np.empty(p))
    values = (np.empty(count) for _ in range(5))
    standing = Standing(np.empty(count, np.int64), *values, np.empty(p), np.empty(p))
    return _typed(objective, metric, sides, held, standing)


def _matrices(program):
    """P and A of a program in full."""
    P = np.diag(program.ridge)
    if program.matrix is not None:
        P += program.matrix.toarray() if program.is_sparse else program.matrix
    if program.factor is not None:
        factor = program.factor.toarray() if program.is_sparse else program.factor
        P += factor.T @ factor
    A = program.A.toarray() if program.is_sparse else program.A
    return np.ascontiguousarray(P), np.array(A, order="C")


def _factorised(program, P, scaled_weight=_WEIGHT):
    """Proximal weights, zero where P needs none, and the inverse of the Cholesky factor of H."""
    lapack = scipy.linalg.lapack
    own, weight = P.diagonal(), np.zeros(P.shape[0])
    L, fault = lapack.dpotrf(P, lower=1)
    if fault or not np.all(L.diagonal() ** 2 > SINGULAR * own):
        columns, _, cost = equilibrate(program)
        weight = scaled_weight / (cost * columns**2)
        H = P.copy()
        H.flat[:: weight.size + 1] += weight
        L, _ = lapack.dpotrf(H, lower=1, overwrite_a=1)
    inverse, _ = lapack.dtrtri(L, lower=1)
    return weight, inverse
