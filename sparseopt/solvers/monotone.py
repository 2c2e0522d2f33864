"""Monotone coefficients: a lasso with nonnegative steps, whose working set needs none of the p - 1 rows.

Ascending coefficients are a sum of steps up from the left, which are positive, and up to zero from the right:

    w_j = sum_{i <= j} u_i - sum_{i >= j} v_i,   u, v >= 0

and sum_j a_j |w_j| is the least of sum_i u_i (a_i + ... + a_p) + v_i (a_1 + ... + a_i) over all such u and v. So
the problem is one in u and v with prefix and suffix sums of the columns, under bounds alone. With
the slope g of the loss, its conditions of optimality say

    P_i = sum_{j <= i} (g_j - a_j) <= 0,   R_i = -sum_{j > i} (g_j + a_j) <= 0

and y_i = max(P_i, R_i) is the multiplier of w_{i+1} - w_i >= 0: its increments are between g_j - a_j and g_j + a_j.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from sparseopt.conjugates import convex_form
from sparseopt.constraints import Duals, LinearConstraint
from sparseopt.forms import SeparableForm
from sparseopt.losses import LeastSquares
from sparseopt.penalties import L1, Nonnegative, Weighted
from sparseopt.problem import Problem
from sparseopt.solution import Status
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.constrained_working_set import WholeProgram
from sparseopt.solvers.quadratic.quadratic_measure import measure_by_products
from sparseopt.solvers.working_set import WorkingSet

# Tolerance, as a part of the one asked for, below which steps are all that rounding allows.
_FINEST = 1e-6


@dataclass
class MonotoneState(State):
    """State with the problem in steps, the run on it, and which way the rows go."""

    whole: WholeProgram | None = None
    steps: Problem | None = None
    inner: State | None = None
    chain: Chain | None = None
    #: Distance to stationarity to which the steps are found.
    goal: float = np.inf

    def account(self):
        """What the run on the steps did."""
        return f"in {self.inner.w.size} steps: {self.inner.account()}"


@dataclass(frozen=True, kw_only=True)
class MonotoneWorkingSet(Solver):
    """Least squares with ascending or descending coefficients, L1 terms included: few steps, on a working set.

    Takes a `LinearConstraint` with exactly the p - 1 differences of neighbours, all of one sign, and no other. The
    data become twice as many columns, which are sums of those of X; `WorkingSet` chooses among them.

    References
    ----------
    Barlow, Bartholomew, Bremner, Brunk: Statistical inference under order restrictions. Wiley (1972).
    """

    inner: WorkingSet = field(default_factory=WorkingSet)

    def rejects(self, problem):
        """Why this solver cannot take the problem, or None."""
        if not isinstance(problem.loss, LeastSquares):
            return "it is for least squares"
        form = convex_form(problem.penalty, problem.n_features)
        if not isinstance(form, SeparableForm) or not form.is_plain:
            return "it is for Zero and L1 penalties"
        if Chain.of(problem.constraint) is None:
            return "it is for rows that are the differences of neighbours, all at least or all at most zero"
        return None

    def init(self, problem, w):
        """The same problem in steps."""
        whole, chain, p = WholeProgram.of(problem), Chain.of(problem.constraint), w.size
        X = problem.loss.X.restrict(np.arange(p)[chain.order]).to_array()
        a = whole.alpha[chain.order]
        Z = np.empty((X.shape[0], 2 * p), dtype=X.dtype, order="F")
        np.cumsum(X, axis=1, out=Z[:, p:])
        Z[:, :p] = Z[:, -1:] - Z[:, p:] + X
        np.negative(Z[:, p:], out=Z[:, p:])
        prices = np.append(np.cumsum(a[::-1])[::-1], np.cumsum(a))
        loss = LeastSquares(Z, problem.loss.target, np.broadcast_to(problem.loss.sample_weight.values, X.shape[0]))
        steps = Problem(loss, Nonnegative(Weighted(L1(1.0), prices)))
        # the steps of a start that is monotone itself
        start, after = np.maximum(w[chain.order], 0.0), np.maximum(-w[chain.order], 0.0)
        up, down = np.diff(start, prepend=0.0), -np.diff(after, append=0.0)
        first = np.maximum(np.append(up, down), 0.0).astype(X.dtype)
        return MonotoneState(
            w=w.astype(np.float64), whole=whole, steps=steps, inner=self.inner.init(steps, first), chain=chain
        )

    def step(self, problem, state, tol, max_iterations):
        """A step on the steps, and a look at the coefficients that they make."""
        state.goal = min(state.goal, tol)
        inner = state.inner
        self.inner.step(state.steps, inner, state.goal, max_iterations)
        state.iterations = inner.iterations
        whole, chain, p = state.whole, state.chain, state.w.size
        u, v = np.split(inner.w.astype(np.float64), [p])
        w = np.empty(p)
        w[chain.order] = np.cumsum(u) - np.cumsum(v[::-1])[::-1]
        slope = whole.q + whole.curve(w)
        rows = chain.multipliers(slope, whole.alpha)
        violation, stationarity, gap, rows, box = measure_by_products(whole, w, rows)
        residual = max(violation, stationarity, gap)
        if residual < state.residual:
            state.w, state.duals, state.residual = w, Duals(rows, box), residual
        is_done = state.residual <= tol
        # what is left of the slope should cost the lower bound no more than that, where alpha bounds coefficients
        if is_done and (residual > tol or not whole.alpha.all() or whole.costs(slope + rows @ whole.A) <= tol):
            state.status = Status.CONVERGED
        elif inner.residual <= state.goal:
            state.goal *= 0.1
            if state.goal < _FINEST * tol:
                state.status = Status.CONVERGED if is_done else Status.STALLED
        return state


@dataclass(frozen=True, eq=False)
class Chain:
    """Rows that are c_i (w_{j+1} - w_j) with one sign: `row[j]` is the row of the j-th pair, in ascending order."""

    row: np.ndarray
    scale: np.ndarray
    is_ascending: bool

    @classmethod
    def of(cls, constraint):
        """The chain that a constraint is, or None."""
        if not isinstance(constraint, LinearConstraint):
            return None
        rows, p = constraint.A.shape
        if rows == 0 or rows != p - 1:
            return None
        A = sparse.coo_array(constraint.A)
        i, j, a = A.coords[0][A.data != 0], A.coords[1][A.data != 0], A.data[A.data != 0]
        if a.size != 2 * (p - 1) or np.any(np.bincount(i, minlength=p - 1) != 2):
            return None
        order = np.lexsort((j, i))
        left, right, low, high = j[order][::2], j[order][1::2], a[order][::2], a[order][1::2]
        if np.any(right != left + 1) or np.any(low != -high) or np.unique(left).size != p - 1:
            return None
        up = np.where(high > 0, constraint.lower, -constraint.upper)
        down = np.where(high > 0, constraint.upper, -constraint.lower)
        for is_ascending, side, other in ((True, up, down), (False, -down, -up)):
            if np.all(side == 0.0) and np.all(np.isinf(other)):
                row = np.empty(p - 1, dtype=np.intp)
                row[left] = np.arange(p - 1)
                return cls(row, high[row], is_ascending)
        return None

    @property
    def order(self):
        """The slice that puts coefficients in ascending order."""
        return slice(None) if self.is_ascending else slice(None, None, -1)

    def multipliers(self, slope, a):
        """Multipliers of the rows where the loss has this slope."""
        g, a = slope[self.order], a[self.order]
        from_left = np.cumsum(g - a)
        from_right = -np.cumsum((g + a)[::-1])[::-1]
        y = np.minimum(np.maximum(from_left[:-1], from_right[1:]), 0.0)
        rows = np.empty(y.size)
        # the multiplier of w_{j+1} - w_j, in the direction of the row
        rows[self.row] = (y if self.is_ascending else -y[::-1]) / self.scale
        return rows
