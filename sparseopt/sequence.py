"""Sequences of quadratic programs that differ in their vectors, each solved from where the last one ended."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from sparseopt.certificate import Certificate, certify
from sparseopt.conjugates import convex_form
from sparseopt.constraints import Box, Constraint, Duals, Intersection, LinearConstraint
from sparseopt.forms import SeparableForm
from sparseopt.inputs import as_count, as_floats, as_number
from sparseopt.kernels.active_set import INFEASIBLE, OPTIMAL, UNBOUNDED
from sparseopt.losses import LeastSquares
from sparseopt.penalties import PenaltyTerm
from sparseopt.problem import Problem
from sparseopt.proofs.kkt import kkt_residuals
from sparseopt.proofs.rays import check_dual_ray
from sparseopt.solution import NotCertified, Status, UnsupportedProblem
from sparseopt.solve import solve
from sparseopt.solvers.active_set import ActiveSet
from sparseopt.solvers.interior_point import InteriorPoint
from sparseopt.solvers.quadratic.dual_program import DualProgram
from sparseopt.solvers.quadratic.quadratic_program import linear_terms, quadratic_program

_ACTIVE_SET, _INTERIOR_POINT = ActiveSet(), InteriorPoint()
# Directions without an end that may turn out to prove nothing.
_DOUBTS = 10


@dataclass(frozen=True, eq=False)
class SequenceSolution:
    """One solution of a `QuadraticSequence`, with the residuals that its data give; the certificate is made when asked for.

    Attributes
    ----------
    w : array of shape (p,)
        Coefficients; zeros where the status is INFEASIBLE or UNBOUNDED.
    duals : Duals or None
        Multipliers of rows and bounds, positive where the upper side is active.
    status : Status
        Why the run stopped.
    violation, stationarity, gap : float
        Largest excess over a side, largest entry of the slope that no multiplier balances, and the difference to
        the dual objective, all from the data and in their units; inf where the run has not converged.
    iterations : int
        Changes of the active set, or iterations of the fallback.
    solver : str
        "ActiveSet", or "InteriorPoint" where that had to finish.
    """

    w: np.ndarray
    duals: Duals | None
    status: Status
    violation: float
    stationarity: float
    gap: float
    iterations: int
    solver: str
    _data: _Data = field(repr=False)
    _ray: np.ndarray | None = field(default=None, repr=False)

    @cached_property
    def problem(self) -> Problem:
        """The problem that was solved, as `solve` takes it."""
        return self._data.problem()

    @cached_property
    def certificate(self) -> Certificate:
        """What is proven of w, recomputed from the problem."""
        return certify(self.problem, self.w, duals=self.duals, ray=self._ray)

    @property
    def intercept(self) -> float:
        """The unpenalised constant; 0.0 where none was asked for."""
        return self.problem.loss.intercept_at(self.w)

    def require(self, *, residual=1e-6):
        """This solution, if its residuals are at most `residual`; `NotCertified` otherwise."""
        largest = max(self.violation, self.stationarity, self.gap)
        if not largest <= residual:
            raise NotCertified(f"residual {largest:.3g} exceeds {residual:.3g}: {self.status.value}")
        return self

    def __repr__(self):
        return (
            f"SequenceSolution({self.status.name} after {self.iterations} iterations of {self.solver}, residuals "
            f"{self.violation:.0e} and {self.stationarity:.0e}, gap {self.gap:.0e})"
        )


class _Data(NamedTuple):
    """What the problem of one solution is made of; vectors are never changed, but replaced."""

    template: Problem
    A: np.ndarray
    penalty: PenaltyTerm
    c: np.ndarray
    y: np.ndarray | None
    row_lower: np.ndarray
    row_upper: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    def problem(self):
        """These data as a problem."""
        loss = self.template.loss
        loss = replace(loss, c=self.c) if self.y is None else replace(loss, y=self.y)
        # two boxes: whether they meet is for the solver to say
        parts: list[Constraint] = [Box(self.lower, np.inf), Box(-np.inf, self.upper)]
        if self.row_lower.size:
            parts.insert(0, LinearConstraint(self.A, self.row_lower, self.row_upper))
        return Problem(loss, self.penalty, Intersection(*parts))


class QuadraticSequence:
    """A quadratic program whose vectors change, solved again and again by a dual active set method.

    Factors are computed once. Each solution starts from the active set of the last one and costs a few
    microseconds for each change of it. Where the method fails, `InteriorPoint` takes over.

    Parameters
    ----------
    problem : Problem
        What `ActiveSet` takes: `Quadratic` or `LeastSquares`, Zero or L1 terms, linear rows, boxes and simplices,
        at most 2,000 rows and coefficients.
    tol : float, default 1e-6
        Largest absolute residual; a gap that rounding keeps above it counts relative to the objective.

    Raises
    ------
    UnsupportedProblem
        Where `ActiveSet` does not take the problem.

    Notes
    -----
    Not for several threads at once. The rows are those of the problem's linear constraints in their order, a
    simplex being one of them.

    Examples
    --------
    >>> import numpy as np
    >>> from sparseopt import Problem, Quadratic, QuadraticSequence, Simplex
    >>> sequence = QuadraticSequence(Problem(Quadratic(np.eye(2), [0.0, 0.0]), constraint=Simplex()))
    >>> sequence.solve().w
    array([0.5, 0.5])
    >>> sequence.update(c=[2.0, 0.0])
    >>> sequence.solve().w
    array([0., 1.])
    """

    def __init__(self, problem, *, tol=1e-6):
        if not isinstance(problem, Problem):
            raise TypeError(f"problem must be a Problem, got {type(problem).__name__}.")
        if reason := _ACTIVE_SET.rejects(problem):
            raise UnsupportedProblem(f"QuadraticSequence: {reason}.")
        self.tol = as_number(tol, "tol", least=0.0)
        program, loss, p = quadratic_program(problem), problem.loss, problem.n_features
        form = convex_form(problem.penalty, p)
        if np.isfinite(form.lower).any() or np.isfinite(form.upper).any() or program.q.size > p:
            A, row_lower, row_upper, lower, upper = linear_terms(problem.constraint, p)
        else:
            A, row_lower, row_upper = program.A, program.row_lower.copy(), program.row_upper.copy()
            lower, upper = program.lower.copy(), program.upper.copy()
        y = loss.y if isinstance(loss, LeastSquares) else None
        self._form = form
        self._data = _Data(problem, A, problem.penalty, program.q[:p].copy(), y, row_lower, row_upper, lower, upper)
        self._program, self._dual = program, DualProgram(program)
        self._free = program.q.size - p  # an intercept of sparse data is a coefficient without bounds
        self._is_crossed = bool(np.any(program.lower > program.upper) or np.any(row_lower > row_upper))
        self._has_slopes = bool(program.alpha.any())
        self._is_stale = False
        self._dual.start()

    @property
    def problem(self) -> Problem:
        """The problem as it stands."""
        return self._data.problem()

    def update(self, *, c=None, y=None, row_lower=None, row_upper=None, lower=None, upper=None, penalty=None):
        """Give the program other vectors; what is None stays as it is.

        Parameters
        ----------
        c : array of shape (p,), optional
            Linear term of a `Quadratic`.
        y : array of shape (n,), optional
            Targets of a `LeastSquares`.
        row_lower, row_upper : float or array of shape (m,), optional
            Sides of the rows; infinite where there is none.
        lower, upper : float or array of shape (p,), optional
            Bounds of the coefficients.
        penalty : Penalty, optional
            Zero or an L1 term of other weights; a ridge in it must be that of the first problem.

        Raises
        ------
        ValueError, TypeError
            Where a vector has another length, is not finite where it must be, crosses its other side, or is no part
            of the problem. Nothing is changed then.
        """
        data, q = self._data, None
        if c is not None:
            if data.y is not None:
                raise TypeError("c is the linear term of a Quadratic; give the targets y of a LeastSquares.")
            q = _finite(c, data.c.size, "c")
            data = data._replace(c=q)
        if y is not None:
            if data.y is None:
                raise TypeError("y is the target of a LeastSquares; give the linear term c of a Quadratic.")
            y = _finite(y, data.y.size, "y")
            q, data = _linear_term(replace(data.template.loss, y=y), self._free), data._replace(y=y)
        if row_lower is not None or row_upper is not None:
            sides = _sides(row_lower, row_upper, data.row_lower, data.row_upper, "row_lower", "row_upper")
            data = data._replace(row_lower=sides[0], row_upper=sides[1])
            self._is_stale = True
        if lower is not None or upper is not None:
            sides = _sides(lower, upper, data.lower, data.upper, "lower", "upper")
            data = data._replace(lower=sides[0], upper=sides[1])
            self._is_stale = True
        if penalty is not None:
            form = convex_form(penalty, data.c.size) if isinstance(penalty, PenaltyTerm) else None
            if not (isinstance(form, SeparableForm) and np.array_equal(form.b, self._form.b)):
                raise TypeError(f"penalty must be Zero or an L1 term with the same ridge, got {penalty!r:.60}.")
            self._form, data, self._is_stale = form, data._replace(penalty=penalty), True
        self._data = data
        if q is not None:
            self._program.q[:] = q
            # a slope that has one sign within the bounds is part of the linear term
            self._is_stale = self._is_stale or self._has_slopes
            self._dual.objective.c[:] = q
            self._dual.is_new = True

    def solve(self, *, warm=True, max_iter=10_000, time_limit=np.inf) -> SequenceSolution:
        """Solve the program as it stands.

        Parameters
        ----------
        warm : bool, default True
            Start from the last active set. False starts anew, so that the result does not depend on what was before.
        max_iter : int, default 10,000
            Changes of the active set; iterations, where `InteriorPoint` has to finish.
        time_limit : float, default inf
            Seconds.

        Returns
        -------
        SequenceSolution
            A limit that came first is a status, not an error.
        """
        if self._is_stale:
            self._refresh()
        dual = self._dual
        if not warm:
            dual.start()
        if max_iter != 10_000 or time_limit != np.inf:
            max_iter = as_count(max_iter, "max_iter", least=1)
            time_limit = as_number(time_limit, "time_limit", least=0.0, finite=False)
        if self._is_crossed:
            return self._without(Status.INFEASIBLE, 0, np.zeros(dual.standing.states.size - self._free))
        start = time.perf_counter()
        code, iterations, found = dual.advance(1e-3 * self.tol, max_iter)
        if code == OPTIMAL and not found.misses(self.tol):
            return self._solution(found, Status.CONVERGED, iterations)
        return self._go_on(code, iterations, found, max_iter, start + time_limit)

    def _refresh(self):
        """Pass sides and slopes on."""
        data, form = self._data, self._form
        program = self._program
        p = data.c.size
        program.lower[:p], program.upper[:p] = np.maximum(data.lower, form.lower), np.minimum(data.upper, form.upper)
        program.row_lower[:], program.row_upper[:] = data.row_lower, data.row_upper
        program.alpha[:p] = form.a
        self._has_slopes = bool(form.a.any())
        self._dual.set(
            program.q, program.row_lower, program.row_upper, program.lower, program.upper, program.alpha
        )  # fmt: skip
        self._is_crossed = bool(np.any(program.lower > program.upper))
        self._is_stale, self._dual.is_new = False, True

    def _go_on(self, code, iterations, found, max_iter, deadline):
        """What is left to do after a chunk that did not end in a solution: more of them, a ray, or another solver."""
        dual, data = self._dual, self._data
        doubts = 0
        while True:
            if code == OPTIMAL:
                if not found.misses(self.tol):
                    return self._solution(found, Status.CONVERGED, iterations)
                if doubts:
                    break
                doubts += 1
                dual.retry()
            elif code == INFEASIBLE:
                ray = dual.infeasibility(self._program)
                if ray is not None:
                    return self._without(Status.INFEASIBLE, iterations, ray[: ray.size - self._free])
            elif code == UNBOUNDED:
                rays = [ray[: data.c.size] for ray in dual.unboundedness(self._program)]
                ray = next((ray for ray in rays if check_dual_ray(data.problem(), ray).holds), None)
                if ray is not None:
                    return self._without(Status.UNBOUNDED, iterations, ray)
                doubts += 1
                if doubts > _DOUBTS:
                    break
            if iterations >= max_iter:
                return self._solution(found, Status.ITERATION_LIMIT, iterations)
            if time.perf_counter() > deadline:
                return self._solution(found, Status.TIME_LIMIT, iterations)
            code, changes, found = dual.advance(1e-3 * self.tol, max_iter - iterations)
            iterations += changes
        return self._fall_back(iterations, max_iter, max(deadline - time.perf_counter(), 0.0))

    def _fall_back(self, iterations, max_iter, seconds):
        """The solution of an interior point method, from whose active set the next one starts."""
        solution = solve(self.problem, _INTERIOR_POINT, tol=self.tol, max_iter=max_iter, time_limit=seconds)
        w, certificate = solution.w.astype(np.float64), solution.certificate
        self._dual.start(np.append(w, np.full(self._free, solution.intercept)))
        is_kkt = certificate.proof == "kkt" and solution.duals is not None
        gap = kkt_residuals(self.problem, w, solution.duals).gap if is_kkt else np.inf
        return SequenceSolution(
            w, solution.duals, solution.status, certificate.violation, certificate.dual_residual if is_kkt else np.inf,
            gap, iterations + solution.iterations, "InteriorPoint", self._data, certificate.ray,
        )  # fmt: skip

    def _solution(self, found, status, iterations):
        """What `advance` has found, if it has."""
        if found is None:
            return self._without(status, iterations, None)
        w, box = found.w, found.box
        if self._free:
            w, box = w[: -self._free], box[: -self._free]
        return SequenceSolution(
            w, Duals(found.y, box), status, found.violation, found.stationarity, found.gap, iterations, "ActiveSet",
            self._data,
        )  # fmt: skip

    def _without(self, status, iterations, ray):
        """No solution, and the ray that proves it where there is one."""
        w = np.zeros(self._data.c.size)
        return SequenceSolution(
            w, None, status, np.inf, np.inf, np.inf, iterations, "ActiveSet", self._data, ray
        )  # fmt: skip


def _finite(values, size, name):
    """A private vector of finite numbers."""
    vector = np.array(as_floats(values, name), dtype=np.float64)
    if vector.shape != (size,):
        raise ValueError(f"{name} has shape {vector.shape}, but the problem needs ({size},).")
    # a sum is no number where a part is none
    if not math.isfinite(np.add.reduce(vector)) and not np.all(np.isfinite(vector)):
        raise ValueError(f"{name} contains NaN or infinity.")
    return vector


def _sides(lower, upper, old_lower, old_upper, lower_name, upper_name):
    """Private vectors of both sides, of which one may stay as it was."""
    found = []
    for side, old, name in ((lower, old_lower, lower_name), (upper, old_upper, upper_name)):
        if side is None:
            found.append(old)
            continue
        array = as_floats(side, name)
        if array.ndim and array.shape != old.shape:
            raise ValueError(f"{name} has shape {array.shape}, but the problem needs {old.shape} or a number.")
        vector = np.empty(old.size)
        vector[:] = array
        if np.isnan(vector).any():
            raise ValueError(f"{name} contains NaN; use -inf or inf where there is no bound.")
        found.append(vector)
    low, high = found
    if (low > high).any() or (low == np.inf).any() or (high == -np.inf).any():
        i = int(np.flatnonzero((low > high) | (low == np.inf) | (high == -np.inf))[0])
        raise ValueError(
            f"{lower_name} {low[i]:g} exceeds {upper_name} {high[i]:g} in entry {i}; swap or correct them."
        )
    return low, high


def _linear_term(loss, free):
    """Slope of a least squares loss at zero, that in a free intercept of sparse data at the end."""
    p = loss.n_features
    if not free:
        return loss.gradient(np.zeros(p))
    weights = np.broadcast_to(loss.sample_weight.values, loss.y.size).astype(np.float64)
    pull = weights * loss.target
    return -np.append(loss.X.matrix.T @ pull, pull.sum())
