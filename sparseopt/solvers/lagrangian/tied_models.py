"""The minimiser of a quadratic plus a term that ties coefficients together, by the slopes of the term's prox.

    q'w + w'H w / 2 + g(w)

Proximal points, each found by semismooth Newton steps on its dual (Li, Sun and Toh, 2018). With z the last one, the
slopes of the quadratic at any x define w(x) = prox_{t g}(z - t (q + H x)), and w(x) is the next point where H x = H w(x). A
Newton step towards that solves a system of as many numbers as w has pieces, however badly the columns are scaled: by a
factorisation, or where that would be too large by conjugate gradients (Li, Sun and Toh, 2018).
"""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import scipy
from scipy import sparse

from sparseopt.solvers.lagrangian.prox_slopes import tied_term

# The first t and the least, in units of a typical curvature, and the most of it; its factors from one proximal point to the
# next, where that is better than those before or not.
_FIRST_T, _LEAST_T, _LARGEST_T = 10.0, 10.0, 1e5
_GROWTH, _FALL_OF_T = 10.0, 0.01
# Part of the move of a proximal point to which it is solved.
_DEPTH = 0.1
# Proximal points in vain, one after the other, before the best one has to do.
_PATIENCE = 3
# Newton steps in all, and the halvings of one.
_STEPS, _HALVINGS = 200, 25
_SUFFICIENT, _ROUNDING = 1e-4, 1e-14
# A Newton step without a look at values is taken where slopes fall to this part.
_FALL = 0.5
# Multiplications after which no further step is made: a tenth of a second, so that limits of a run are kept; and how many
# of them an entry of H, which comes from memory, takes the time of, and a coefficient in the vectors around a product and in
# the prox, which may be sorted.
_WORK, _ENTRY, _AROUND, _SORTED = 1e9, 4.0, 64.0, 100.0
# Numbers and multiplications beyond which a system is not formed: conjugate gradients solve it to a part of its size.
_NUMBERS, _FACTOR_WORK = 1e7, 1e10
_ROUGH = 1e-4


class Found(NamedTuple):
    """A point, and the Newton steps to it."""

    w: np.ndarray
    steps: int


class _Reached(NamedTuple):
    """Where a model ended for want of budget: t, the point x that the dual stands for, and how many in turn led nowhere."""

    t: float
    x: np.ndarray | None
    in_vain: int


_START = _Reached(_FIRST_T, None, 0)
#: Of the last model with a term; the next one goes on from there.
_reached: WeakKeyDictionary = WeakKeyDictionary()


def models_in_vain(term):
    """How many of the last models with a `WholeTerm` found nothing better in their budget."""
    return _reached.get(term, _START).in_vain


def tied_minimiser(term, curvature, q, w, tol, most=np.inf):
    """The minimiser up to slopes of `tol`, or the best point of a budget, from w on, of a `WholeTerm` that `tied_term` knows.

    Of the budget, and of `most` steps, the first step may exceed the former. Where it ends early, the point has the least
    distance of the slopes, or, where that of w is less, it is lower than w, or w itself.
    """
    tied = tied_term(term.term, curvature.diagonal())
    start = _reached.pop(term, _START)
    run = _Run(term, tied, curvature, q, w, start, min(most, _STEPS))
    best, least, idle = w, run.distance(run.z, run.slope), 0
    while least > tol and idle < _PATIENCE and run.has_budget:
        run.settle(tol)
        idle += 1
        # a long prox rounds what the Newton step has right, which lies on the same piece
        for move, bent in ((run.move, run.bent_move), (run.e, run.bent_e)):
            distance = run.distance(run.z + move, run.slope + bent)
            if distance < least:
                best, least, idle = run.point(run.z + move), distance, 0
        lower = run.move if best is w and run.is_lower() else None
        # rounding grows with t, which is far enough where a point is as good as the last ones
        t = min(_GROWTH * run.t, _LARGEST_T) if idle == 0 else max(_FALL_OF_T * run.t, _LEAST_T)
        if not run.has_budget:
            is_in_vain = best is w and lower is None
            in_vain = start.in_vain + 1 if is_in_vain else 0
            # a proximal point may take several models
            if idle > 0 and in_vain % _PATIENCE < _PATIENCE - 1:
                t = run.t
            x = run.units * (run.z + run.e)
            if least > tol:
                _reached[term] = _Reached(t, x if np.all(np.isfinite(x)) else None, in_vain)
            if lower is not None:
                best = run.point(run.z + lower)
            break
        run.go_on(t)
    return Found(best, run.steps)


