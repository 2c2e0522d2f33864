"""The minimiser of a quadratic plus a term that ties coefficients together, by the slopes of the term's prox.

    q'w + w'H w / 2 + g(w)

Proximal points, each found by semismooth Newton steps on its dual (Li, Sun and Toh, 2018). With z the last one, the
slopes of the quadratic at any x define w(x) = prox_{t g}(z - t (q + H x)), and w(x) is the next point where H x = H w(x). A
Newton step towards that solves a system of as many numbers as w has pieces, however badly the columns are scaled.
"""

from __future__ import annotations

import numpy as np
import scipy
from scipy import sparse

from sparseopt.solvers.lagrangian.prox_slopes import tied_term

# Factor of t from one proximal point to the next, which is in units of a typical curvature, and the most of t.
_GROWTH, _LONGEST = 10.0, 1e5
_FALL_OF_T = 0.01
# Part of the move of a proximal point to which it is solved.
_DEPTH = 0.1
# Proximal points in vain, one after the other, before the best one has to do.
_PATIENCE = 3
# Newton steps in all, and the halvings of one.
_STEPS, _HALVINGS = 200, 25
_SUFFICIENT, _ROUNDING = 1e-4, 1e-14
# A Newton step without a look at values is taken where slopes fall to this part.
_FALL = 0.5
# Multiplications after which no further step is made.
_WORK = 5e10


def tied_minimiser(term, curvature, q, w, tol):
    """The minimiser up to slopes of `tol`, or the best point of a budget, from w on, of a `WholeTerm` that `tied_term` knows."""
    tied = tied_term(term.term, curvature.diagonal())
    run = _Run(term, tied, curvature, q, w)
    best, least, idle = w, run.distance(run.z, run.slope), 0
    while least > tol and idle < _PATIENCE and run.has_budget:
        run.settle(tol)
        idle += 1
        # a long prox rounds what the Newton step has right, which lies on the same piece
        for move, bent in ((run.move, run.bent_move), (run.e, run.bent_e)):
            distance = run.distance(run.z + move, run.slope + bent)
            if distance < least:
                best, least, idle = run.point(run.z + move), distance, 0
        # rounding grows with t, which is far enough where a point is as good as the last ones
        run.go_on(min(_GROWTH * run.t, _LONGEST) if idle == 0 else max(_FALL_OF_T * run.t, _GROWTH))
    return best


class _Run:
    """A proximal point z, and the dual e = x - z with the move w(x) - z it leads to, in the units of the tied term."""

    def __init__(self, term, tied, curvature, q, w):
        self.term, self.tied, self.curvature = term, tied, curvature
        self.t, self.steps, self.work = _GROWTH, 0, 0.0
        self.units, self.shortest = tied.units, float(np.min(tied.units))
        self.q = self.units * q
        self.begin(w / self.units, np.zeros_like(w))

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
        self.w = self.tied.prox(self.v, self.t)
        self.move = self.w - self.z
        self.bent_move = self.bent(self.move)

    def bent(self, x):
        return self.units * self.curvature.product(self.units * x)

    @property
    def has_budget(self):
        return self.steps < _STEPS and self.work < _WORK

    @property
    def missing(self):
        """Distance of the slopes that w has to those that lead to it."""
        return float(np.max(np.abs(self.bent_move - self.bent_e), initial=0.0))

    def distance(self, x, slope):
        """Distance of the slope at x to those of the term, in units of the user."""
        return float(np.max(self.term.slope_distance(self.point(x), slope / self.units), initial=0.0))

    def point(self, x):
        """x in units of the user, and in the set without rounding."""
        return self.term.enter(self.units * x) if self.term.constraint is not None else self.units * x

    def height(self):
        """The dual at e, which is to rise; and what its rounding is a part of."""
        linear, price = (self.slope + self.bent_e) @ self.move, self.term.value(self.units * self.w)
        parts = -(self.e @ self.bent_e) / 2, linear, price, self.move @ self.move / (2.0 * self.t)
        return float(sum(parts)), float(sum(map(abs, parts)))

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
        length = 1.0
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
            length *= 0.5
        self.stand(e, bent_e)
        return False

    def solved(self, prox_slope, right):
        """(1 / t + F'HF) numbers = F' right, F the root of the derivative, right = H (move - e)."""
        E = sparse.diags_array(self.units) @ prox_slope.E
        m = E.shape[1]
        if self.curvature.rank < m:
            return self._solved_by_rank(prox_slope, E)
        self.work += m**3 / 3.0 + m * m * min(self.curvature.rank, self.e.size)
        gram = prox_slope.enclose(self.curvature.gram(E))
        gram.flat[:: m + 1] += 1.0 / self.t
        return _solve(gram, prox_slope.transposed(right)) if m else np.zeros(0)

    def _solved_by_rank(self, prox_slope, E):
        """The same by a system of as many numbers as there are samples and rows: t B'(1 + t B B')**-1 A, with B = A F."""
        A = self.curvature.roots(E)
        B = A if prox_slope.T is None else (prox_slope.T @ A.T).T
        self.work += len(B) ** 3 / 3.0 + len(B) ** 2 * B.shape[1]
        outer = self.t * (B @ B.T)
        outer.flat[:: len(B) + 1] += 1.0
        return self.t * (B.T @ _solve(outer, self.curvature.image(self.units * (self.move - self.e))))


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
