"""The best coefficients on a support under rows and bounds, with the multipliers that prove it, one support after another."""

from __future__ import annotations

import numpy as np

from sparseopt.constraints import Box, Intersection, LinearConstraint
from sparseopt.kernels.support_programs import minimise_on_support, value_supports
from sparseopt.losses import Quadratic
from sparseopt.penalties import L1
from sparseopt.problem import Problem
from sparseopt.solution import Status
from sparseopt.solvers.interior_point import InteriorPoint

# A ridge, relative to the diagonal, where the curvature on a support is singular.
_RIDGE = 1e-9
# How far rows may be missed, relative to their terms.
_MET = 1e-9
# A product that is this small beside its terms is zero; and what a proof is larger than.
_ZERO, _PROOF = 1e-12, 1e-10
# Part of the largest coefficient below which one is zero, where the L1 norm may make it so.
_NOTHING = 1e-6
# Residual and iterations of an interior-point method.
_CLOSE, _STEPS = 1e-10, 200
# Supports of one call of a kernel.
_AT_ONCE = 256
# Rounds of refinement of the last linear system.
_REFINEMENTS = 2


class SupportPrograms:
    """The quadratic programs of the supports of one problem.

    Parameters
    ----------
    gram, linear, constant
        f(w) = constant - linear'w + w'(gram) w / 2, to which the ridge of the subset is added.
    subset : RowSubset
    """

    def __init__(self, gram, linear, constant, subset):
        self.H, self.linear, self.constant, self.subset = gram, linear, constant, subset
        self.solved = 0
        self._room, self._known = 0, {}
        self._grow(min(subset.k, 16))
        # with an L1 norm, where bounds leave one sign; otherwise it is no part of the linear term
        signs = np.where(subset.lower >= 0.0, 1.0, np.where(subset.upper <= 0.0, -1.0, 0.0))
        self._signed = linear - subset.l1 * signs
        self.is_smooth = subset.l1 == 0.0 or bool(np.all(signs[subset.lower <= subset.upper] != 0.0))

    def _grow(self, size):
        """Scratch of the kernel for supports of up to `size` features."""
        m, self._room = len(self.subset.A), size
        sides = 2 * m + 2 * size + 1
        square = lambda: np.empty((size + 1, size + 1))  # noqa: E731
        self._scratch = (
            square(), square(), np.empty(size), np.empty(sides + 1, dtype=np.intp), np.empty(sides, dtype=np.int8),
            np.empty(sides + 1), np.empty((size + m + 2, size + 1)), np.empty((size + m + 2, size + m + 2)),
            np.empty(size + m + 2), np.empty(size + m + 2), np.empty(size),
        )  # fmt: skip
        self._part = (square(), np.empty(size), np.empty((m, size + 1)), np.empty(size), np.empty(size))

    def solve(self, support, *, refine=False):
        """The least objective on a support, its coefficients and the multipliers of the rows.

        With `refine` the rows are met as well as the numbers allow. Where there is no point the objective is inf, the coefficients are None, and the multipliers are a ray that proves it,
        or None.
        """
        subset = self.subset
        S = np.asarray(support, dtype=np.intp)
        self.solved += 1
        lower, upper = subset.lower[S], subset.upper[S]
        if np.any(lower > upper):
            return np.inf, None, None
        q = self.linear[S].copy()
        if subset.l1:
            if np.any((lower < 0.0) & (upper > 0.0)):
                return self._by_interior_point(S, lower, upper)
            q -= np.where(lower >= 0.0, subset.l1, -subset.l1)
        H = self.H[np.ix_(S, S)]
        H[np.diag_indices(S.size)] += subset.ridge
        A = np.ascontiguousarray(subset.A[:, S])
        found = self._active(H, q, A, lower, upper, refine)
        if found is None:
            exact = H.copy()
            H[np.diag_indices(S.size)] += _RIDGE * np.maximum(H.diagonal(), H.diagonal().max(initial=0.0))
            found = self._active(H, q, A, lower, upper, True, exact)
        if found is None:
            return self._by_interior_point(S, lower, upper)
        w, y, is_point = found
        if not is_point:
            return np.inf, None, y
        return self.objective(S, w), w, y

    def values(self, supports):
        """The least objectives on the rows of a matrix of supports, each of one size: inf where there is no point."""
        subset, (count, s) = self.subset, supports.shape
        values = np.empty(count)
        self.solved += count
        if not self.is_smooth:
            return np.array([self._remembered(support) for support in supports])
        if s > self._room:
            self._grow(max(s, 2 * self._room))
        sides = subset.row_lower, subset.row_upper, subset.lower, subset.upper
        for first in range(0, count, _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            value_supports(
                self.H,
                subset.ridge,
                self._signed,
                subset.A,
                *sides,
                supports[part],
                values[part],
                *self._part,
                *self._scratch,
            )
        values += self.constant + subset.alpha * s
        for t in np.flatnonzero(np.isnan(values)):
            values[t] = self.solve(supports[t])[0]
        return values

    def _remembered(self, support):
        """The least objective on a support where each takes an interior-point method, which is not run twice."""
        key = np.sort(support).tobytes()
        if key not in self._known:
            self._known[key] = self.solve(support)[0]
        return self._known[key]

    def missed(self, support):
        """Half the squared distance by which the rows are missed at least on a support, each row in units of its length."""
        subset, S = self.subset, np.asarray(support, dtype=np.intp)
        if np.any(subset.lower[S] > subset.upper[S]) or S.size > subset.k:
            return np.inf
        lengths = np.linalg.norm(subset.A, axis=1)
        lengths[lengths == 0.0] = 1.0
        A = subset.A[:, S] / lengths[:, None]
        # a little curvature, in which the minimiser is unique
        s, m = S.size, len(A)
        H = np.block([[A.T @ A, -A.T], [-A, np.eye(m)]]) + _RIDGE * np.eye(s + m)
        lower = np.concatenate([subset.lower[S], subset.row_lower / lengths])
        upper = np.concatenate([subset.upper[S], subset.row_upper / lengths])
        if s + m > self._room:
            self._grow(s + m)
        factor, inverse, w, active, is_active, multipliers, curved, work, z, step, direction = self._scratch
        nothing = np.zeros((0, s + m)), np.zeros(0), np.zeros(0)
        count, _ = minimise_on_support(
            H, np.zeros(s + m), *nothing, lower, upper, s + m, 50 * (s + m) + 50,
            factor, inverse, w, active, is_active, multipliers, curved, work, z, step, direction,
        )  # fmt: skip
        if count < 0:
            return np.inf
        rest = A @ w[:s] - w[s : s + m]
        return 0.5 * float(rest @ rest)

    def objective(self, S, w):
        """The objective of coefficients on a support: its price counts all that is in."""
        H = self.H[np.ix_(S, S)]
        subset = self.subset
        smooth = (
            self.constant - float(self.linear[S] @ w) + 0.5 * float(w @ (H @ w)) + 0.5 * subset.ridge * float(w @ w)
        )
        return smooth + subset.l1 * float(np.abs(w).sum()) + subset.alpha * S.size

    def _active(self, H, q, A, lower, upper, refine, exact=None):
        """w, multipliers of the rows, and whether w is a point or the multipliers prove that there is none."""
        s, m = q.size, len(A)
        if s > self._room:
            self._grow(max(s, 2 * self._room))
        factor, inverse, w, active, is_active, multipliers, curved, work, z, step, direction = self._scratch
        sides = self.subset.row_lower, self.subset.row_upper, lower, upper
        count, ray = minimise_on_support(
            H, q, A, *sides, s, 20 * (s + m) + 50, factor, inverse, w, active, is_active, multipliers, curved, work, z, step, direction
        )  # fmt: skip
        if count == -2:
            return None
        size = ray if count == -1 else count
        y = np.zeros(m)
        rows = active[:size] < 2 * m
        names, values = active[:size][rows], multipliers[:size][rows]
        np.add.at(y, names % max(m, 1), np.where(names < m, -values, values))
        # rounding may leave a multiplier on a side that there is not
        y[np.isinf(np.where(y > 0.0, sides[1], sides[0]))] = 0.0
        if count == -1:
            return (None, y, False) if proves_empty(A, y, *sides) else None
        w = np.clip(w[:s], lower, upper)
        if refine:
            w, y = self._refined(H if exact is None else exact, q, A, sides, active[:size], w, y)
        terms = np.abs(A) @ np.abs(w) + np.where(np.isfinite(sides[0]), np.abs(sides[0]), 0.0)
        # numbers that the method could not work with
        return (w, y, True) if self._excess(w, A, sides) <= _MET * max(1.0, terms.max(initial=0.0)) else None

    def _refined(self, H, q, A, sides, active, w, y):
        """The point and its multipliers again, as the solution of the linear system of its active sides, where that meets the others too."""
        s, m = w.size, len(A)
        if s == 0:
            return w, y
        row_lower, row_upper, lower, upper = sides
        N, b = np.zeros((active.size, s)), np.zeros(active.size)
        for i, c in enumerate(active.tolist()):
            if c < 2 * m:
                N[i], b[i] = A[c % m], row_lower[c] if c < m else row_upper[c - m]
            else:
                j = c - 2 * m
                N[i, j % s], b[i] = 1.0, lower[j] if j < s else upper[j - s]
        # coefficients on their bounds leave the system
        on = active[active >= 2 * m] - 2 * m
        fixed = np.zeros(s, dtype=bool)
        fixed[on % s] = True
        w = np.clip(w, lower, upper)
        w[on % s] = np.where(on < s, lower[on % s], upper[on % s])
        free, rows = np.flatnonzero(~fixed), active < 2 * m
        if free.size == 0:
            return w, y
        C, target = N[rows][:, free], b[rows] - N[rows][:, fixed] @ w[fixed]
        K = np.block([[H[np.ix_(free, free)], C.T], [C, np.zeros((len(C), len(C)))]])
        right = np.concatenate([q[free] - H[np.ix_(free, fixed)] @ w[fixed], target])
        try:
            x = np.linalg.solve(K, right)
            for _ in range(_REFINEMENTS):
                x += np.linalg.solve(K, right - K @ x)
        except np.linalg.LinAlgError:
            return w, y
        better = w.copy()
        better[free] = np.clip(x[: free.size], lower[free], upper[free])
        if self._excess(better, A, sides) > max(self._excess(w, A, sides), 1e-13):
            return w, y
        again = np.zeros(m)
        again[active[rows] % max(m, 1)] = x[free.size :]
        is_pulling = np.isfinite(np.where(again > 0.0, row_upper, row_lower)) | (again == 0.0)
        return better, again if np.all(is_pulling) else y

    @staticmethod
    def _excess(w, A, sides):
        image = A @ w
        return float(max(np.max(sides[0] - image, initial=0.0), np.max(image - sides[1], initial=0.0)))

    def _by_interior_point(self, S, lower, upper):
        """The same by an interior-point method, which knows the L1 norm."""
        subset = self.subset
        if S.size == 0:
            return self.constant, np.zeros(0), np.zeros(len(subset.A))
        H = self.H[np.ix_(S, S)] + subset.ridge * np.eye(S.size)
        rows = LinearConstraint(subset.A[:, S], subset.row_lower, subset.row_upper)
        problem = Problem(Quadratic(H, -self.linear[S]), L1(subset.l1), Intersection(Box(lower, upper), rows))
        solver, m = InteriorPoint(), len(subset.A)
        state = solver.init(problem, np.zeros(S.size))
        state.tolerance = _CLOSE
        while state.status is None and state.iterations < _STEPS:
            state = solver.step(problem, state, _CLOSE, 1)
        if state.status is Status.INFEASIBLE:
            ray = None if state.ray is None else np.array(state.ray[:m])
            sides = subset.row_lower, subset.row_upper, lower, upper
            return np.inf, None, ray if ray is not None and proves_empty(subset.A[:, S], ray, *sides) else None
        w = np.clip(state.w, lower, upper)
        # the same again with the signs that were found, which leaves a smooth program
        sign = np.where(np.abs(w) > _NOTHING * np.max(np.abs(w), initial=0.0), np.sign(w), 0.0)
        on = np.flatnonzero(sign)
        low, high = (
            np.where(sign > 0.0, np.maximum(lower, 0.0), lower)[on],
            np.where(sign < 0.0, np.minimum(upper, 0.0), upper)[on],
        )
        A = np.ascontiguousarray(subset.A[:, S[on]])
        q = self.linear[S[on]] - subset.l1 * sign[on]
        again = self._active(np.ascontiguousarray(H[np.ix_(on, on)]), q, A, low, high, True)
        if again is not None and again[2] and np.all((lower <= 0.0) & (upper >= 0.0) | (sign != 0.0)):
            w = np.zeros(S.size)
            w[on] = again[0]
        if self._excess(w, subset.A[:, S], (subset.row_lower, subset.row_upper)) > 1e-8:
            return np.inf, None, None
        y = np.zeros(m) if state.duals is None else np.array(state.duals.rows)
        y[np.isinf(np.where(y > 0.0, subset.row_upper, subset.row_lower))] = 0.0
        return self.objective(S, w), w, y


def proves_empty(A, y, row_lower, row_upper, lower, upper):
    """Whether multipliers of the rows prove that no w in the bounds meets them (Farkas, 1902)."""
    sides = np.where(y > 0.0, row_upper, row_lower)[y != 0.0]
    pulled = y @ A
    pulled[np.abs(pulled) <= _ZERO * (np.abs(y) @ np.abs(A))] = 0.0
    least = pulled * np.where(pulled > 0.0, lower, upper)
    least[pulled == 0.0] = 0.0
    terms = np.concatenate([y[y != 0.0] * sides, -least])
    return bool(np.all(np.isfinite(terms)) and -terms.sum() > _PROOF * np.abs(terms).sum())