class _Run:
    """A proximal point z, and the dual e = x - z with the move w(x) - z it leads to, in the units of the tied term."""

    def __init__(self, term, tied, curvature, q, w, start, most):
        self.term, self.tied, self.curvature = term, tied, curvature
        self.t, self.most, self.steps, self.work = start.t, most, 0, 0.0
        self.units, self.shortest = tied.units, float(np.min(tied.units))
        self.q = self.units * q
        self.begin(w / self.units, np.zeros_like(w) if start.x is None else (start.x - w) / self.units)
        self.first, self.first_slope, self.first_price = self.z, self.slope, term.value(w)

    def begin(self, z, e):
        """Stand at z: differences from there do not lose the digits that sizes would take."""
        self.z, self.slope = z, self.q + self.bent(z)
        self.stand(e, self.bent(e))

    def go_on(self, t):
        """From the last proximal point to the next."""
        self.t = t
        self.begin(self.z + self.move, self.e - self.move)

    def stand(self, e, bent):
        """Take e for the dual, with its image H e."""
        self.e, self.bent_e = e, bent
        self.v = self.z - self.t * (self.slope + bent)
        self.work += _SORTED * e.size
        self.w = self.tied.prox(self.v, self.t)
        self.move = self.w - self.z
        self.bent_move = self.bent(self.move)

    def bent(self, x):
        self.work += _ENTRY * self.curvature.n_entries + _AROUND * x.size
        return self.units * self.curvature.product(self.units * x)

    @property
    def has_budget(self):
        return self.steps < self.most and (self.steps == 0 or self.work < _WORK)

    @property
    def missing(self):
        """Distance of the slopes that w has to those that lead to it."""
        return float(np.max(np.abs(self.bent_move - self.bent_e), initial=0.0))

    def distance(self, x, slope):
        """Distance of the slope at x to those of the term, in units of the user."""
        self.work += _SORTED * x.size
        return float(np.max(self.term.slope_distance(self.point(x), slope / self.units), initial=0.0))

    def point(self, x):
        """x in units of the user, and in the set without rounding."""
        return self.term.enter(self.units * x) if self.term.constraint is not None else self.units * x

    def height(self):
        """The dual at e, which is to rise; and what its rounding is a part of."""
        linear, price = (self.slope + self.bent_e) @ self.move, self.term.value(self.units * self.w)
        parts = -(self.e @ self.bent_e) / 2, linear, price, self.move @ self.move / (2.0 * self.t)
        return float(sum(parts)), float(sum(map(abs, parts)))

    def is_lower(self):
        """Whether the quadratic plus the term is lower at w(x) than where the run began."""
        d = self.w - self.first
        slopes = self.first_slope + self.slope + self.bent_move
        rise = self.term.value(self.units * self.w) - self.first_price
        return float(d @ slopes) / 2 + rise < 0.0

    def settle(self, tol):
        """e becomes the dual of the next proximal point."""
        while self.has_budget:
            length = float(np.max(np.abs(self.move), initial=0.0)) / self.t
            if not self.missing > max(0.3 * tol * self.shortest, _DEPTH * length) or not self.take_step():
                return

    def take_step(self):
        """A Newton step, shortened until the dual rises; False where it does not."""
        self.steps += 1
        prox_slope = self.tied.slope(self.v, self.w, self.t)
        right, missing = self.bent_move - self.bent_e, self.missing
        d = self.move - self.e - prox_slope.root(self.solved(prox_slope, right))
        bent, rise = self.bent(d), float(right @ d)
        (height, terms), e, bent_e = self.height(), self.e, self.bent_e
        length, limit = 1.0, max(_WORK, 2.0 * self.work)
        for _ in range(_HALVINGS):
            self.stand(e + length * d, bent_e + length * bent)
            there, others = self.height()
            rounding = _ROUNDING * max(terms, others)
            if there > height + max(_SUFFICIENT * length * rise, rounding):
                return True
            is_nearer = self.missing <= _FALL * missing
            if there >= height - rounding and (is_nearer or length == 1.0):
                # no more than rounding is left where the slopes do not come nearer either
                return is_nearer
            if self.work > limit:
                # of a step that was all of the budget, halvings take as much again
                break
            length *= 0.5
        self.stand(e, bent_e)
        return False

    def solved(self, prox_slope, right):
        """(1 / t + F'HF) numbers = F' right, F the root of the derivative, right = H (move - e)."""
        E = sparse.csc_array(sparse.diags_array(self.units) @ prox_slope.E)
        m = E.shape[1]
        size = self.curvature.system_size(m)
        # what is no larger than X is no matter where X fits
        if size.numbers > max(_NUMBERS, self.curvature.n_entries) or size.work > _FACTOR_WORK:
            return self._solved_roughly(prox_slope, E, right)
        self.work += size.work
        if self.curvature.rank < m:
            return self._solved_by_rank(prox_slope, E)
        gram = prox_slope.enclose(self.curvature.gram(E))
        gram.flat[:: m + 1] += 1.0 / self.t
        return _solve(gram, prox_slope.transposed(right)) if m else np.zeros(0)

    def _solved_by_rank(self, prox_slope, E):
        """The same by a system of as many numbers as there are samples and rows: t B'(1 + t B B')**-1 A, with B = A F."""
        A = self.curvature.roots(E)
        B = A if prox_slope.T is None else (prox_slope.T @ A.T).T
        outer = self.t * (B @ B.T)
        outer.flat[:: len(B) + 1] += 1.0
        return self.t * (B.T @ _solve(outer, self.curvature.image(self.units * (self.move - self.e))))

    def _solved_roughly(self, prox_slope, E, right):
        """The same by conjugate gradients, without a matrix; however early they end, the dual rises along the step."""
        residual = prox_slope.transposed(right)
        # of the numbers without T, which leaves their sizes or makes them less
        scale = 1.0 / (1.0 / self.t + E.power(2).T @ self.curvature.diagonal())
        x, p, goal, before = np.zeros_like(residual), np.zeros_like(residual), np.inf, 1.0
        while self.work < _WORK or goal == np.inf:
            scaled = scale * residual
            size = float(scaled @ residual)
            goal = _ROUGH**2 * size if goal == np.inf else goal
            if not size > goal:
                break
            p = scaled + (size / before) * p
            image = p / self.t + prox_slope.transposed(self.bent(prox_slope.root(p)))
            length = size / float(p @ image)
            x += length * p
            residual -= length * image
            before = size
        return x


def _solve(matrix, right):
    """The solution of a positive definite system, in place, damped where rounding takes that from it."""
    scale = 1.0 / np.sqrt(matrix.diagonal())
    matrix *= scale[:, None] * scale
    for damping in (0.0, 1e-14, 1e-11, 1e-8):
        matrix.flat[:: len(matrix) + 1] += damping
        factor, info = scipy.linalg.lapack.dpotrf(matrix, lower=1, clean=0)
        if info == 0:
            return scale * scipy.linalg.lapack.dpotrs(factor, scale * right, lower=1)[0]
    return scale * scale * right
